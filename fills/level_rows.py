"""
The rows of some levels, collected from snapshots and changes of the book as they come.
"""

from collections.abc import Sequence

import numpy as np

from market.arrays import I64

_UNNAMED = -1  # of a level whose size was never said


class LevelRows:
    """
    From when on each of k prices shows which size, on either side.

    Args:
        price_e8: (k,) the prices that matter, rising, 1e-8 quote; rows of others are dropped.
    """

    def __init__(self, price_e8: I64) -> None:
        self.price_e8 = price_e8
        self._size = np.full((2, len(price_e8)), _UNNAMED, np.int64)
        self._parts: list[tuple[I64, I64, I64, I64]] = []  # time, 1 for a bid, place of the price, size

    def add_snapshot(
        self, at_ns: int, sides: Sequence[tuple[I64, I64]], reach_e8: tuple[int, int], *, only_new: bool = False
    ) -> None:
        """
        Take a snapshot's sizes; what it does not name within its reach is empty, what lies beyond is not known.

        Args:
            at_ns: when it was true, not before what was added earlier.
            sides: prices and sizes of its bids, and of its asks.
            reach_e8: the lowest and the highest price that it would name.
            only_new: whether sizes that are known already stay as they are.
        """
        inside = (self.price_e8 >= reach_e8[0]) & (self.price_e8 <= reach_e8[1])
        for side, (price, size) in enumerate(sides):
            shown = np.zeros(len(self.price_e8), np.int64)
            place, is_ours = self._places(price)
            shown[place[is_ours]] = size[is_ours]
            known = self._size[side]
            changed = np.flatnonzero(inside & ((known == _UNNAMED) if only_new else (shown != known)))
            if not only_new:
                known[~inside] = _UNNAMED
            self._append(np.full(len(changed), at_ns, np.int64), side, changed, shown[changed])

    def add_changes(self, at_ns: I64, side: int, price_e8: I64, size_e8: I64) -> None:
        """
        Take n changes of one side, in order.

        Args:
            at_ns: when each was made, never falling, nor before what was added earlier.
            side: 0 for bids, 1 for asks.
            price_e8, size_e8: the level, and the size it then shows, 0 for none.
        """
        place, is_ours = self._places(price_e8)
        self._append(at_ns[is_ours], side, place[is_ours], size_e8[is_ours])

    def rows(self) -> tuple[I64, I64, I64, I64]:
        """Time, 1 for a bid, price and size of each row; those of one level in the order in which they came."""
        empty = np.empty(0, np.int64)
        time, is_bid, place, size = (np.concatenate([part[n] for part in self._parts] or [empty]) for n in range(4))
        return time, is_bid, self.price_e8[place] if len(place) else empty, size

    def _places(self, price_e8: I64) -> tuple[I64, I64]:
        if not len(self.price_e8):
            return np.zeros(len(price_e8), np.int64), np.zeros(len(price_e8), np.bool_)
        place = np.minimum(np.searchsorted(self.price_e8, price_e8), len(self.price_e8) - 1)
        return place, self.price_e8[place] == price_e8

    def _append(self, at_ns: I64, side: int, place: I64, size: I64) -> None:
        if len(place):
            self._size[side, place] = size  # of several changes of one level the last counts
            self._parts.append((at_ns, np.full(len(place), 1 - side, np.int64), place, size))
