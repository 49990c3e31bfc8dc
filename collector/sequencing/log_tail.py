"""
The end of a log: what a recorder must know before it goes on. Read from the catalogue and from what is not archived
yet, so that a year of log opens as fast as a day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eventlog.facts.capture import GAP, QUARANTINE, TICK
from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from eventlog.store.batch import Batch
from eventlog.store.catalogue import Segment
from eventlog.store.log import Log

_COLUMNS = {AGG_TRADE: ("agg_id",), DIFF: ("last_update_id",), TICK: ("boundary_ns",), SNAPSHOT: (),
            QUARANTINE: ("agg_id",), GAP: ("what", "first", "last", "cause", "state")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenGap:
    """An open gap of agg ids first to last; ids before `next` are settled."""

    first: int
    last: int
    next: int
    cause: str


@dataclass(frozen=True, slots=True)
class LogTail:
    """
    The end of a log.

    Attributes:
        first_agg_id: of its first trade. next_agg_id: after its last trade. Both None for a log without trades.
        open_gaps: of agg ids.
        last_boundary_ns: of its last tick, 0 before the first.
        snapshot_seq: of its newest snapshot. last_update_id: of its newest diff. Both None before the first.
    """

    first_agg_id: int | None
    next_agg_id: int | None
    open_gaps: tuple[OpenGap, ...]
    last_boundary_ns: int
    snapshot_seq: int | None
    last_update_id: int | None = None


def read_tail(log: Log) -> LogTail:
    """Read the end of a log, and its open gaps."""
    gaps: dict[tuple[int, int], dict[str, Any]] = {}
    newest, boundary, snapshot_seq, update_id = -1, 0, None, -1
    archived_ids = (s.first_agg_id for s in log.cold.catalogue.segments) if log.cold.exists() else ()
    oldest = min((i for i in archived_ids if i is not None), default=2**62)
    for batch in _read_ends(log):
        for kind, rows in batch.rows.items():
            if kind == AGG_TRADE:
                newest = max(newest, int(rows["agg_id"].max()))
                oldest = min(oldest, int(rows["agg_id"].min()))
            elif kind == QUARANTINE:
                closed_ids = rows.table().column("agg_id").drop_null().to_pylist()
                newest = max([newest, *closed_ids])
            elif kind == DIFF:
                update_id = max(update_id, int(rows["last_update_id"].max()))
            elif kind == TICK:
                boundary = max(boundary, int(rows["boundary_ns"].max()))
            elif kind == SNAPSHOT:
                snapshot_seq = int(rows["seq"][-1])
            elif kind == GAP:
                for gap in rows.table().to_pylist():
                    if gap["what"] == "agg_ids":
                        gaps[gap["first"], gap["last"]] = gap
    # A gap given up at the very end is settled too: it is not fetched again.
    newest = max([newest, *(g["last"] for g in gaps.values())])
    open_gaps = [_to_open_gap(log, gap) for gap in gaps.values() if gap["state"] == "open"]
    has_trades = newest >= 0
    return LogTail(
        min(oldest, newest) if has_trades else None,
        newest + 1 if has_trades else None,
        tuple(open_gaps),
        boundary,
        snapshot_seq,
        update_id if update_id >= 0 else None,
    )


def _read_ends(log: Log) -> Iterator[Batch]:
    """Read all gaps and quarantine, the newest archived segment of each other kind, and all that is not archived."""
    archived_seq = 0
    if log.cold.exists():
        segments = log.cold.refresh().segments
        archived_seq = log.cold.catalogue.last_seq
        yield from log.cold.read(0, archived_seq, [GAP, QUARANTINE], _COLUMNS)
        trade_segments = [s for s in segments if s.last_agg_id is not None]
        last = max(trade_segments, key=lambda s: s.last_agg_id or 0, default=None)
        newest = {AGG_TRADE: last} | {kind: _newest_segment(segments, kind) for kind in (DIFF, TICK, SNAPSHOT)}
        for kind, segment in newest.items():
            if segment is not None:
                yield from log.cold.read(segment.first_seq - 1, segment.last_seq, [kind], _COLUMNS)
    yield from log.read(archived_seq, kinds=list(_COLUMNS), columns=_COLUMNS)


def _newest_segment(segments: tuple[Segment, ...], kind: str) -> Segment | None:
    return next((s for s in reversed(segments) if any(f.kind == kind for f in s.files)), None)


def _to_open_gap(log: Log, gap: dict[str, Any]) -> OpenGap:
    """Gaps are filled from the front: ids up to the newest trade inside a gap are settled."""
    first, last = gap["first"], gap["last"]
    last_id = first - 1
    segments = log.cold.catalogue.segments if log.cold.exists() else ()
    ranges = [
        (s.first_seq - 1, s.last_seq)
        for s in segments
        if s.first_agg_id is not None and s.first_agg_id <= last and (s.last_agg_id or 0) >= first
    ]
    ranges.append((log.cold.catalogue.last_seq if log.cold.exists() else 0, log.last_seq()))
    for start, stop in ranges:
        for batch in log.read(start, stop, [AGG_TRADE], _COLUMNS) if stop > start else ():
            if AGG_TRADE in batch.rows:
                ids = batch.rows[AGG_TRADE]["agg_id"]
                last_id = max([last_id, *ids[(ids >= first) & (ids <= last)].tolist()])
    return OpenGap(first, last, last_id + 1, gap["cause"])
