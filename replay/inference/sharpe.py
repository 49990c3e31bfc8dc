"""
How sure a Sharpe ratio is, after the shape of its returns and the number of strategies tried.

Bailey, López de Prado 2012 (probabilistic) and 2014 (deflated).
"""

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_EULER_MASCHERONI = 0.5772156649015329  # in the expected maximum of normal numbers


def probabilistic_sharpe(
    ratio: float, returns: int, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """
    The probability that the true Sharpe ratio is above a benchmark.

    Args:
        ratio: the observed one, of a single period. returns: number of periods, at least 2.
        skewness, kurtosis: of the returns; 0 and 3 are those of a normal distribution.
        benchmark: of a single period.

    >>> round(probabilistic_sharpe(0.458, 24, -2.448, 10.164), 3), round(probabilistic_sharpe(0.458, 24), 3)
    (0.913, 0.982)
    """
    variance = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio * ratio
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt((returns - 1) / variance))


def expected_best_sharpe(variance: float, trials: int) -> float:
    """
    The best Sharpe ratio to expect of strategies without any edge.

    Args:
        variance: of the ratios of all strategies tried, of a single period.
        trials: number of independent strategies tried.

    Returns:
        Of a single period; 0 for a single trial, which has no best.

    >>> round(expected_best_sharpe(0.5 / 250, 100), 4)
    0.1132
    """
    if trials < 2:
        return 0.0
    high, higher = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - _EULER_MASCHERONI) * high + _EULER_MASCHERONI * higher)


def deflated_sharpe(
    ratio: float, returns: int, skewness: float, kurtosis: float, variance: float, trials: int
) -> float:
    """
    The probability that the true Sharpe ratio is above the best that as many strategies without edge would show.

    Args:
        ratio: the observed one, of a single period. returns: number of periods, at least 2.
        skewness, kurtosis: of the returns.
        variance: of the ratios of all strategies tried. trials: their number.

    >>> round(deflated_sharpe(2.5 / 250**0.5, 1250, -3.0, 10.0, 0.5 / 250, 100), 4)
    0.9004
    """
    return probabilistic_sharpe(ratio, returns, skewness, kurtosis, expected_best_sharpe(variance, trials))
