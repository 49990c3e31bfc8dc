"""
How often orders are reached at a distance from the price, fitted on what is past: A·exp(−k·δ) a minute.
"""

from dataclasses import dataclass

import numpy as np

from market.timestamps import DAY_NS
from replay.recorded.minutes import Minutes

PAST_NS = DAY_NS
"""How far back a fit looks: all hours of a day have their own pace."""

_LEAST_MINUTES = 60  # with fewer a rare reach is counted once or never
_STEPS = np.arange(1, 13) * 0.25  # distances in root mean square reaches: from what most minutes reach to what few do
_LEAST_DISTANCES = 3  # a line through fewer says nothing of its fit


@dataclass(frozen=True, slots=True)
class Intensity:
    """
    Attributes:
        a: orders reached a minute at no distance. k: how fast they thin out, for a distance that is a fraction of the
            price.
    """

    a: float
    k: float


def fit_intensity(minutes: Minutes, until_ns: int) -> Intensity | None:
    """
    Fit how far from its first price a minute's trades reach, both sides together, over the day before a moment.

    Args:
        minutes: of the market; only those that ended by then are looked at.
        until_ns: the moment.

    Returns:
        The fit, by least squares of the logarithm of the rate on the distance; None where the past is too short, or
        reaches do not thin out.
    """
    past = minutes.between(until_ns - PAST_NS, until_ns)
    first = past.first_e8.astype(np.float64)
    reach = np.concatenate((past.high_e8 - first, first - past.low_e8)) / np.concatenate((first, first))
    scale = float(np.sqrt(np.mean(reach**2))) if len(reach) >= 2 * _LEAST_MINUTES else 0.0
    if scale <= 0:
        return None
    distance = _STEPS * scale
    share = (reach[:, None] >= distance).mean(axis=0)
    is_some = (share > 0) & (share < 1)
    if is_some.sum() < _LEAST_DISTANCES:
        return None
    slope, start = np.polyfit(distance[is_some], np.log(-np.log1p(-share[is_some])), 1)
    return Intensity(float(np.exp(start)), float(-slope)) if slope < 0 else None
