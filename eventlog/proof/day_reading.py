"""
Reading one day of a log's files, once, a few thousand rows at a time, for its certificate.
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
from eventlog.proof.chains import FIRST, LAST, find_gaps
from eventlog.proof.check import describe_damage
from eventlog.proof.coverage import COVERAGE_COLUMNS, Evidence
from eventlog.proof.day_tally import DayTally
from eventlog.proof.minute_digests import MinuteDigests
from eventlog.store.catalogue import FileRecord, Segment
from eventlog.store.cold import ColdLog
from market.ranges import Range
from market.timestamps import DAY_NS, HOUR_NS

Progress = Callable[[int, int], None]
# Bounds memory by kind: a snapshot has thousands of levels, a trade none.
_BATCH_ROWS = {AGG_TRADE: 1 << 16, DIFF: 1 << 12, SNAPSHOT: 16}
_DEFAULT_BATCH_ROWS = 1 << 12
"""Rows in memory at once, by kind: a row of a snapshot or a diff is large."""
_QUARANTINE_COLUMNS = ("agg_id", "reason", "source", "recv_ns")
_ALWAYS_READ = {GAP: None, QUARANTINE: _QUARANTINE_COLUMNS}
"""Columns that are read in segments of every day, all where None."""


def ignore_progress(_done: int, _total: int) -> None:
    """Ignore a report of progress."""


@dataclass(slots=True)
class DayReading:
    """
    The contents of a day's files.

    Attributes:
        files: of all segments that hold entries of the day. damage: what is wrong with their bytes, one line each.
        gaps: every gap fact of the log, in seq order. closed_ids: agg ids that a quarantine fact closes.
        conflicting_ids: agg ids for which other content arrived, on another day.
        unread_trades: messages of the day without an id that may have been trades.
        missing_seqs: in the day's segments and before each; gaps may name them. duplicate_seqs: number of duplicates.
        evidence: of the day, an hour around it, and trades of the day that came later.
    """

    day_ns: int
    tally: DayTally
    digests: MinuteDigests
    evidence: Evidence = field(default_factory=Evidence)
    files: list[FileRecord] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    closed_ids: set[int] = field(default_factory=set)
    conflicting_ids: set[int] = field(default_factory=set)
    unread_trades: int = 0
    missing_seqs: list[Range] = field(default_factory=list)
    duplicate_seqs: int = 0

    @property
    def end_ns(self) -> int:
        """The end of the day, excluded, ns UTC."""
        return self.day_ns + DAY_NS

    @property
    def conflicting_trades(self) -> list[int]:
        """Agg ids of the day's trades that facts of other days contradict, rising."""
        low, high = day_ids(self) or (0, -1)
        return sorted(agg_id for agg_id in self.conflicting_ids if low <= agg_id <= high)


def read_day(
    cold: ColdLog,
    day_ns: int,
    on_progress: Progress = ignore_progress,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> DayReading:
    """
    Read a day; what cannot be read is named in `damage`, and reading continues.

    Args:
        cold: the log's archive.
        day_ns: midnight UTC of the day.
        on_progress: called with the number of entries read since the last call, and the total of the day.
        columns: which columns the digests cover, see `MinuteDigests`; today's where None.

    Raises:
        LogNotFound, LogBroken: there is no readable catalogue.
    """
    reading = DayReading(day_ns, DayTally(), MinuteDigests(columns))
    segments = cold.refresh().segments
    inside = [s for s in segments if s.first_recv_ns < reading.end_ns and s.last_recv_ns >= day_ns]
    own_seqs = {s.first_seq for s in inside}
    earlier = [s.first_seq for s in segments if s.last_recv_ns < day_ns and s.last_agg_id is not None]
    total = sum(s.last_seq - s.first_seq + 1 for s in inside)
    previous_last = 0
    for segment in segments:
        if segment.first_seq in own_seqs:
            _read_segment(reading, cold, segment)
            reading.missing_seqs += (
                [(previous_last + 1, segment.first_seq - 1)] if segment.first_seq > previous_last + 1 else []
            )
            on_progress(segment.last_seq - segment.first_seq + 1, total)
        else:
            is_near = segment.last_recv_ns >= day_ns - HOUR_NS and segment.first_recv_ns < reading.end_ns + HOUR_NS
            is_near = is_near or segment.first_seq in earlier[-1:]
            _read_other_segment(reading, cold, segment, is_near)
        previous_last = segment.last_seq
    _read_late_trades(reading, cold, [s for s in segments if s.first_recv_ns >= reading.end_ns + HOUR_NS])
    return reading


def _read_segment(reading: DayReading, cold: ColdLog, segment: Segment) -> None:
    """Read all of a segment that holds entries of the day."""
    present = np.zeros(segment.last_seq - segment.first_seq + 1, bool)
    rows = 0
    for file in segment.files:
        reading.files.append(file)
        for table in _tables(reading, cold, file, SCHEMAS[file.kind].names):
            seqs = table.column("seq").to_numpy() - segment.first_seq
            present[seqs[(seqs >= 0) & (seqs < len(present))]] = True
            rows += table.num_rows
            _add_evidence(reading, file.kind, table)
            recv_ns = table.column("recv_ns").to_numpy()
            within = (recv_ns >= reading.day_ns) & (recv_ns < reading.end_ns)
            today = table if within.all() else table.filter(pa.array(within))
            reading.tally.add(file.kind, today)
            reading.digests.add(file.kind, today)
    reading.duplicate_seqs += rows - int(present.sum())
    edges = np.flatnonzero(np.diff(np.concatenate(([True], present, [True]))))
    reading.missing_seqs += [
        (segment.first_seq + int(a), segment.first_seq + int(b) - 1)
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]


def _read_other_segment(reading: DayReading, cold: ColdLog, segment: Segment, near: bool) -> None:
    """Read what a segment of other days says about this one."""
    for file in segment.files:
        columns = COVERAGE_COLUMNS.get(file.kind) if near else None
        if file.kind in _ALWAYS_READ or columns is not None:
            names = _ALWAYS_READ.get(file.kind, columns)
            for table in _tables(reading, cold, file, names):
                _add_evidence(reading, file.kind, table)


def _read_late_trades(reading: DayReading, cold: ColdLog, later: Iterable[Segment]) -> None:
    """Read trades that were missing and arrived after the day."""
    missing = find_gaps(reading.evidence.trades.runs())
    for segment in later:
        low, high = segment.first_agg_id, segment.last_agg_id
        if low is None or high is None or not any(first <= high and last >= low for first, last in missing):
            continue
        for file in segment.files:
            if file.kind == AGG_TRADE:
                for table in _tables(reading, cold, file, COVERAGE_COLUMNS[AGG_TRADE]):
                    ids = table.column("agg_id").to_numpy()
                    in_gaps = np.logical_or.reduce([(ids >= first) & (ids <= last) for first, last in missing])
                    reading.evidence.add(AGG_TRADE, table.filter(pa.array(in_gaps)))


def _tables(reading: DayReading, cold: ColdLog, file: FileRecord, names: Sequence[str] | None) -> Iterable[pa.Table]:
    """A file's rows; of a damaged one those that can still be read, and its damage is noted."""
    fault = describe_damage(cold, file)
    if fault is not None:
        reading.damage.append(fault)
    try:
        yield from parquet_files.read_pieces(
            file.kind, cold.path_of(file), names, _BATCH_ROWS.get(file.kind, _DEFAULT_BATCH_ROWS)
        )
    except LogBroken as error:
        if fault is None:
            reading.damage.append(str(error))


def _add_evidence(reading: DayReading, kind: str, table: pa.Table) -> None:
    if kind == GAP:
        reading.gaps += table.to_pylist()
    elif kind == QUARANTINE:
        columns = (table.column(name).to_pylist() for name in _QUARANTINE_COLUMNS)
        for agg_id, reason, source, recv_ns in zip(*columns, strict=True):
            if source == UNREAD_TRADE and reading.day_ns <= recv_ns < reading.end_ns:
                reading.unread_trades += 1
            if agg_id is not None:
                reading.closed_ids.add(agg_id)
                if reason == CONFLICT and not reading.day_ns <= recv_ns < reading.end_ns:
                    reading.conflicting_ids.add(agg_id)
    else:
        reading.evidence.add(kind, table)


def day_ids(reading: DayReading) -> Range | None:
    """The smallest and largest agg id that arrived in the day, None for none."""
    runs = reading.tally.chain.runs()
    return (int(runs[:, FIRST].min()), int(runs[:, LAST].max())) if len(runs) else None
