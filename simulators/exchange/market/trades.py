"""
AggTrades as columns: one int64 matrix, a row per field, a column per aggTrade.

Fields after Binance's aggTrade (web-socket-streams.md, "Aggregate Trade Streams").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market.arrays import I64

AGG_ID, PRICE, QUANTITY, FIRST_ID, LAST_ID, TIME, BUYER_IS_MAKER = range(7)  # rows of the array
FIELDS = 7  # number of those rows


@dataclass(frozen=True, slots=True)
class Trades:
    """
    n aggTrades.

    Attributes:
        columns: int64 of shape (7, n): agg id, price (1e-8 quote), quantity (1e-8 base), first and last trade id,
            time (ns UTC, whole milliseconds), and 1 where the buyer was the maker (the seller was the aggressor).
    """

    columns: I64

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    def __getitem__(self, part: slice) -> "Trades":
        return Trades(self.columns[:, part])

    @property
    def agg_id(self) -> I64:
        """n aggTrade ids, each one above the last."""
        return self._row(AGG_ID)

    @property
    def price_e8(self) -> I64:
        """n prices, 1e-8 quote."""
        return self._row(PRICE)

    @property
    def quantity_e8(self) -> I64:
        """n quantities, 1e-8 base, summed over the underlying trades."""
        return self._row(QUANTITY)

    @property
    def first_id(self) -> I64:
        """n ids of the first underlying trade; each one above the last `last_id`."""
        return self._row(FIRST_ID)

    @property
    def last_id(self) -> I64:
        """n ids of the last underlying trade."""
        return self._row(LAST_ID)

    @property
    def time_ns(self) -> I64:
        """n trade times, ns UTC, whole milliseconds, never falling."""
        return self._row(TIME)

    @property
    def buyer_is_maker(self) -> I64:
        """n flags: 1 where the seller was the aggressor."""
        return self._row(BUYER_IS_MAKER)

    def _row(self, field: int) -> I64:
        row: I64 = self.columns[field]
        return row


def no_trades() -> Trades:
    """An empty list of aggTrades."""
    return Trades(np.empty((FIELDS, 0), np.int64))


def join_trades(parts: Sequence[Trades]) -> Trades:
    """Concatenate aggTrades, in the order of the list."""
    return Trades(np.concatenate([part.columns for part in parts], axis=1)) if parts else no_trades()
