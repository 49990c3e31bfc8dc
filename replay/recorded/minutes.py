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
        tables, tick, end_ns = [np.empty((0, 8), np.int64)], 0, 0
        for time_ns, price, ids in parts:
            if len(time_ns):
                tick, end_ns = int(np.gcd(tick, common_unit(price))), max(end_ns, int(time_ns.max()))
                tables.append(_rows_of(time_ns, price, ids))
        return cls(*_joined(np.concatenate(tables)), end_ns, tick or 1)

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


_MINUTE, _COUNT, _FIRST, _HIGH, _LOW, _LAST, _LOWEST_ID, _HIGHEST_ID = range(8)  # columns of rows


def _rows_of(time_ns: I64, price: I64, ids: I64) -> I64:
    """A row for each minute of some trades, in the order of their ids, as the venue made them."""
    order = np.lexsort((ids, time_ns // MINUTE_NS))
    minute, price, ids = time_ns[order] // MINUTE_NS, price[order], ids[order]
    starts = _starts(minute)
    stops = np.append(starts[1:], len(minute))
    return np.column_stack(
        (minute[starts], stops - starts, price[starts], np.maximum.reduceat(price, starts),
         np.minimum.reduceat(price, starts), price[stops - 1], ids[starts], ids[stops - 1])
    )  # fmt: skip


def _joined(rows: I64) -> tuple[I64, I64, I64, I64, I64, I64, I64, I64]:
    """The columns of `Minutes`: rows of one minute become one, whose first price is that of its lowest id."""
    if not len(rows):
        empty = np.empty(0, np.int64)
        return (empty,) * 8
    early = rows[np.lexsort((rows[:, _LOWEST_ID], rows[:, _MINUTE]))]
    late = rows[np.lexsort((rows[:, _HIGHEST_ID], rows[:, _MINUTE]))]
    starts = _starts(early[:, _MINUTE])
    ends = np.append(starts[1:], len(rows)) - 1
    return (
        early[starts, _MINUTE] * MINUTE_NS, np.add.reduceat(early[:, _COUNT], starts), early[starts, _FIRST],
        np.maximum.reduceat(early[:, _HIGH], starts), np.minimum.reduceat(early[:, _LOW], starts), late[ends, _LAST],
        early[starts, _LOWEST_ID], late[ends, _HIGHEST_ID],
    )  # fmt: skip


def _starts(minute: I64) -> I64:
    return np.flatnonzero(np.append(True, np.diff(minute) > 0))
