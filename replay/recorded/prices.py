"""
The trades of a log, a stretch of time at a time: a month of a busy market is more than a machine should remember.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from eventlog.facts.market import AGG_TRADE
from eventlog.store.log import Log
from market.arrays import I64
from market.timestamps import MINUTE_NS
from replay.recorded.minutes import Minutes
from replay.recorded.price_path import READS, PricePath, path_of, signs_of
from runtime.warm_up import quantity_decimals_of

_INTEGERS = ("seq", "trade_time_ns", "agg_id", "price_e8", "quantity_e8")
_INDEXED = {AGG_TRADE: ("trade_time_ns", "agg_id", "price_e8")}


class Prices(Protocol):
    """Where the trades that follow advice come from."""

    @property
    def tick_size_e8(self) -> int:
        """The largest step on whose multiples all prices lie, 1e-8 quote."""
        ...

    def between(self, from_ns: int, to_ns: int) -> PricePath:
        """The trades of a stretch of time, those right before and after it included."""
        ...


class RecordedPrices:
    """
    The trades of a stretch of log.

    What is asked of a path between its two times is what the path of the whole stretch says: it has the trade before
    and the one after, also where trades were logged late.

    Args:
        log: of a market; read at once for its minutes, and again for each stretch that is asked for.
        after_seq: the seq before the first.
        until_seq: the last seq, included.

    Attributes:
        minutes: of the whole stretch.
    """

    def __init__(self, log: Log, after_seq: int, until_seq: int) -> None:
        self._log = log
        self._unit = 10 ** quantity_decimals_of(log)
        self._after_seq = after_seq
        self._until_seq = until_seq
        self._parts: list[tuple[int, int, int, int]] = []  # first and last seq, lowest and highest id
        self.minutes = Minutes.of(self._index())
        self._lowest_ids, self._highest_ids = np.sort(self.minutes.lowest_id), np.sort(self.minutes.highest_id)

    @property
    def tick_size_e8(self) -> int:
        """The largest step on whose multiples all prices lie, 1e-8 quote; 1 without trades."""
        return self.minutes.tick_size_e8

    def between(self, from_ns: int, to_ns: int) -> PricePath:
        """
        The trades of a stretch of time, with those right before and after it.

        Args:
            from_ns, to_ns: what is asked of the path lies between them.
        """
        minutes = self.minutes
        if not len(minutes):
            return PricePath.from_batches([], self._unit)
        first, last = np.searchsorted(minutes.start_ns, (from_ns - from_ns % MINUTE_NS, to_ns + 1)).tolist()
        lowest, highest = minutes.lowest_id[first:], minutes.highest_id[:last]
        # Whatever else was made before, or after, is out of reach: of each one trade is needed, and no more.
        before = int(np.searchsorted(self._lowest_ids, lowest.min())) - 1 if len(lowest) else len(minutes) - 1
        after = int(np.searchsorted(self._highest_ids, highest.max(), side="right")) if len(highest) else 0
        return self._read(int(self._lowest_ids[max(before, 0)]), int(self._highest_ids[min(after, len(minutes) - 1)]))

    def _read(self, lowest: int, highest: int) -> PricePath:
        """The trades of a range of ids; what was logged of later ones says when these were news."""
        columns: list[list[I64]] = [[] for _ in range(6)]
        later_seqs = [part[0] for part in self._parts if part[2] > highest]
        for after, until in self._stretches(lowest, highest):
            for batch in self._log.read(after, until, list(READS), READS):
                rows = batch.rows.get(AGG_TRADE)
                if rows is None:
                    continue
                ids = rows["agg_id"]
                is_later, is_inside = ids > highest, (ids >= lowest) & (ids <= highest)
                later_seqs += rows["seq"][is_later][:1].tolist()
                own = (*(rows[name] for name in _INTEGERS), signs_of(rows))
                for column, values in zip(columns, own, strict=True):
                    column.append(values[is_inside])
        seq, made_ns, ids, price, quantity, sign = (np.concatenate(c) for c in columns)
        return path_of(seq, made_ns, ids, price, quantity, sign, self._unit, min(later_seqs, default=None))

    def _stretches(self, lowest: int, highest: int) -> Iterator[tuple[int, int]]:
        """Where in the log a range of ids lies: the seq before, and the last one, of runs of parts."""
        run: tuple[int, int] | None = None
        for first_seq, last_seq, low, high in self._parts:
            if high < lowest or low > highest:
                if run is not None:
                    yield run
                run = None
            else:
                run = (first_seq - 1 if run is None else run[0], last_seq)
        if run is not None:
            yield run

    def _index(self) -> Iterator[tuple[I64, I64, I64]]:
        for batch in self._log.read(self._after_seq, self._until_seq, list(_INDEXED), _INDEXED):
            rows = batch.rows.get(AGG_TRADE)
            if rows is None or not len(rows):
                continue
            seq, ids = rows["seq"], rows["agg_id"]
            self._parts.append((int(seq[0]), int(seq[-1]), int(ids.min()), int(ids.max())))
            yield rows["trade_time_ns"], rows["price_e8"], ids
