"""
The probability that a planted wall is pulled before it is touched, from its true hazard: the best possible forecast.
"""

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from simulators.exchange.market.planting import MIN_BP, Hazard


@dataclass(frozen=True, slots=True)
class Volatility:
    """
    The volatility of a market's price per minute, which varies around a level.

    Attributes:
        sigma_bp: standard deviation of a minute's move now.
        usual_bp: the level that it returns to.
        spread: standard deviation of its logarithm. memory_min: time constant of its return, minutes.
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
    The probability that a wall that stands now is pulled before the price touches it, within a horizon.

    Price paths are simulated by the minute; the chance that a path touches within a minute is the Brownian bridge's,
    exp(-2 · d0 · d1 / σ²); the hazard is that at the start of each minute, as in the market. Pull and touch in one
    minute count half each.

    Args:
        hazard: of the wall.
        share: of the wall in its side's depth within 90 bp, taken as constant.
        distance_bp: from the mid to its heavy price, bp.
        age_min: whole minutes since it was placed.
        horizon_min: whole minutes from now.
        volatility: of the market now.
        rng: generator of the paths.
        paths: number of paths; the standard error is at most 0.5 / √paths.
    """
    distance = np.full(paths, max(distance_bp, 0.0))
    alive = np.where(distance > 0.0, 1.0, 0.0)
    log_sigma = np.full(paths, np.log(volatility.sigma_bp / volatility.usual_bp))
    calm = exp(-1.0 / volatility.memory_min)
    pulls = np.zeros(paths)
    for minute in range(horizon_min):
        near = (np.maximum(distance, MIN_BP) / 10.0) ** hazard.distance_power
        pull_chance = 1.0 - np.exp(-hazard.per_minute(share, 10.0, age_min + minute) * near)
        sigma = volatility.usual_bp * np.exp(log_sigma)
        next_distance = distance + sigma * rng.standard_normal(paths)
        touch_chance = np.where(
            next_distance > 0.0, np.exp(-2.0 * distance * np.maximum(next_distance, 0.0) / sigma**2), 1.0
        )
        pulls += alive * pull_chance * (1.0 - 0.5 * touch_chance)
        alive = alive * (1.0 - pull_chance) * (1.0 - touch_chance)
        distance = np.maximum(next_distance, 0.0)
        log_sigma = calm * log_sigma + volatility.spread * sqrt(1.0 - calm**2) * rng.standard_normal(paths)
    return float(pulls.mean())
