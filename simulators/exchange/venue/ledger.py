"""
The ledger: every aggTrade of the exchange by agg id, from the history to the last step.
"""

from typing import Literal

import numpy as np

from market.arrays import I64
from simulators.exchange.market.trades import FIELDS, TIME, Trades, join_trades, no_trades

_BLOCK = 65_536  # columns; bounds what one block allocates at once


class Ledger:
    """
    AggTrades in blocks of 65,536 columns; ids run without a gap, so an id is a position.

    Args:
        first_agg_id: the id of the first aggTrade that will be appended.
    """

    def __init__(self, first_agg_id: int) -> None:
        self._first = first_agg_id
        self._blocks: list[I64] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def first_agg_id(self) -> int:
        """The id of the first aggTrade, also before it is appended."""
        return self._first

    @property
    def next_agg_id(self) -> int:
        """The id that the next aggTrade must have."""
        return self._first + self._count

    def append(self, trades: Trades) -> None:
        """
        Add aggTrades that follow the last one.

        Raises:
            ValueError: for ids that do not follow.
        """
        if len(trades) == 0:
            return
        ids = trades.agg_id
        if int(ids[0]) != self.next_agg_id or int(ids[-1]) != self.next_agg_id + len(trades) - 1:
            raise ValueError(f"the ledger expects agg id {self.next_agg_id}, not {ids[0]}..{ids[-1]}")
        start = 0
        while start < len(trades):
            offset = self._count % _BLOCK
            if offset == 0:
                self._blocks.append(np.empty((FIELDS, _BLOCK), np.int64))
            size = min(_BLOCK - offset, len(trades) - start)
            self._blocks[-1][:, offset : offset + size] = trades.columns[:, start : start + size]
            self._count += size
            start += size

    def select_by_id(self, from_agg_id: int, limit: int) -> Trades:
        """At most `limit` aggTrades from an id on; from the oldest one where the id is older."""
        return self._cut(max(0, from_agg_id - self._first), limit)

    def select_by_time(self, time_ns: int, end_ns: int | None, limit: int) -> Trades:
        """
        The first aggTrades of a range of times, oldest first.

        Args:
            time_ns: its beginning, ns UTC, included.
            end_ns: its end, ns UTC, included; None for no end.
            limit: number of trades, at most.
        """
        start = self._position(time_ns, "left")
        stop = self._count if end_ns is None else self._position(end_ns, "right")
        return self._cut(start, min(limit, max(0, stop - start)))

    def select_until(self, end_ns: int, limit: int) -> Trades:
        """The last `limit` aggTrades with a time up to and including `end_ns`, oldest first."""
        stop = self._position(end_ns, "right")
        start = max(0, stop - limit)
        return self._cut(start, stop - start)

    def select_latest(self, limit: int) -> Trades:
        """The last `limit` aggTrades, oldest first."""
        return self._cut(max(0, self._count - limit), limit)

    def dump(self) -> Trades:
        """All aggTrades, as one copy."""
        return self._cut(0, self._count)

    def _cut(self, start: int, limit: int) -> Trades:
        stop = min(self._count, start + max(0, limit))
        if start >= stop:
            return no_trades()
        parts = []
        for block in range(start // _BLOCK, (stop - 1) // _BLOCK + 1):
            low, high = max(start - block * _BLOCK, 0), min(stop - block * _BLOCK, _BLOCK)
            parts.append(Trades(self._blocks[block][:, low:high]))
        return join_trades(parts)

    def _position(self, time_ns: int, side: Literal["left", "right"]) -> int:
        # Blocks are few (one a day or so): walk back from the newest, which most requests ask for.
        for block in range(len(self._blocks) - 1, -1, -1):
            count = min(_BLOCK, self._count - block * _BLOCK)
            times = self._blocks[block][TIME, :count]
            first = int(times[0])
            if first < time_ns or (first == time_ns and side == "right"):
                return block * _BLOCK + int(np.searchsorted(times, time_ns, side))
        return 0
