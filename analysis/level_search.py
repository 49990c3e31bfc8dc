"""
The search for tests of levels: one pass over trades or bars for each level.
"""

import numba as nb
import numpy as np

from projections.trade_columns import first_outside

OPEN, REJECTED, BROKEN = 1, 2, 3
"""What became of a test."""

_FAR = np.int64(2**63 - 1)


@nb.njit(cache=True)
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


@nb.njit(cache=True)
def tested_by_bars(starts, bars, levels, near, away, beyond, span):  # type: ignore[no-untyped-def]
    """Opens and closes say on which side price was; a side is kept until a test takes it."""
    found = np.empty((5, 64), np.int64)
    count = 0
    n = len(starts)
    for k in range(len(levels)):
        level = levels[k]
        side = np.int64(0)
        i = 0
        while i < n:
            if side == 0:
                side = _side(bars[i, 0], level, near)
            reached = bars[i, 2] <= level + near if side > 0 else bars[i, 1] >= level - near
            if side == 0 or not reached:
                side = _side(bars[i, 3], level, near)
                i += 1
                continue
            outcome, j = OPEN, i
            while j < n and starts[j] < starts[i] + span:
                if bars[j, 2] <= level - beyond if side > 0 else bars[j, 1] >= level + beyond:
                    outcome = BROKEN
                    break
                if j > i and (bars[j, 1] >= level + away if side > 0 else bars[j, 2] <= level - away):
                    outcome = REJECTED
                    break
                j += 1
            if count == found.shape[1]:
                found = _twice(found)
            found[0, count], found[1, count], found[2, count] = k, side, outcome
            found[3, count], found[4, count] = i, j if outcome != OPEN else -1
            count += 1
            side = np.int64(0)
            if outcome != OPEN:
                side = _side(bars[j, 3], level, near)
                j += 1
            i = j
    return found[:, :count].copy()


@nb.njit(cache=True)
def _side(price, level, near):  # type: ignore[no-untyped-def]
    if price > level + near:
        return np.int64(1)
    return np.int64(-1 if price < level - near else 0)


@nb.njit(cache=True)
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


@nb.njit(cache=True)
def _twice(found):  # type: ignore[no-untyped-def]
    wider = np.empty((5, 2 * found.shape[1]), np.int64)
    wider[:, : found.shape[1]] = found
    return wider
