"""
What an earlier run spilled goes into the log first of all, once, whenever that run ended.
"""

from collections.abc import Callable

import numpy as np
import structlog

from eventlog.clock import Clock
from eventlog.errors import LogBroken
from eventlog.facts.capture import GAP, QUARANTINE, Gap
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE
from eventlog.spill.missing_ids import missing_ids
from eventlog.spill.spill import Spill
from eventlog.store.log import Log
from eventlog.store.writer import LogWriter
from market.arrays import I64
from market.timestamps import HOUR_NS

_BATCH_SIZE = 2_000
_ONE_FAULT_NS = 2 * HOUR_NS

_log = structlog.get_logger()


def catch_up(spill: Spill, writer: LogWriter, log: Log, clock: Clock, cancelled: Callable[[], bool]) -> int:
    """
    Store what a file of an earlier run holds; the file is gone then, unless `cancelled` ended this early.

    Raises:
        StoreUnavailable, StoreFull: the file keeps what is left; call this again.

    Returns:
        How many facts were stored.
    """
    if not spill.is_open:
        return 0
    writer.append(())  # what an earlier call left on its way counts as known from here on
    first = next(spill.waiting(), None)
    if first is not None:
        _expect_ours(log, spill, first)
    known = min(_stored_behind(log, spill.after_seq), spill.unread)
    if known:
        spill.done(known, writer.last_seq)
    _log.info("storing what was spilled before", facts=spill.unread, bytes=spill.waiting_bytes, known=known)
    count = 0
    while spill.unread:
        if cancelled():
            return count
        facts = spill.next(_BATCH_SIZE)
        writer.append(facts)
        spill.done(len(facts), writer.last_seq)
        count += len(facts)
    if first is not None and _lost_since(log, first.recv_ns - _ONE_FAULT_NS):
        writer.append([gap.fact(GAP, clock.now_ns()) for gap in _unnamed_holes(log)])
    spill.finish()
    return count


def held_agg_ids(log: Log) -> I64:
    """Every trade id the log holds or closed as unreadable; nothing may be appended meanwhile."""
    parts = []
    for batch in log.read(kinds=[AGG_TRADE, QUARANTINE], columns={AGG_TRADE: ("agg_id",)}):
        for rows in batch.rows.values():
            column = rows.table().column("agg_id").drop_null()
            parts.append(column.to_numpy().astype(np.int64))
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _expect_ours(log: Log, spill: Spill, first: Fact) -> None:
    """What follows in the log, where the stream still has it, is the first spilled fact or a gap of the log's own."""
    for entry in log.entries(spill.after_seq, 1):
        ours = entry.kind == GAP or (entry.kind, entry.recv_ns, entry.data) == (first.kind, first.recv_ns, first.data)
        if entry.seq == spill.after_seq + 1 and not ours:
            raise LogBroken(
                f"{log.name}: seq {entry.seq} is not what {spill.path} begins with; another writer was here"
            )


def _stored_behind(log: Log, seq: int) -> int:
    """How many facts, all of them spilled ones, the log holds behind a seq; its own words on lost seqs aside."""
    count = 0
    for batch in log.read(seq):
        count += sum(len(rows) for rows in batch.rows.values())
        if GAP in batch.rows:
            rows = batch.rows[GAP]
            count -= rows.table().column("what").to_pylist().count("seqs")
    return count


def _lost_since(log: Log, time_ns: int) -> bool:
    """Whether the server lost entries near the fault: the trades among them may never have been asked for."""
    return any(what == "seqs" and recv_ns >= time_ns for what, recv_ns, _, _ in _gaps(log))


def _unnamed_holes(log: Log) -> list[Gap]:
    held = held_agg_ids(log)
    if not len(held):
        return []
    named = [(first, last) for what, _, first, last in _gaps(log) if what == "agg_ids"]
    holes = missing_ids(held, int(held.min()), int(held.max()) + 1, named)
    return [Gap("agg_ids", first, last, "log_lost", "open") for first, last in holes]


def _gaps(log: Log) -> list[tuple[str, int, int, int]]:
    found = []
    for batch in log.read(kinds=[GAP]):
        if GAP in batch.rows:
            rows = batch.rows[GAP]
            table = rows.table()
            columns = (table.column(name).to_pylist() for name in ("what", "recv_ns", "first", "last"))
            found += list(zip(*columns, strict=True))
    return found
