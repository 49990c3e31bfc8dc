"""
The search for tests of levels: one pass over trades for each level.
"""

import numpy as np

from market.compiled import compiled
from projections.trades.trade_columns import first_outside

OPEN, REJECTED, BROKEN = 1, 2, 3
"""Outcomes of a test."""

_FAR = np.int64(2**63 - 1)  # beyond every price: one side of a search that has none


@compiled
def search_level_tests(times, prices, high, low, offset, levels, near_e8, away_e8, beyond_e8, span_ns):  # type: ignore[no-untyped-def]
    """
    Search the trades for every test of k levels; see `level_tests.find_level_tests`.

    Args:
        times, prices: n trades in agg_id order, ns and 1e-8 quote.
        high, low, offset: extremes of the trades' blocks, see `Trades`.
        levels: (k,) prices, 1e-8 quote.
        near_e8, away_e8, beyond_e8: the distances of a test, see `Reach`.
        span_ns: after this time without a decision a test stays open.

    Returns:
        (5, m) rows: level, side (+1 above, −1 below), outcome, index of the touch, index of the decision or −1.
    """
    tests = np.empty((5, 64), np.int64)
    count = 0
    n = len(prices)
    for k in range(len(levels)):
        level = levels[k]
        i = 0
        while i < n:
            i = first_outside(prices, high, low, offset, i, n, level - near_e8 - 1, level + near_e8 + 1)
            if i == n:
                break
            side = np.int64(1 if prices[i] > level else -1)
            if side > 0:
                touch = first_outside(prices, high, low, offset, i, n, level + near_e8, _FAR)
            else:
                touch = first_outside(prices, high, low, offset, i, n, -_FAR, level - near_e8)
            if touch == n:
                break
            end = _find_first_at(times, touch, times[touch] + span_ns)
            below = level - (beyond_e8 if side > 0 else away_e8)
            above = level + (away_e8 if side > 0 else beyond_e8)
            decision = first_outside(prices, high, low, offset, touch, end, below, above)
            outcome = OPEN
            if decision < end:
                outcome = REJECTED if (prices[decision] >= above) == (side > 0) else BROKEN
            if count == tests.shape[1]:
                tests = _grow(tests)
            tests[0, count], tests[1, count], tests[2, count] = k, side, outcome
            tests[3, count], tests[4, count] = touch, decision if decision < end else -1
            count += 1
            i = decision
    return tests[:, :count].copy()


@compiled
def _find_first_at(times, start, time_ns):  # type: ignore[no-untyped-def]
    """The index of the first trade from `start` on at a time or later, by bisection."""
    stop = len(times)
    while start < stop:
        middle = (start + stop) // 2
        if times[middle] < time_ns:
            start = middle + 1
        else:
            stop = middle
    return start


@compiled
def _grow(tests):  # type: ignore[no-untyped-def]
    wider = np.empty((5, 2 * tests.shape[1]), np.int64)
    wider[:, : tests.shape[1]] = tests
    return wider
