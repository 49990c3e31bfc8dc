"""
Merges depth diffs: one diff per second for the slower of the two depth streams.
"""

import numpy as np

from market.arrays import I64
from simulators.exchange.market.engine import DepthDiff


class DepthMerger:
    """
    Merges the diffs of `span` steps into one.

    Args:
        span: number of steps per merged diff; 10 steps of 100 ms are a second.
    """

    def __init__(self, span: int = 10) -> None:
        self._span = span
        self._steps = 0
        self._first: int | None = None
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def add(self, diff: DepthDiff) -> DepthDiff | None:
        """Add the diff of a step; returns the merged diff at every `span`-th step, else None; None without changes."""
        self._steps += 1
        if diff.last_update_id >= diff.first_update_id:
            self._first = diff.first_update_id if self._first is None else self._first
            self._bids.update(zip(*(column.tolist() for column in diff.bids), strict=True))
            self._asks.update(zip(*(column.tolist() for column in diff.asks), strict=True))
        if self._steps < self._span:
            return None
        return self._take(diff.last_update_id)

    def _take(self, last_update_id: int) -> DepthDiff | None:
        first, self._first, self._steps = self._first, None, 0
        if first is None:
            return None
        diff = DepthDiff(first, last_update_id, _to_arrays(self._bids, falling=True), _to_arrays(self._asks))
        self._bids, self._asks = {}, {}
        return diff


def _to_arrays(levels: dict[int, int], falling: bool = False) -> tuple[I64, I64]:
    prices = sorted(levels, reverse=falling)
    return np.array(prices, np.int64), np.array([levels[price] for price in prices], np.int64)
