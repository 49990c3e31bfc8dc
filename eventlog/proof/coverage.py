"""
What of a market's time cannot be proven, as ranges of time that analysis and scoring can look up.

Trades are proven from one to the next where their ids follow one another; the book where updates follow one another
from a snapshot on, or, in a log without updates, in every minute that a snapshot arrived in. Silence proves nothing:
before the first trade, and after the last, only a tick that saw the feed live does.
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

EVIDENCE: dict[str, tuple[str, ...]] = {
    name: kind.coverage_columns for name, kind in KINDS.items() if kind.coverage_columns is not None
}
"""The columns that proof needs."""


@dataclass(frozen=True, slots=True)
class Mask:
    """
    Ranges that are not proven, each of shape (n, 2): start and end (excluded) in ns, rising and apart.

    Attributes:
        trades: in trade time. depth: in arrival time.
        has_depth: whether the log holds any book there at all.
    """

    trades: I64
    depth: I64
    has_depth: bool


def unproven(log: Log, from_ns: int, to_ns: int) -> Mask:
    """What a log cannot prove from one time up to another; entries of a day before count as witnesses."""
    evidence = Evidence()
    for batch in log.read(log.seq_before(from_ns - DAY_NS), kinds=list(EVIDENCE), columns=EVIDENCE):
        for kind, rows in batch.rows.items():
            evidence.add(kind, rows.table())
    return evidence.mask(from_ns, to_ns)


def overlapping(ranges: I64, start_ns: I64, stop_ns: I64) -> Bools:
    """Which of n spans, both ends included, touch any of k rising ranges."""
    if len(ranges) == 0:
        return np.zeros(len(start_ns), bool)
    at = np.searchsorted(ranges[:, 1], start_ns, side="right")  # the first range that ends after the start
    inside = at < len(ranges)
    return inside & (ranges[np.minimum(at, len(ranges) - 1), 0] <= stop_ns)


def minutes_of(ranges: I64) -> I64:
    """The starts of all minutes that ranges touch, rising."""
    touched = [np.arange(floor_to(int(a), MINUTE_NS), int(b), MINUTE_NS) for a, b in ranges]
    return np.unique(np.concatenate(touched)) if touched else np.empty(0, np.int64)


class Evidence:
    """
    What was seen of a stretch of log; add tables in seq order, a kind at a time or mixed.

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
        """Take rows of one kind; kinds that prove nothing are passed over."""
        if kind == AGG_TRADE:
            self.trades.add(*(_array(table, name) for name in EVIDENCE[AGG_TRADE]))
        elif kind == DIFF:
            self.updates.add(*(_array(table, n) for n in ("seq", "first_update_id", "last_update_id", "recv_ns")))
        elif kind == SNAPSHOT:
            self._books.append(np.stack([_array(table, "recv_ns"), _array(table, "last_update_id")], axis=1))
        elif kind == TICK:
            known = [_array(table, "boundary_ns"), _array(table, "last_agg_id", -1)]
            states = [table.column(name).to_pylist() for name in ("trades", "depth")]
            self.ticks += zip(known[0].tolist(), *states, known[1].tolist(), strict=True)
        elif kind == BOOK_RESET:
            self._resets += _array(table, "recv_ns").tolist()
        elif kind == BOOK_AUDIT:
            sick = table.filter(pc.invert(table.column("healthy")))
            pairs = (_array(sick, name).tolist() for name in ("recv_ns", "snapshot_update_id"))
            self._unhealthy += zip(*pairs, strict=True)

    def mask(self, from_ns: int, to_ns: int) -> Mask:
        """What all of it cannot prove from one time up to another."""
        books = np.concatenate(self._books) if self._books else np.empty((0, 2), np.int64)
        depth = [*self._depth(books, from_ns, to_ns), *self._known_wrong(books, to_ns)]
        updates = self.updates.runs()
        seen = np.any((books[:, 0] >= from_ns) & (books[:, 0] < to_ns)) or np.any(
            (updates[:, 2] < to_ns) & (updates[:, 3] >= from_ns)
        )
        return Mask(_united(self._trades(from_ns, to_ns), from_ns, to_ns), _united(depth, from_ns, to_ns), bool(seen))

    def _trades(self, from_ns: int, to_ns: int) -> list[Span]:
        runs = self.trades.runs()
        if len(runs) == 0:
            return [(from_ns, to_ns)]
        reached = np.maximum.accumulate(runs[:, TO_NS])
        between = [
            (min(int(end), int(start)), max(int(end), int(start)) + 1)
            for end, start in zip(reached[:-1], runs[1:, FROM_NS], strict=True)
        ]
        last_id = int(runs[:, LAST].max())
        watched = [boundary for boundary, trades, _, agg_id in self.ticks if trades == "live" and agg_id == last_id]
        quiet_to = max([int(reached[-1]) + 1, *watched])
        return [(from_ns, int(runs[0, FROM_NS])), *between, (quiet_to, to_ns)]

    def _depth(self, books: I64, from_ns: int, to_ns: int) -> list[Span]:
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
            watched = [boundary for boundary, _, depth, _ in self.ticks if depth == "live"]
            proven[-1] = (proven[-1][0], max(proven[-1][1] + 1, *watched, 0))
        return _complement(proven, from_ns, to_ns)

    def _known_wrong(self, books: I64, to_ns: int) -> Iterable[Span]:
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
    left, at = [], from_ns
    for start, end in sorted(spans):
        left.append((at, start))
        at = max(at, end)
    return [*left, (at, to_ns)]


def _united(spans: Iterable[Span], from_ns: int, to_ns: int) -> I64:
    """Spans within a stretch, rising, those that touch as one."""
    clipped = sorted((max(a, from_ns), min(b, to_ns)) for a, b in spans)
    united: list[list[int]] = []
    for start, end in clipped:
        if start >= end:
            continue
        if united and start <= united[-1][1]:
            united[-1][1] = max(united[-1][1], end)
        else:
            united.append([start, end])
    return np.array(united, np.int64).reshape(-1, 2)
