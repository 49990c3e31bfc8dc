"""
How often orders are reached at a distance from the price, fitted on what is past: A·exp(−k·δ) a minute.
"""

from dataclasses import dataclass

import numpy as np

from market.arrays import F64
from market.timestamps import DAY_NS, MINUTE_NS
from replay.scoring.price_path import PricePath

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


def fit_intensity(path: PricePath, until_ns: int) -> Intensity | None:
    """
    Fit how far from its first price a minute's trades reach, both sides together, over the day before a moment.

    Args:
        path: the trades; only those before `until_ns` are looked at.
        until_ns: the moment.

    Returns:
        The fit, by least squares of the logarithm of the rate on the distance; None where the past is too short, or
        reaches do not thin out.
    """
    reach = _reaches(path, until_ns)
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


def _reaches(path: PricePath, until_ns: int) -> F64:
    """How far each minute with trades went up and down from its first price, as fractions of it."""
    edges = np.arange(until_ns - PAST_NS, until_ns + 1, MINUTE_NS)
    index = path.index_at(edges)
    starts = index[:-1][index[1:] > index[:-1]]
    if not len(starts):
        return np.empty(0)
    price = path.price_e8[: index[-1]]
    first = price[starts]
    high, low = np.maximum.reduceat(price, starts), np.minimum.reduceat(price, starts)
    return np.concatenate((high - first, first - low)) / np.concatenate((first, first))
