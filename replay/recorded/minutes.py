"""
A market in minutes: first, highest, lowest and last price of each minute with trades, and how many there were.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from market.arrays import I64
from market.fixed_point import common_unit
from market.timestamps import MINUTE_NS


@dataclass(frozen=True, slots=True)
class Minutes:
    """
    n minutes with trades.

    Attributes:
        start_ns: (n,) rising. count: (n,) of trades. first_e8, high_e8, low_e8, last_e8: (n,) 1e-8 quote.
        lowest_id, highest_id: (n,) of the trades of each.
        end_ns: when the last trade was made; 0 for none.
        tick_size_e8: the largest step on whose multiples all prices lie, 1e-8 quote; 1 for none.
    """

    start_ns: I64
    count: I64
    first_e8: I64
    high_e8: I64
    low_e8: I64
    last_e8: I64
    lowest_id: I64
    highest_id: I64
    end_ns: int
    tick_size_e8: int

    @classmethod
    def of(cls, parts: Iterable[tuple[I64, I64, I64]]) -> "Minutes":
        """
        Collect minutes from trades.

        Args:
            parts: times, ns, prices, 1e-8 quote, and ids of trades as they were logged: those of a minute may lie in
                several parts, in any order.
        """
        rows: dict[int, list[int]] = {}
        tick, end_ns = 0, 0
        for time_ns, price, ids in parts:
            if not len(time_ns):
                continue
            tick, end_ns = int(np.gcd(tick, common_unit(price))), max(end_ns, int(time_ns.max()))
            for key, new in _rows_of(time_ns, price, ids):
                row = rows.get(key)
                rows[key] = new if row is None else _join(row, new)
        keys = sorted(rows)
        table = np.array([rows[key] for key in keys], np.int64).reshape(-1, 7)
        count, first, high, low, last, lowest_id, highest_id = (table[:, n].copy() for n in range(7))
        start_ns = np.array(keys, np.int64) * MINUTE_NS
        return cls(start_ns, count, first, high, low, last, lowest_id, highest_id, end_ns, tick or 1)

    def __len__(self) -> int:
        return len(self.start_ns)

    def between(self, from_ns: int, to_ns: int) -> "Minutes":
        """The minutes that begin at a time or later, and end by another."""
        part = slice(*np.searchsorted(self.start_ns, (from_ns, to_ns - MINUTE_NS + 1)).tolist())
        return Minutes(
            self.start_ns[part], self.count[part], self.first_e8[part], self.high_e8[part], self.low_e8[part],
            self.last_e8[part], self.lowest_id[part], self.highest_id[part], self.end_ns, self.tick_size_e8,
        )  # fmt: skip

    def price_at(self, times_ns: I64) -> I64:
        """For each time, the last price of the minutes that ended by then, 1e-8 quote; −1 before the first."""
        place = np.searchsorted(self.start_ns, times_ns - MINUTE_NS, side="right") - 1
        return np.where(place >= 0, self.last_e8[np.maximum(place, 0)] if len(self) else -1, -1)


def _rows_of(time_ns: I64, price: I64, ids: I64) -> Iterable[tuple[int, list[int]]]:
    """The number of each minute, and its columns: trades in the order of their ids, as the venue made them."""
    order = np.lexsort((ids, time_ns // MINUTE_NS))
    minute, price, ids = time_ns[order] // MINUTE_NS, price[order], ids[order]
    starts = np.flatnonzero(np.append(True, np.diff(minute) > 0))
    stops = np.append(starts[1:], len(minute))
    columns = (
        stops - starts, price[starts], np.maximum.reduceat(price, starts), np.minimum.reduceat(price, starts),
        price[stops - 1], ids[starts], ids[stops - 1],
    )  # fmt: skip
    return zip(minute[starts].tolist(), np.column_stack(columns).tolist(), strict=True)


def _join(one: list[int], two: list[int]) -> list[int]:
    """The columns of one minute from two parts of it: the first price is that of the lowest id."""
    early, late = (one, two) if one[5] < two[5] else (two, one)
    last = one if one[6] > two[6] else two
    return [
        one[0] + two[0], early[1], max(one[2], two[2]), min(one[3], two[3]), last[4], early[5], max(early[6], late[6]),
    ]  # fmt: skip
