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
        end_ns: when the last trade was made; 0 for none.
        tick_size_e8: the largest step on whose multiples all prices lie, 1e-8 quote; 1 for none.
    """

    start_ns: I64
    count: I64
    first_e8: I64
    high_e8: I64
    low_e8: I64
    last_e8: I64
    end_ns: int
    tick_size_e8: int

    @classmethod
    def of(cls, parts: Iterable[tuple[I64, I64]]) -> "Minutes":
        """
        Collect minutes from trades.

        Args:
            parts: times, ns, and prices, 1e-8 quote, of trades as they were logged: those of a minute may lie in
                several parts.
        """
        rows: dict[int, list[int]] = {}
        tick, end_ns = 0, 0
        for time_ns, price in parts:
            if not len(time_ns):
                continue
            order = np.argsort(time_ns, kind="stable")
            time, price = time_ns[order], price[order]
            tick, end_ns = int(np.gcd(tick, common_unit(price))), max(end_ns, int(time[-1]))
            minute = time // MINUTE_NS
            starts = np.flatnonzero(np.append(True, np.diff(minute) > 0))
            stops = np.append(starts[1:], len(minute))
            columns = (
                minute[starts], stops - starts, price[starts], np.maximum.reduceat(price, starts),
                np.minimum.reduceat(price, starts), price[stops - 1],
            )  # fmt: skip
            for key, count, first, high, low, last in zip(*(c.tolist() for c in columns), strict=True):
                row = rows.setdefault(key, [0, first, high, low, last])
                row[0] += count
                row[2:] = max(row[2], high), min(row[3], low), last
        keys = sorted(rows)
        table = np.array([rows[key] for key in keys], np.int64).reshape(-1, 5).T.copy()
        return cls(np.array(keys, np.int64) * MINUTE_NS, *table, end_ns=end_ns, tick_size_e8=tick or 1)

    def __len__(self) -> int:
        return len(self.start_ns)

    def between(self, from_ns: int, to_ns: int) -> "Minutes":
        """The minutes that begin at a time or later, and end by another."""
        start, stop = np.searchsorted(self.start_ns, (from_ns, to_ns - MINUTE_NS + 1)).tolist()
        columns = (self.start_ns, self.count, self.first_e8, self.high_e8, self.low_e8, self.last_e8)
        return Minutes(*(column[start:stop] for column in columns), self.end_ns, self.tick_size_e8)

    def price_at(self, times_ns: I64) -> I64:
        """For each time, the last price of the minutes that ended by then, 1e-8 quote; −1 before the first."""
        place = np.searchsorted(self.start_ns, times_ns - MINUTE_NS, side="right") - 1
        return np.where(place >= 0, self.last_e8[np.maximum(place, 0)] if len(self) else -1, -1)
