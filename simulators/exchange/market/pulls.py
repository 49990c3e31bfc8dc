"""
How likely a planted wall is to be pulled before it is touched, by its own true hazard: the best any forecast can do.
"""

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from simulators.exchange.market.planting import MIN_BP, Hazard


@dataclass(frozen=True, slots=True)
class Volatility:
    """
    How far the market's price moves in a minute, and how that wanders.

    Attributes:
        sigma_bp: standard deviation of a minute's move now.
        usual_bp: what it returns to.
        spread: standard deviation of its logarithm; memory_min: how slowly it returns.
    """

    sigma_bp: float
    usual_bp: float
    spread: float
    memory_min: float


def pull_probability(
    hazard: Hazard,
    share: float,
    distance_bp: float,
    age_min: int,
    horizon_min: int,
    volatility: Volatility,
    rng: np.random.Generator,
    paths: int = 4_000,
) -> float:
    """
    The probability that a wall alive now is pulled before the price touches it, within so many minutes.

    Price paths are simulated by the minute; whether a path touched within a minute is the Brownian bridge's
    probability, exp(-2 · d0 · d1 / σ²); the hazard is read at the start of each minute, as the market does. Pull and
    touch in one minute count half each. Share is taken as it is now.

    Args:
        age_min: whole minutes since it was placed. paths: how many; the standard error is at most 0.5 / √paths.
    """
    distance = np.full(paths, max(distance_bp, 0.0))
    untouched = np.where(distance > 0.0, 1.0, 0.0)
    log_sigma = np.full(paths, np.log(volatility.sigma_bp / volatility.usual_bp))
    calm = exp(-1.0 / volatility.memory_min)
    pulled = np.zeros(paths)
    for minute in range(horizon_min):
        near = (np.maximum(distance, MIN_BP) / 10.0) ** hazard.distance_power
        goes = 1.0 - np.exp(-hazard.per_minute(share, 10.0, age_min + minute) * near)
        sigma = volatility.usual_bp * np.exp(log_sigma)
        after = distance + sigma * rng.standard_normal(paths)
        touches = np.where(after > 0.0, np.exp(-2.0 * distance * np.maximum(after, 0.0) / sigma**2), 1.0)
        pulled += untouched * goes * (1.0 - 0.5 * touches)
        untouched = untouched * (1.0 - goes) * (1.0 - touches)
        distance = np.maximum(after, 0.0)
        log_sigma = calm * log_sigma + volatility.spread * sqrt(1.0 - calm**2) * rng.standard_normal(paths)
    return float(pulled.mean())
