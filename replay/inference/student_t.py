"""
Student's t: what a mean over its estimated error follows, with and without a true effect.

The incomplete beta function by its continued fraction (Abramowitz, Stegun 26.5.8; evaluated as Lentz 1976).
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

_NEGLIGIBLE = 1e-15  # relative change of the continued fraction at which it has converged
_MAX_STEPS = 10_000  # of the continued fraction
_HALVINGS = 200  # enough for neighbouring floats: the search ends there
_CACHED = 256  # a table asks for the same degrees of freedom again and again
_GRID = 2001  # points of the integral over the estimated error


def two_sided_p(t: float, degrees: int) -> float:
    """
    The probability that |T| is at least |t|, to 1e-12.

    >>> round(two_sided_p(2.228, 10), 4)
    0.05
    """
    share = t * t / (degrees + t * t)
    if share < 0.5:
        return 1 - _incomplete_beta(share, 0.5, degrees / 2)
    return _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)


@lru_cache(_CACHED)
def critical_t(p: float, degrees: int) -> float:
    """The t > 0 that |T| reaches with probability p, e.g. 2.228 for p = 0.05 and 10 degrees; 0 < p < 1."""
    low, high = 0.0, 1.0
    while two_sided_p(high, degrees) > p:
        low, high = high, 2 * high
    return _bisect(low, high, lambda t: two_sided_p(t, degrees) > p)


def power_of_t(shift: float, degrees: int, p: float) -> float:
    """
    The probability that |T| reaches the critical value of p under a true effect: the noncentral t distribution.

    Args:
        shift: the true effect over the true error of its estimate (the noncentrality).
        degrees: of freedom, at least 1.
        p: significance level, 0 < p < 1.
    """
    # T = (Z + shift) / S where S² is χ² over its degrees: the normal tails, averaged over S
    critical = critical_t(p, degrees)
    s = np.linspace(0.0, 1 + 12 / math.sqrt(2 * degrees), _GRID)[1:]
    log_density = (degrees - 1) * np.log(s) - degrees * s * s / 2
    density = np.exp(log_density - log_density.max())
    tail = np.array([_above(critical * v - shift) + _above(critical * v + shift) for v in s.tolist()], np.float64)
    return float((density * tail).sum() / density.sum())


@lru_cache(_CACHED)
def detectable_shift(power: float, degrees: int, p: float) -> float:
    """
    The shift that is detected with a given power, see `power_of_t`.

    Args:
        power: the probability of detection, p < power < 1.
        degrees: of freedom, at least 1.
        p: significance level, 0 < p < 1.
    """
    high = 1.0
    while power_of_t(high, degrees, p) < power:
        high *= 2
    return _bisect(0.0, high, lambda shift: power_of_t(shift, degrees, p) < power, 40)


def _bisect(low: float, high: float, is_below: Callable[[float], bool], halvings: int = _HALVINGS) -> float:
    for _ in range(halvings):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def _above(z: float) -> float:
    return math.erfc(z / math.sqrt(2)) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, take the other tail
        return 1 - _incomplete_beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MAX_STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            c, d = 1 + term / c, 1 / (1 + term * d)
            value *= c * d
        if abs(c * d - 1) < _NEGLIGIBLE:
            break
    return value
