"""
The search for tests of levels: one pass over trades for each level.
"""

import numpy as np

from market.compiled import compiled
from projections.trades.trade_columns import first_outside

OPEN, REJECTED, BROKEN = 1, 2, 3
"""What became of a test."""

_FAR = np.int64(2**63 - 1)


@compiled
def tested_by_trades(times, prices, high, low, offset, levels, near, away, beyond, span):  # type: ignore[no-untyped-def]
    found = np.empty((5, 64), np.int64)
    count = 0
    n = len(prices)
    for k in range(len(levels)):
        level = levels[k]
        i = 0
        while i < n:
            i = first_outside(prices, high, low, offset, i, n, level - near - 1, level + near + 1)
            if i == n:
                break
            side = np.int64(1 if prices[i] > level else -1)
            if side > 0:
                touch = first_outside(prices, high, low, offset, i, n, level + near, _FAR)
            else:
                touch = first_outside(prices, high, low, offset, i, n, -_FAR, level - near)
            if touch == n:
                break
            end = _first_at(times, touch, times[touch] + span)
            below = level - (beyond if side > 0 else away)
            above = level + (away if side > 0 else beyond)
            decided = first_outside(prices, high, low, offset, touch, end, below, above)
            outcome = OPEN
            if decided < end:
                outcome = REJECTED if (prices[decided] >= above) == (side > 0) else BROKEN
            if count == found.shape[1]:
                found = _twice(found)
            found[0, count], found[1, count], found[2, count] = k, side, outcome
            found[3, count], found[4, count] = touch, decided if decided < end else -1
            count += 1
            i = decided
    return found[:, :count].copy()


@compiled
def _first_at(times, start, time_ns):  # type: ignore[no-untyped-def]
    """The first trade from a place on at a time or later, by halving."""
    stop = len(times)
    while start < stop:
        middle = (start + stop) // 2
        if times[middle] < time_ns:
            start = middle + 1
        else:
            stop = middle
    return start


@compiled
def _twice(found):  # type: ignore[no-untyped-def]
    wider = np.empty((5, 2 * found.shape[1]), np.int64)
    wider[:, : found.shape[1]] = found
    return wider
