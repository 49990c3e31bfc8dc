"""
The prices that followed, and when one was first reached: an index of extremes per block makes each search short.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch
from market.arrays import I64, Bools
from market.compiled import compiled
from market.timestamps import MINUTE_NS

READS = {AGG_TRADE: ("recv_ns", "trade_time_ns", "agg_id", "price_e8")}
_BLOCK = 256  # prices under one pair of extremes: a search skips that many at a time


@dataclass(frozen=True, slots=True)
class PricePath:
    """
    n trades in agg_id order, the order in which the venue made them.

    Attributes:
        at_ns: when each could be known: its arrival, or its trade time where it was fetched more than a minute late.
            Never falling.
        price_e8: 1e-8 quote. seq: its seq in the log: trades that were there before advice may not score it.
        block_low_e8, block_high_e8: extremes of each block of 256 prices.
    """

    at_ns: I64
    price_e8: I64
    seq: I64
    block_low_e8: I64
    block_high_e8: I64

    @classmethod
    def from_batches(cls, batches: Iterable[Batch]) -> "PricePath":
        """Collect the trades of a log, read with the columns of READS."""
        parts = [b.rows[AGG_TRADE] for b in batches if AGG_TRADE in b.rows]
        names = ("seq", "recv_ns", "trade_time_ns", "agg_id", "price_e8")
        empty = np.empty(0, np.int64)
        seq, recv_ns, trade_ns, ids, price = (np.concatenate([p[n] for p in parts] or [empty]) for n in names)
        if np.any(np.diff(ids) <= 0):
            order = np.argsort(ids, kind="stable")
            seq, recv_ns, trade_ns, price = seq[order], recv_ns[order], trade_ns[order], price[order]
        known_ns = np.where(recv_ns - trade_ns < MINUTE_NS, recv_ns, trade_ns)
        return cls.from_columns(np.maximum.accumulate(known_ns) if len(known_ns) else empty, price, seq)

    @classmethod
    def from_columns(cls, at_ns: I64, price_e8: I64, seq: I64) -> "PricePath":
        """
        Build from columns in agg_id order.

        Args:
            at_ns: (n,) when each trade could be known, never falling.
            price_e8: (n,) 1e-8 quote.
            seq: (n,) in the log.
        """
        if len(price_e8) == 0:
            return cls(at_ns, price_e8, seq, price_e8, price_e8)
        starts = np.arange(0, len(price_e8), _BLOCK)
        return cls(at_ns, price_e8, seq, np.minimum.reduceat(price_e8, starts), np.maximum.reduceat(price_e8, starts))

    def __len__(self) -> int:
        return len(self.price_e8)

    @property
    def end_ns(self) -> int:
        """The moment of the last trade; 0 for no trades."""
        return int(self.at_ns[-1]) if len(self.at_ns) else 0

    def index_at(self, times_ns: I64) -> I64:
        """For each time, the index of the first trade at or after it; n where there is none."""
        return np.searchsorted(self.at_ns, times_ns, side="left")

    def price_at(self, times_ns: I64) -> I64:
        """For each time, the last price at or before it, 1e-8 quote; −1 before the first trade or after the last."""
        index = np.searchsorted(self.at_ns, times_ns, side="right") - 1
        is_known = (index >= 0) & (times_ns <= self.end_ns)
        return np.where(is_known, self.price_e8[np.maximum(index, 0)] if len(self) else -1, -1)

    def find_first_beyond(self, falling: Bools, start: I64, stop: I64, price_e8: I64, after_seq: I64) -> I64:
        """
        For each of m searches, the first trade at a price or beyond it, as an index; −1 for none.

        Args:
            falling: whether beyond means below.
            start, stop: the trades searched, as indices: the first is included, the second is not.
            price_e8: the price to reach, 1e-8 quote.
            after_seq: only trades with a higher seq count.
        """
        sign = np.where(falling, 1, -1)
        blocks = self.block_low_e8, self.block_high_e8
        return _first_beyond(self.price_e8, *blocks, self.seq, sign, start, stop, price_e8, after_seq)


@compiled
def _first_beyond(price, low, high, seq, sign, start, stop, limit, after_seq):  # type: ignore[no-untyped-def]
    first = np.full(len(start), -1, np.int64)
    for k in range(len(start)):
        i, end, direction, bound = start[k], stop[k], sign[k], sign[k] * limit[k]
        extremes = low if direction > 0 else high
        while i < end and first[k] < 0:
            block_end = min((i // _BLOCK + 1) * _BLOCK, end)
            if direction * extremes[i // _BLOCK] <= bound:
                while i < block_end:
                    if direction * price[i] <= bound and seq[i] > after_seq[k]:
                        first[k] = i
                        break
                    i += 1
            i = block_end
    return first
