"""
One day of a log's files read once, a few thousand rows at a time, for all that a certificate needs of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from eventlog.disk import parquet_files
from eventlog.errors import LogBroken
from eventlog.facts.capture import CONFLICT, GAP, QUARANTINE, UNREAD_TRADE
from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from eventlog.facts.registry import SCHEMAS
from eventlog.proof.chains import FIRST, LAST, holes
from eventlog.proof.check import damage
from eventlog.proof.coverage import EVIDENCE, Evidence
from eventlog.proof.day_tally import DayTally
from eventlog.proof.minute_digests import MinuteDigests
from eventlog.store.catalogue import FileRecord, Segment
from eventlog.store.cold import ColdLog
from market.ranges import Range
from market.timestamps import DAY_NS, HOUR_NS

Progress = Callable[[int, int], None]
_ROWS = {AGG_TRADE: 1 << 16, DIFF: 1 << 12, SNAPSHOT: 16}
_FEW = 1 << 12
_QUARANTINED = ("agg_id", "reason", "source", "recv_ns")
_BEFORE = {GAP: None, QUARANTINE: _QUARANTINED}


def silent(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class DayReading:
    """
    What a day's files hold.

    Attributes:
        files: of all segments that hold entries of the day. damaged: what is wrong with their bytes, in words.
        gaps: every word on a gap in the whole log, in seq order. closed: agg ids that quarantine closes.
        contradicted: agg ids that something else came for, and not on the day.
        unread_trades: messages of the day without an id that may have been trades.
        missing_seqs: in the day's segments and before each; gaps may name them. duplicate_seqs: how many came twice.
        evidence: of the day, an hour around it, and trades of the day that came later.
    """

    day_ns: int
    tally: DayTally
    digests: MinuteDigests
    evidence: Evidence = field(default_factory=Evidence)
    files: list[FileRecord] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    closed: set[int] = field(default_factory=set)
    contradicted: set[int] = field(default_factory=set)
    unread_trades: int = 0
    missing_seqs: list[Range] = field(default_factory=list)
    duplicate_seqs: int = 0

    @property
    def end_ns(self) -> int:
        """When the day is over."""
        return self.day_ns + DAY_NS

    @property
    def contradicted_trades(self) -> list[int]:
        """Agg ids of the day's trades that facts of other days contradict, rising."""
        low, high = day_ids(self) or (0, -1)
        return sorted(agg_id for agg_id in self.contradicted if low <= agg_id <= high)


def read_day(
    cold: ColdLog, day_ns: int, on_progress: Progress = silent, columns: Mapping[str, Sequence[str]] | None = None
) -> DayReading:
    """
    Read a day; what cannot be read is named in `damaged`, and the rest read on.

    Args:
        columns: which columns the digests are over, see `MinuteDigests`.

    Raises:
        LogNotFound, LogBroken: there is no readable catalogue.
    """
    reading = DayReading(day_ns, DayTally(), MinuteDigests(columns))
    segments = cold.refresh().segments
    inside = [s for s in segments if s.first_recv_ns < reading.end_ns and s.last_recv_ns >= day_ns]
    days_own = {s.first_seq for s in inside}
    earlier = [s.first_seq for s in segments if s.last_recv_ns < day_ns and s.last_agg_id is not None]
    total = sum(s.last_seq - s.first_seq + 1 for s in inside)
    before = 0
    for segment in segments:
        if segment.first_seq in days_own:
            _take(reading, cold, segment)
            reading.missing_seqs += [(before + 1, segment.first_seq - 1)] if segment.first_seq > before + 1 else []
            on_progress(segment.last_seq - segment.first_seq + 1, total)
        else:
            near = segment.last_recv_ns >= day_ns - HOUR_NS and segment.first_recv_ns < reading.end_ns + HOUR_NS
            near = near or segment.first_seq in earlier[-1:]
            _glance(reading, cold, segment, near)
        before = segment.last_seq
    _take_late(reading, cold, [s for s in segments if s.first_recv_ns >= reading.end_ns + HOUR_NS])
    return reading


def _take(reading: DayReading, cold: ColdLog, segment: Segment) -> None:
    """All of a segment that holds entries of the day."""
    seen = np.zeros(segment.last_seq - segment.first_seq + 1, bool)
    rows = 0
    for file in segment.files:
        reading.files.append(file)
        for table in _tables(reading, cold, file, SCHEMAS[file.kind].names):
            seqs = table.column("seq").to_numpy() - segment.first_seq
            seen[seqs[(seqs >= 0) & (seqs < len(seen))]] = True
            rows += table.num_rows
            _witness(reading, file.kind, table)
            recv_ns = table.column("recv_ns").to_numpy()
            within = (recv_ns >= reading.day_ns) & (recv_ns < reading.end_ns)
            today = table if within.all() else table.filter(pa.array(within))
            reading.tally.add(file.kind, today)
            reading.digests.add(file.kind, today)
    reading.duplicate_seqs += rows - int(seen.sum())
    edges = np.flatnonzero(np.diff(np.concatenate(([True], seen, [True]))))
    reading.missing_seqs += [
        (segment.first_seq + int(a), segment.first_seq + int(b) - 1)
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]


def _glance(reading: DayReading, cold: ColdLog, segment: Segment, near: bool) -> None:
    """What a segment of other days says about this one."""
    for file in segment.files:
        wanted = EVIDENCE.get(file.kind) if near else None
        if file.kind in _BEFORE or wanted is not None:
            names = _BEFORE.get(file.kind, wanted)
            for table in _tables(reading, cold, file, names):
                _witness(reading, file.kind, table)


def _take_late(reading: DayReading, cold: ColdLog, later: Iterable[Segment]) -> None:
    """Trades that were missing and came when the day was over."""
    missing = holes(reading.evidence.trades.runs())
    for segment in later:
        low, high = segment.first_agg_id, segment.last_agg_id
        if low is None or high is None or not any(first <= high and last >= low for first, last in missing):
            continue
        for file in segment.files:
            if file.kind == AGG_TRADE:
                for table in _tables(reading, cold, file, EVIDENCE[AGG_TRADE]):
                    ids = table.column("agg_id").to_numpy()
                    wanted = np.logical_or.reduce([(ids >= first) & (ids <= last) for first, last in missing])
                    reading.evidence.add(AGG_TRADE, table.filter(pa.array(wanted)))


def _tables(reading: DayReading, cold: ColdLog, file: FileRecord, names: Sequence[str] | None) -> Iterable[pa.Table]:
    """A file's rows; of one that is not as it was written, what can still be read, and why not all is believed."""
    wrong = damage(cold, file)
    if wrong is not None:
        reading.damaged.append(wrong)
    try:
        yield from parquet_files.read_pieces(file.kind, cold.path_of(file), names, _ROWS.get(file.kind, _FEW))
    except LogBroken as error:
        if wrong is None:
            reading.damaged.append(str(error))


def _witness(reading: DayReading, kind: str, table: pa.Table) -> None:
    if kind == GAP:
        reading.gaps += table.to_pylist()
    elif kind == QUARANTINE:
        columns = (table.column(name).to_pylist() for name in _QUARANTINED)
        for agg_id, reason, source, recv_ns in zip(*columns, strict=True):
            if source == UNREAD_TRADE and reading.day_ns <= recv_ns < reading.end_ns:
                reading.unread_trades += 1
            if agg_id is not None:
                reading.closed.add(agg_id)
                if reason == CONFLICT and not reading.day_ns <= recv_ns < reading.end_ns:
                    reading.contradicted.add(agg_id)
    else:
        reading.evidence.add(kind, table)


def day_ids(reading: DayReading) -> Range | None:
    """The smallest and largest agg id that arrived in the day, None for none."""
    runs = reading.tally.chain.runs()
    return (int(runs[:, FIRST].min()), int(runs[:, LAST].max())) if len(runs) else None
