"""
The volume profile of the last minutes, updated as minutes come and go instead of summed again.
"""

import numpy as np

from market.arrays import I64
from market.compiled import compiled
from market.errors import SumOverflow
from market.fixed_point import LARGEST_E8
from market.timestamps import MINUTE_NS
from projections.trades.minute_buckets import Minute, MinuteBuckets


class IncrementalProfile:
    """
    Buy, sell and count by level over the last `minutes` closed minutes of a fold.

    A minute that a late trade changed is subtracted as it was and added as it is.
    """

    def __init__(self, buckets: MinuteBuckets, minutes: int) -> None:
        self.minutes = minutes
        self._buckets = buckets
        self._minutes: dict[int, Minute] = {}
        self._sums = np.zeros((4, 256), np.int64)  # level, buy, sell, count
        self._size = 0
        self._levels: tuple[I64, I64, I64, I64] | None = None
        self._first_ns: int | None = None  # the oldest minute in the sums
        self._mark = 0
        self._start_ns = 0
        self._open: set[int] = set()  # minutes with trades that have not closed yet

    def refresh(self) -> None:
        """Bring the sums up to the fold's window."""
        end = self._buckets.end_ns
        start = end - self.minutes * MINUTE_NS
        self._mark, changed_minutes = self._buckets.changes_since(self._mark)
        if changed_minutes is None:
            changed_minutes = list(self._minutes)
            changed_minutes += self._buckets.minutes_with_trades()
        for minute_ns in self._leaving(start):
            self._change(self._minutes.pop(minute_ns), -1)
        for minute_ns in {*changed_minutes, *self._open}:
            previous = self._minutes.pop(minute_ns, None)
            if previous is not None:
                self._change(previous, -1)
            minute = self._buckets.minute(minute_ns) if start <= minute_ns < end else None
            if minute is not None:
                self._minutes[minute_ns] = minute
                self._first_ns = minute_ns if self._first_ns is None else min(minute_ns, self._first_ns)
                self._change(minute, +1)
        self._open = {m for m in {*changed_minutes, *self._open} if m >= end}
        self._start_ns = start
        if self._first_ns not in self._minutes:
            self._first_ns = min(self._minutes, default=None)

    def _leaving(self, start_ns: int) -> list[int]:
        """The minutes that are too old now; only those that can be are tested."""
        span = (start_ns - self._start_ns) // MINUTE_NS
        if span <= len(self._minutes):
            return [m for m in range(self._start_ns, start_ns, MINUTE_NS) if m in self._minutes]
        return [m for m in self._minutes if m < start_ns]

    def levels(self) -> tuple[I64, I64, I64, I64]:
        """k levels, lowest first, with exact buy and sell quantities and trade counts; call `refresh` first."""
        if self._levels is None:
            level, buy, sell, count = self._sums[:, : self._size]
            has_trades = count > 0
            self._levels = level[has_trades], buy[has_trades], sell[has_trades], count[has_trades]
        return self._levels

    @property
    def covered_minutes(self) -> int:
        """The number of minutes from the first trade to the window's end."""
        end = self._buckets.end_ns
        return (end - (end if self._first_ns is None else self._first_ns)) // MINUTE_NS

    def _change(self, minute: Minute, sign: int) -> None:
        self._levels = None
        capacity = self._size + len(minute.level_e8)
        if capacity > self._sums.shape[1]:
            wider = np.zeros((4, 2 * capacity), np.int64)
            wider[:, : self._size] = self._sums[:, : self._size]
            self._sums = wider
        self._size = _add(
            self._sums, self._size, minute.level_e8, minute.buy_e8, minute.sell_e8, minute.count, np.int64(sign)
        )
        if self._size < 0:
            raise SumOverflow("a profile's quantity")


@compiled
def _add(sums, size, level, buy, sell, count, sign):  # type: ignore[no-untyped-def]
    """Add sorted levels into sorted levels from the top down, in place; emptied levels go when half are empty."""
    new_count = 0
    index = 0
    for i in range(len(level)):
        while index < size and sums[0, index] < level[i]:
            index += 1
        if index == size or sums[0, index] != level[i]:
            new_count += 1
    write = size + new_count - 1
    read = size - 1
    for i in range(len(level) - 1, -1, -1):
        while read >= 0 and sums[0, read] > level[i]:
            if write != read:
                sums[:, write] = sums[:, read]
            read -= 1
            write -= 1
        if read >= 0 and sums[0, read] == level[i]:
            if write != read:
                sums[:, write] = sums[:, read]
            read -= 1
        else:
            sums[0, write] = level[i]
            sums[1:, write] = 0
        sums[1, write] += sign * buy[i]
        sums[2, write] += sign * sell[i]
        sums[3, write] += sign * count[i]
        for row in (1, 2):  # two sums that fit cannot wrap past the sign unseen
            if sums[row, write] < 0 or sums[row, write] > LARGEST_E8:
                return -1
        write -= 1
    size += new_count
    empty = 0
    for i in range(size):
        empty += sums[3, i] == 0
    if 2 * empty > size:
        next_index = 0
        for i in range(size):
            if sums[3, i] != 0:
                sums[:, next_index] = sums[:, i]
                next_index += 1
        size = next_index
    return size
