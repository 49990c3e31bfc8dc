"""
The displayed book of a log, a stretch at a time and only at the prices that matter: where orders stand in the queue.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from eventlog.facts.market import DIFF, SNAPSHOT
from eventlog.store.batch import Batch, Rows
from eventlog.store.log import Log
from fills.displayed_book import DisplayedBook
from fills.level_rows import LevelRows
from market.arrays import I64
from market.timestamps import MINUTE_NS
from projections.book.book_levels import SIDES
from replay.decisions import Ticks

_BEFORE_NS = 3 * MINUTE_NS  # a snapshot comes every minute; two may be lost
_STALE_NS = 2 * MINUTE_NS  # how long a snapshot stands for the book where no other follows
_LEVELS = [f"{side}_{what}_e8" for side in SIDES for what in ("price", "quantity")]
READS = {
    SNAPSHOT: ("response_ns", "last_update_id", *_LEVELS),
    DIFF: ("event_time_ns", "first_update_id", "last_update_id", *_LEVELS),
}


class RecordedBooks:
    """
    The books of a stretch of log.

    Args:
        log: snapshots and diffs of a market.
        ticks: of the stretch: they say where in the log to read a time.
        until_seq: the last seq of the stretch.
    """

    def __init__(self, log: Log, ticks: Ticks, until_seq: int) -> None:
        self._log = log
        self._tick_ns = ticks.recv_ns
        self._tick_seq = ticks.seq
        self._until_seq = until_seq

    def exist(self) -> bool:
        """Whether a snapshot was recorded in the stretch."""
        columns = {SNAPSHOT: ("last_update_id",)}
        batches = self._log.read(int(self._tick_seq[0]), self._until_seq, [SNAPSHOT], columns)
        return any(SNAPSHOT in batch.rows for batch in batches)

    def between(self, from_ns: int, to_ns: int, price_e8: I64) -> DisplayedBook:
        """
        The sizes shown at some prices.

        Args:
            from_ns, to_ns: from when to when.
            price_e8: the prices, rising.
        """
        first = max(int(np.searchsorted(self._tick_ns, from_ns - _BEFORE_NS)) - 1, 0)
        last = int(np.searchsorted(self._tick_ns, to_ns + MINUTE_NS))
        until = int(self._tick_seq[last]) if last < len(self._tick_seq) else self._until_seq
        return book_of(self._log.read(int(self._tick_seq[first]), until, list(READS), READS), price_e8)


def book_of(batches: Iterable[Batch], price_e8: I64) -> DisplayedBook:
    """
    The sizes shown at some prices, by snapshots and the diffs that follow them; by snapshots alone without a diff.

    Args:
        batches: of a log, in order, read with the columns of READS.
        price_e8: the prices, rising.
    """
    book = _Book(price_e8)
    for batch in batches:
        diffs, snapshots = batch.rows.get(DIFF), batch.rows.get(SNAPSHOT)
        start = 0
        if snapshots is not None:
            for row in range(snapshots.start, snapshots.stop):
                if diffs is not None:
                    stop = int(np.searchsorted(diffs["seq"], snapshots.columns["seq"][row]))
                    book.add_diffs(_Diffs.of(diffs, start, stop))
                    start = stop
                book.add_snapshot(snapshots, row)
        if diffs is not None:
            book.add_diffs(_Diffs.of(diffs, start, len(diffs)))
    return book.finish()


class _Diffs:
    """Diffs in order: times, first and last update ids, and for each side offsets, prices and sizes."""

    def __init__(self, made_ns: I64, first: I64, last: I64, sides: Sequence[tuple[I64, I64, I64]]) -> None:
        self.made_ns, self.first, self.last, self.sides = made_ns, first, last, sides

    @classmethod
    def of(cls, rows: Rows, start: int, stop: int) -> "_Diffs":
        sides = []
        for side in SIDES:
            offsets, prices = rows.columns.flatten(f"{side}_price_e8")
            _, sizes = rows.columns.flatten(f"{side}_quantity_e8")
            sides.append((offsets[rows.start + start : rows.start + stop + 1], prices, sizes))
        names = ("event_time_ns", "first_update_id", "last_update_id")
        made_ns, first, last = (rows[name][start:stop] for name in names)
        return cls(made_ns, first, last, sides)

    def __len__(self) -> int:
        return len(self.made_ns)

    def part(self, start: int, stop: int) -> "_Diffs":
        sides = [(offsets[start : stop + 1], prices, sizes) for offsets, prices, sizes in self.sides]
        return _Diffs(self.made_ns[start:stop], self.first[start:stop], self.last[start:stop], sides)


class _Book:
    """
    The chain of update ids, the prices that it knows, and the rows that it gives.

    Once anchored, the levels named by a chain of diffs without a gap are known for good, so every snapshot within it
    adds to the prices that are known. A gap ends what is known until the next snapshot.
    """

    def __init__(self, price_e8: I64) -> None:
        self._rows = LevelRows(price_e8)
        self._spans: list[list[int]] = []  # start, end, lowest and highest price
        self._reach: tuple[int, int] | None = None  # None where nothing is anchored
        self._last_id = 0
        self._now_ns = 0  # the newest time of a row
        self._wider: tuple[int, Sequence[tuple[I64, I64]], tuple[int, int]] | None = None  # a snapshot to learn from
        self._has_moved = False  # whether a diff was applied since the last snapshot
        self._has_diffs = False
        self._waiting: list[_Diffs] = []  # of the last minutes: a snapshot may be older than they are

    def add_diffs(self, diffs: _Diffs) -> None:
        if not len(diffs):
            return
        self._has_diffs = True
        newest = int(diffs.last[-1])
        self._waiting = [d for d in self._waiting if d.made_ns[-1] > diffs.made_ns[-1] - _STALE_NS] + [diffs]
        if self._reach is None:
            return
        before = np.maximum.accumulate(np.append(self._last_id, diffs.last[:-1]))
        fresh = int(np.argmax(diffs.last > self._last_id)) if newest > self._last_id else len(diffs)
        gaps = np.flatnonzero((diffs.first > before + 1)[fresh:])
        stop = fresh + int(gaps[0]) if len(gaps) else len(diffs)
        self._apply(diffs.part(fresh, stop))
        self._widen()
        if stop < len(diffs):
            self._lose()  # what is missing may have come right after the last that is not

    def add_snapshot(self, rows: Rows, row: int) -> None:
        columns = rows.columns
        update_id = int(columns["last_update_id"][row])
        bids, bid_sizes, asks, ask_sizes = (columns.levels(name, row) for name in _LEVELS)
        prices = np.concatenate((bids, asks))
        if not len(prices):
            return
        reach = int(prices.min()), int(prices.max())
        if self._reach is not None and not self._has_moved and (update_id > self._last_id or not self._has_diffs):
            self._lose()  # no diff leads to it: what is known is as old as the last
        self._has_moved = False
        sides = (bids, bid_sizes), (asks, ask_sizes)
        if self._reach is None:
            self._now_ns = max(self._now_ns, int(columns["response_ns"][row]))
            self._rows.add_snapshot(self._now_ns, sides, reach)
            self._last_id = update_id
            self._begin_span(reach)
            waiting, self._waiting = self._waiting, []
            for diffs in waiting:
                self.add_diffs(diffs)
        else:
            self._wider = update_id, sides, reach
            self._widen()

    def finish(self) -> DisplayedBook:
        if self._reach is not None:
            self._lose()
        spans = np.array([s for s in self._spans if s[0] < s[1]], np.int64).reshape(-1, 4).T.copy()
        return DisplayedBook.from_level_rows(self._rows, tuple(spans), sampled=not self._has_diffs)  # type: ignore[arg-type]

    def _apply(self, diffs: _Diffs) -> None:
        if not len(diffs):
            return
        self._has_moved = True
        made_ns = np.maximum(np.maximum.accumulate(diffs.made_ns), self._now_ns)
        for side, (offsets, prices, sizes) in enumerate(diffs.sides):
            inside = slice(int(offsets[0]), int(offsets[-1]))
            self._rows.add_changes(np.repeat(made_ns, np.diff(offsets)), side, prices[inside], sizes[inside])
        self._last_id, self._now_ns = int(diffs.last[-1]), int(made_ns[-1])

    def _widen(self) -> None:
        """Learn what lies beyond the known prices from a snapshot, once the diffs have come as far as it."""
        if self._wider is None or self._reach is None or self._wider[0] > self._last_id:
            return
        _, sides, reach = self._wider
        self._wider = None
        low, high = min(self._reach[0], reach[0]), max(self._reach[1], reach[1])
        if (low, high) != self._reach:
            self._rows.add_snapshot(self._now_ns, sides, reach, only_new=True)
            self._begin_span((low, high))

    def _begin_span(self, reach: tuple[int, int]) -> None:
        if self._spans and (self._reach is not None or self._spans[-1][1] > self._now_ns):
            self._spans[-1][1] = self._now_ns
        self._reach = reach
        self._spans.append([self._now_ns, self._now_ns, *reach])

    def _lose(self) -> None:
        """Nothing is known after the newest row, or once the newest snapshot is stale where there are no diffs."""
        self._spans[-1][1] = self._now_ns + (1 if self._has_diffs else _STALE_NS)
        self._reach = None
        self._wider = None
