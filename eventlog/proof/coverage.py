"""
The time ranges in which a log cannot prove that it is complete, for analysis and scoring.

Trades are proven from one to the next where their ids follow one another; the book where updates follow one another
from a snapshot on, or, in a log without updates, in every minute that a snapshot arrived in. Silence proves nothing:
before the first trade and after the last, only a tick that found the feed live does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eventlog.facts.capture import BOOK_AUDIT, BOOK_RESET, TICK
from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from eventlog.facts.registry import KINDS
from eventlog.proof.chains import FROM_NS, LAST, TO_NS, TradeChain, UpdateChain
from eventlog.store.log import Log
from market.arrays import I64, Bools
from market.timestamps import DAY_NS, MINUTE_NS, floor_to

Span = tuple[int, int]

COVERAGE_COLUMNS: dict[str, tuple[str, ...]] = {
    name: kind.coverage_columns for name, kind in KINDS.items() if kind.coverage_columns is not None
}
"""The columns that coverage is worked out from, by kind."""


@dataclass(frozen=True, slots=True)
class CoverageGaps:
    """
    Unproven time ranges, each array of shape (n, 2): start and end (excluded) in ns, rising and disjoint.

    Attributes:
        trades: in trade time. depth: in arrival time.
        has_depth: whether the log holds any book in that time.
    """

    trades: I64
    depth: I64
    has_depth: bool


def find_coverage_gaps(log: Log, from_ns: int, to_ns: int) -> CoverageGaps:
    """
    The unproven ranges of a log from one time up to another; entries of the day before are read as evidence too.

    Args:
        log: all of it that arrived since a day before `from_ns` is read.
        from_ns, to_ns: start and end (excluded), ns UTC.
    """
    evidence = Evidence()
    for batch in log.read(log.seq_before(from_ns - DAY_NS), kinds=list(COVERAGE_COLUMNS), columns=COVERAGE_COLUMNS):
        for kind, rows in batch.rows.items():
            evidence.add(kind, rows.table())
    return evidence.coverage_gaps(from_ns, to_ns)


def overlapping(ranges: I64, start_ns: I64, stop_ns: I64) -> Bools:
    """
    Which of n spans touch any of k ranges.

    Args:
        ranges: shape (k, 2), start and end (excluded) in ns, rising and disjoint; k may be 0.
        start_ns, stop_ns: first and last ns of each span, both inclusive, shape (n,).
    """
    if len(ranges) == 0:
        return np.zeros(len(start_ns), bool)
    index = np.searchsorted(ranges[:, 1], start_ns, side="right")  # the first range that ends after the start
    inside = index < len(ranges)
    return inside & (ranges[np.minimum(index, len(ranges) - 1), 0] <= stop_ns)


def minutes_of(ranges: I64) -> I64:
    """The starts of all minutes that ranges touch, rising."""
    minutes = [np.arange(floor_to(int(a), MINUTE_NS), int(b), MINUTE_NS) for a, b in ranges]
    return np.unique(np.concatenate(minutes)) if minutes else np.empty(0, np.int64)


class Evidence:
    """
    The ids and times of a stretch of log that prove coverage; add tables in seq order per kind, kinds in any order.

    Attributes:
        ticks: boundary, states of trades and depth, and the newest agg id (-1 for none) of each.
    """

    def __init__(self) -> None:
        self.trades = TradeChain()
        self.updates = UpdateChain()
        self._books: list[I64] = []
        self.ticks: list[tuple[int, str, str, int]] = []
        self._resets: list[int] = []
        self._unhealthy: list[Span] = []

    def add(self, kind: str, table: pa.Table) -> None:
        """Add rows of one kind of `COVERAGE_COLUMNS`, with at least those columns; other kinds are ignored."""
        if kind == AGG_TRADE:
            self.trades.add(*(_array(table, name) for name in COVERAGE_COLUMNS[AGG_TRADE]))
        elif kind == DIFF:
            self.updates.add(*(_array(table, n) for n in ("seq", "first_update_id", "last_update_id", "recv_ns")))
        elif kind == SNAPSHOT:
            self._books.append(np.stack([_array(table, "recv_ns"), _array(table, "last_update_id")], axis=1))
        elif kind == TICK:
            numbers = [_array(table, "boundary_ns"), _array(table, "last_agg_id", -1)]
            states = [table.column(name).to_pylist() for name in ("trades", "depth")]
            self.ticks += zip(numbers[0].tolist(), *states, numbers[1].tolist(), strict=True)
        elif kind == BOOK_RESET:
            self._resets += _array(table, "recv_ns").tolist()
        elif kind == BOOK_AUDIT:
            unhealthy = table.filter(pc.invert(table.column("healthy")))
            pairs = (_array(unhealthy, name).tolist() for name in ("recv_ns", "snapshot_update_id"))
            self._unhealthy += zip(*pairs, strict=True)

    def coverage_gaps(self, from_ns: int, to_ns: int) -> CoverageGaps:
        """The unproven ranges from one time up to another, ns UTC."""
        books = np.concatenate(self._books) if self._books else np.empty((0, 2), np.int64)
        depth = [*self._depth_gaps(books, from_ns, to_ns), *self._find_wrong_books(books, to_ns)]
        updates = self.updates.runs()
        has_depth = np.any((books[:, 0] >= from_ns) & (books[:, 0] < to_ns)) or np.any(
            (updates[:, 2] < to_ns) & (updates[:, 3] >= from_ns)
        )
        return CoverageGaps(
            _merge_spans(self._trade_gaps(from_ns, to_ns), from_ns, to_ns),
            _merge_spans(depth, from_ns, to_ns),
            bool(has_depth),
        )

    def _trade_gaps(self, from_ns: int, to_ns: int) -> list[Span]:
        runs = self.trades.runs()
        if len(runs) == 0:
            return [(from_ns, to_ns)]
        highest_ns = np.maximum.accumulate(runs[:, TO_NS])
        between = [
            (min(int(end), int(start)), max(int(end), int(start)) + 1)
            for end, start in zip(highest_ns[:-1], runs[1:, FROM_NS], strict=True)
        ]
        last_id = int(runs[:, LAST].max())
        live_ns = [boundary for boundary, trades, _, agg_id in self.ticks if trades == "live" and agg_id == last_id]
        proven_to_ns = max([int(highest_ns[-1]) + 1, *live_ns])
        return [(from_ns, int(runs[0, FROM_NS])), *between, (proven_to_ns, to_ns)]

    def _depth_gaps(self, books: I64, from_ns: int, to_ns: int) -> list[Span]:
        runs = self.updates.runs()
        if len(runs) == 0:
            minutes = np.unique(books[:, 0] - books[:, 0] % MINUTE_NS)
            return _complement([(int(m), int(m) + MINUTE_NS) for m in minutes], from_ns, to_ns)
        proven: list[Span] = []
        for first, last, _, until_ns, _, _ in runs.tolist():
            fits = (books[:, 1] >= first - 1) & (books[:, 1] <= last)
            if fits.any():
                proven.append((int(books[fits, 0].min()), until_ns))
        if proven and proven[-1][1] == runs[-1, 3]:
            live_ns = [boundary for boundary, _, depth, _ in self.ticks if depth == "live"]
            proven[-1] = (proven[-1][0], max(proven[-1][1] + 1, *live_ns, 0))
        return _complement(proven, from_ns, to_ns)

    def _find_wrong_books(self, books: I64, to_ns: int) -> Iterable[Span]:
        """From a reset to the next snapshot; from the snapshot that an unhealthy book came from to its audit."""
        for at_ns in self._resets:
            later = books[books[:, 0] > at_ns, 0]
            yield at_ns, int(later.min()) if len(later) else to_ns
        for at_ns, update_id in self._unhealthy:
            earlier = books[books[:, 1] < update_id, 0]
            yield int(earlier.max()) if len(earlier) else 0, at_ns


def _array(table: pa.Table, name: str, null: int | None = None) -> I64:
    column = table.column(name)
    return np.asarray((column if null is None else pc.fill_null(column, null)).to_numpy(), np.int64)


def _complement(spans: Sequence[Span], from_ns: int, to_ns: int) -> list[Span]:
    gaps, end_ns = [], from_ns
    for start, end in sorted(spans):
        gaps.append((end_ns, start))
        end_ns = max(end_ns, end)
    return [*gaps, (end_ns, to_ns)]


def _merge_spans(spans: Iterable[Span], from_ns: int, to_ns: int) -> I64:
    """Spans clipped to a stretch, rising, those that touch merged."""
    parts = sorted((max(a, from_ns), min(b, to_ns)) for a, b in spans)
    merged_spans: list[list[int]] = []
    for start, end in parts:
        if start >= end:
            continue
        if merged_spans and start <= merged_spans[-1][1]:
            merged_spans[-1][1] = max(merged_spans[-1][1], end)
        else:
            merged_spans.append([start, end])
    return np.array(merged_spans, np.int64).reshape(-1, 2)
