"""
How far the spectrum of a series falls off from frequency zero: what its persistence does to its slowest cosines.

An autoregression is fitted to means of a few minutes, its order by Akaike's criterion, the downward bias of its sum
corrected to first order (Marriott, Pope 1954; Kendall 1954).
"""

import math

import numpy as np

from market.arrays import F64

_MIN_MEANS = 600  # a series of that length or more is averaged to no fewer: persistence of minutes stays visible
_MAX_LAGS = 10  # the highest order of the autoregression
_MAX_WEIGHT_SUM = 0.999  # at 1 the autoregression is a random walk, whose spectrum at zero is infinite
_MIN_RESIDUAL = 1e-9  # share of the variance: a series predicted better than that has no spectrum to fit


def flatness(series: F64, cosines: int) -> F64:
    """
    Mean height of the spectrum over the slowest 1, 2 … k cosines, over its height at frequency zero.

    Args:
        series: n values, evenly spaced.
        cosines: k, at least 1.

    Returns:
        k ratios, at most 1: a spectrum that rises counts as flat.
    """
    step = max(1, len(series) // _MIN_MEANS)
    n = len(series) // step
    weights = _autoregression(series[: n * step].reshape(n, step).mean(axis=1))
    total = float(weights.sum())
    if total > 0:
        corrected_total = min(total + (1 + 3 * total) / n, _MAX_WEIGHT_SUM)
        weights, total = weights * (corrected_total / total), corrected_total
    rotation = np.exp(-1j * np.pi * np.arange(1, cosines + 1) * step / len(series))
    gain = np.ones(cosines, np.complex128)
    for lag, weight in enumerate(weights.tolist(), 1):
        gain -= weight * rotation**lag
    height = (1 - total) ** 2 / np.abs(gain) ** 2
    return np.minimum(np.cumsum(height) / np.arange(1, cosines + 1), 1.0)


def _autoregression(series: F64) -> F64:
    """Levinson's recursion over the orders; the weights of the best."""
    n = len(series)
    deviation = series - series.mean()
    covariance = [float((deviation[: n - lag] * deviation[lag:]).sum()) / n for lag in range(min(_MAX_LAGS, n - 1) + 1)]
    variance = covariance[0]
    weights = best = np.zeros(0, np.float64)
    lowest = n * math.log(variance) if variance > 0 else -math.inf
    for order in range(1, len(covariance)):
        if variance <= _MIN_RESIDUAL * covariance[0]:
            break
        prediction = float((weights * covariance[order - 1 : 0 : -1]).sum())
        reflection = (covariance[order] - prediction) / variance
        weights = np.append(weights - reflection * weights[::-1], reflection)
        variance *= 1 - reflection * reflection
        if variance > 0 and n * math.log(variance) + 2 * order < lowest:
            lowest, best = n * math.log(variance) + 2 * order, weights
    return best
