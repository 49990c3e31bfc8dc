"""
The trades that followed, in the order in which the venue made them: what tests zones and fills orders.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch, Rows
from eventlog.store.log import Log
from fills.trade_search import next_reach
from fills.trade_tape import TradeTape
from market.arrays import I64, Bools
from market.compiled import compiled
from market.fixed_point import ONE_E8, common_unit
from replay.recorded.minutes import Minutes
from runtime.warm_up import quantity_decimals_of

READS = {AGG_TRADE: ("trade_time_ns", "agg_id", "price_e8", "quantity_e8", "buyer_is_maker")}


@dataclass(frozen=True, slots=True)
class PricePath:
    """
    n trades in agg_id order, the order in which the venue made them.

    Attributes:
        tape: the trades; times are those of the venue, for a trade that arrives late was made when it was made.
        seq: the seq of each in the log. newest_known: (n,) the lowest seq of a trade and of all made after it.
        quantity_unit: counts of quantity in one base unit.
    """

    tape: TradeTape
    seq: I64
    newest_known: I64
    quantity_unit: int = ONE_E8

    @classmethod
    def from_log(cls, log: Log, after_seq: int, until_seq: int | None = None) -> "PricePath":
        """
        Read the trades of a log.

        Args:
            log: of a market.
            after_seq: the seq before the first.
            until_seq: the last seq, included; the last one there is where None.
        """
        return cls.from_batches(log.read(after_seq, until_seq, list(READS), READS), 10 ** quantity_decimals_of(log))

    @classmethod
    def from_batches(cls, batches: Iterable[Batch], quantity_unit: int = ONE_E8) -> "PricePath":
        """
        Collect the trades of a log, read with at least the columns of `READS`.

        Args:
            batches: of the log, in order.
            quantity_unit: counts of quantity in one base unit.
        """
        parts = [b.rows[AGG_TRADE] for b in batches if AGG_TRADE in b.rows]
        empty = np.empty(0, np.int64)
        names = ("seq", "trade_time_ns", "agg_id", "price_e8", "quantity_e8")
        seq, made_ns, ids, price, quantity = (np.concatenate([p[n] for p in parts] or [empty]) for n in names)
        sign = np.concatenate([signs_of(p) for p in parts] or [empty])
        return path_of(seq, made_ns, ids, price, quantity, sign, quantity_unit)

    @classmethod
    def from_tape(
        cls, tape: TradeTape, seq: I64, quantity_unit: int = ONE_E8, later_seq: int | None = None
    ) -> "PricePath":
        """
        Build from trades and their seqs in the log.

        Args:
            tape: n trades.
            seq: (n,) of each.
            quantity_unit: counts of quantity in one base unit.
            later_seq: the lowest seq of the trades made after all of these; None for none.
        """
        newest = np.minimum.accumulate(seq[::-1])[::-1] if len(seq) else seq
        return cls(tape, seq, newest if later_seq is None else np.minimum(newest, later_seq), quantity_unit)

    def __len__(self) -> int:
        return len(self.tape)

    @property
    def at_ns(self) -> I64:
        """(n,) when each was made, never falling."""
        return self.tape.time_ns

    @property
    def price_e8(self) -> I64:
        """(n,) 1e-8 quote."""
        return self.tape.price_e8

    @property
    def end_ns(self) -> int:
        """The moment of the last trade; 0 for no trades."""
        return int(self.at_ns[-1]) if len(self) else 0

    @property
    def tick_size_e8(self) -> int:
        """The largest step on whose multiples all prices lie, 1e-8 quote; 1 for no trades."""
        return common_unit(self.price_e8)

    @property
    def minutes(self) -> Minutes:
        """Its minutes."""
        return Minutes.of([(self.at_ns, self.price_e8, np.arange(len(self)))])

    def between(self, from_ns: int, to_ns: int) -> "PricePath":
        """The trades of a stretch of time and more: all of them."""
        return self

    def index_at(self, times_ns: I64) -> I64:
        """For each time, the index of the first trade at or after it; n where there is none."""
        return np.searchsorted(self.at_ns, times_ns, side="left")

    def first_after(self, seqs: I64) -> I64:
        """
        For each seq, the index of the first trade made after every trade that was in the log by then.

        A trade that was logged late, though made before one that was known already, is no news to what was advised.
        """
        return np.searchsorted(self.newest_known, seqs, side="right")

    def price_at(self, times_ns: I64) -> I64:
        """For each time, the last price at or before it, 1e-8 quote; −1 before the first trade or after the last."""
        index = np.searchsorted(self.at_ns, times_ns, side="right") - 1
        is_known = (index >= 0) & (times_ns <= self.end_ns)
        return np.where(is_known, self.price_e8[np.maximum(index, 0)] if len(self) else -1, -1)

    def find_first_beyond(self, falling: Bools, start: I64, stop: I64, price_e8: I64) -> I64:
        """
        For each of m searches, the first trade at a price or beyond it, as an index; −1 for none.

        Args:
            falling: whether beyond means below.
            start, stop: the trades searched, as indices: the first is included, the second is not.
            price_e8: the price to reach, 1e-8 quote.
        """
        tape = self.tape
        blocks = tape.block_high_e8, tape.block_low_e8, tape.group_high_e8, tape.group_low_e8
        return _first_beyond(tape.price_e8, blocks, np.where(falling, 1, -1), start, stop, price_e8)


def path_of(
    seq: I64, made_ns: I64, ids: I64, price: I64, quantity: I64, sign: I64, quantity_unit: int,
    later_seq: int | None = None,
) -> PricePath:  # fmt: skip
    """
    The path of n trades in any order.

    Args:
        seq, made_ns, ids: of each: its place in the log, when the venue made it, and the venue's id.
        price, quantity: 1e-8 quote, and counts.
        sign: +1 where the buyer was the aggressor, −1 where the seller was.
        quantity_unit: counts of quantity in one base unit.
        later_seq: the lowest seq of the trades made after all of these; None for none.
    """
    if np.any(np.diff(ids) <= 0):
        order = np.argsort(ids, kind="stable")
        seq, made_ns, price, quantity, sign = (c[order] for c in (seq, made_ns, price, quantity, sign))
    tape = TradeTape.from_columns(made_ns, price, quantity, sign)
    return PricePath.from_tape(tape, seq, quantity_unit, later_seq)


def signs_of(trades: Rows) -> I64:
    """+1 where the buyer was the aggressor, −1 where the seller was."""
    return np.where(trades["buyer_is_maker"], -1, 1)


@compiled
def _first_beyond(prices, blocks, sign, start, stop, limit):  # type: ignore[no-untyped-def]
    first = np.full(len(start), -1, np.int64)
    for k in range(len(start)):
        i = next_reach(prices, blocks, sign[k], limit[k], start[k], stop[k])
        if i < stop[k]:
            first[k] = i
    return first
