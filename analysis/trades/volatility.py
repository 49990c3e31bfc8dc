"""
σ, the unit of distance: in σ touch rates hold across quiet and wild hours, in fixed basis points they do not.
"""

import numpy as np

from market.arrays import I64
from market.timestamps import MINUTE_NS


def compute_sigma(
    starts_ns: I64, close_e8: I64, end_ns: int, minutes: int, min_returns: int, tick_size_e8: int
) -> float | None:
    """
    Root mean square of the last one-minute log returns.

    Args:
        starts_ns, close_e8: k minutes with trades, oldest first; a minute without trades keeps the close before it.
        end_ns: the end of the last closed minute.
        minutes: largest number of returns.
        min_returns: least number of returns.
        tick_size_e8: one tick is the smallest σ there is.

    Returns:
        A fraction of price, to 9 decimals; None with too few returns.
    """
    if len(starts_ns) == 0:
        return None
    grid = np.arange(end_ns - (minutes + 1) * MINUTE_NS, end_ns, MINUTE_NS)
    index = np.searchsorted(starts_ns, grid, side="right") - 1
    closes = close_e8[index[index >= 0]].astype(np.float64)
    if len(closes) - 1 < min_returns:
        return None
    returns = np.diff(np.log(closes))
    floor = tick_size_e8 / float(closes[-1])
    return round(max(float(np.sqrt(np.mean(returns * returns))), floor), 9)
