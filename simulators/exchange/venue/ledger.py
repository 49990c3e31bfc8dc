"""
The ledger: every aggTrade the exchange really made, by agg id, from the history through the last step.
"""

from typing import Literal

import numpy as np

from market.arrays import I64
from simulators.exchange.market.trades import FIELDS, TIME, Trades, join_trades, no_trades

_CHUNK = 65_536


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
        """The id of the first aggTrade, whether it is there yet or not."""
        return self._first

    @property
    def next_agg_id(self) -> int:
        """The id the next aggTrade must carry."""
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
        done = 0
        while done < len(trades):
            at = self._count % _CHUNK
            if at == 0:
                self._blocks.append(np.empty((FIELDS, _CHUNK), np.int64))
            size = min(_CHUNK - at, len(trades) - done)
            self._blocks[-1][:, at : at + size] = trades.columns[:, done : done + size]
            self._count += size
            done += size

    def range(self, from_agg_id: int, limit: int) -> Trades:
        """At most `limit` aggTrades from an id on; from the first one held where the id is older."""
        return self._cut(max(0, from_agg_id - self._first), limit)

    def since(self, time_ns: int, end_ns: int | None, limit: int) -> Trades:
        """At most `limit` aggTrades with a time from `time_ns` to `end_ns`, both included, oldest first."""
        start = self._position(time_ns, "left")
        stop = self._count if end_ns is None else self._position(end_ns, "right")
        return self._cut(start, min(limit, max(0, stop - start)))

    def until(self, end_ns: int, limit: int) -> Trades:
        """The last `limit` aggTrades with a time up to `end_ns`, that moment included, oldest first."""
        stop = self._position(end_ns, "right")
        start = max(0, stop - limit)
        return self._cut(start, stop - start)

    def latest(self, limit: int) -> Trades:
        """The last `limit` aggTrades, oldest first."""
        return self._cut(max(0, self._count - limit), limit)

    def dump(self) -> Trades:
        """All of it, as one copy."""
        return self._cut(0, self._count)

    def _cut(self, start: int, limit: int) -> Trades:
        stop = min(self._count, start + max(0, limit))
        if start >= stop:
            return no_trades()
        parts = []
        for block in range(start // _CHUNK, (stop - 1) // _CHUNK + 1):
            low, high = max(start - block * _CHUNK, 0), min(stop - block * _CHUNK, _CHUNK)
            parts.append(Trades(self._blocks[block][:, low:high]))
        return join_trades(parts)

    def _position(self, time_ns: int, side: Literal["left", "right"]) -> int:
        # Blocks are few (one a day or so): walk back from the newest, which is what is asked for most.
        for block in range(len(self._blocks) - 1, -1, -1):
            used = min(_CHUNK, self._count - block * _CHUNK)
            times = self._blocks[block][TIME, :used]
            first = int(times[0])
            if first < time_ns or (first == time_ns and side == "right"):
                return block * _CHUNK + int(np.searchsorted(times, time_ns, side))
        return 0
