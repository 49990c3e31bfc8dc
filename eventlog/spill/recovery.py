"""
Storing the facts that an earlier run spilled, each once, before anything else is stored.
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

_BATCH_SIZE = 2_000  # facts in one append
_ONE_FAULT_NS = 2 * HOUR_NS  # a loss so long before the first spilled fact counts as part of the same fault

_log = structlog.get_logger()


def catch_up(spill: Spill, writer: LogWriter, log: Log, clock: Clock, should_stop: Callable[[], bool]) -> int:
    """
    Store the facts of a spill file of an earlier run, then remove the file.

    Args:
        spill: of the log; nothing happens where it has no file.
        writer, log: of the same log; no other facts may be appended meanwhile.
        clock: stamps the gaps of trades that were lost.
        should_stop: checked before each batch; True ends the call, and the file keeps the remaining facts.

    Returns:
        The number of facts that were stored.

    Raises:
        StoreUnavailable, StoreFull: the file keeps the remaining facts; call this again.
        LogBroken: the log does not continue with these facts, or the file is damaged.
    """
    if not spill.is_open:
        return 0
    writer.append(())  # store what an earlier call left pending
    first = next(spill.read_pending(), None)
    if first is not None:
        _expect_own_facts(log, spill, first)
    stored_count = min(_count_stored(log, spill.after_seq), spill.pending_count)
    if stored_count:
        spill.mark_stored(stored_count, writer.last_seq)
    _log.info(
        "storing what was spilled before", facts=spill.pending_count, bytes=spill.pending_bytes, known=stored_count
    )
    count = 0
    while spill.pending_count:
        if should_stop():
            return count
        facts = spill.next(_BATCH_SIZE)
        writer.append(facts)
        spill.mark_stored(len(facts), writer.last_seq)
        count += len(facts)
    if first is not None and _has_loss_since(log, first.recv_ns - _ONE_FAULT_NS):
        writer.append([gap.fact(GAP, clock.now_ns()) for gap in _find_unnamed_gaps(log)])
    spill.finish()
    return count


def load_agg_ids(log: Log) -> I64:
    """All agg ids that the log holds or closed as unreadable, int64; nothing may be appended meanwhile."""
    parts = []
    for batch in log.read(kinds=[AGG_TRADE, QUARANTINE], columns={AGG_TRADE: ("agg_id",)}):
        for rows in batch.rows.values():
            column = rows.table().column("agg_id").drop_null()
            parts.append(column.to_numpy().astype(np.int64))
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _expect_own_facts(log: Log, spill: Spill, first: Fact) -> None:
    """Refuse a log whose next entry, where the stream still has it, is neither the first spilled fact nor a gap."""
    for entry in log.entries(spill.after_seq, 1):
        is_own = entry.kind == GAP or (entry.kind, entry.recv_ns, entry.data) == (first.kind, first.recv_ns, first.data)
        if entry.seq == spill.after_seq + 1 and not is_own:
            raise LogBroken(
                f"{log.name}: seq {entry.seq} is not what {spill.path} begins with; another writer was here"
            )


def _count_stored(log: Log, seq: int) -> int:
    """The number of spilled facts that the log holds after a seq; gaps that name lost seqs are not counted."""
    count = 0
    for batch in log.read(seq):
        count += sum(len(rows) for rows in batch.rows.values())
        if GAP in batch.rows:
            rows = batch.rows[GAP]
            count -= rows.table().column("what").to_pylist().count("seqs")
    return count


def _has_loss_since(log: Log, time_ns: int) -> bool:
    """Whether the server lost entries since a time: the trades among them may never have been requested."""
    return any(what == "seqs" and recv_ns >= time_ns for what, recv_ns, _, _ in _load_gaps(log))


def _find_unnamed_gaps(log: Log) -> list[Gap]:
    agg_ids = load_agg_ids(log)
    if not len(agg_ids):
        return []
    named_gaps = [(first, last) for what, _, first, last in _load_gaps(log) if what == "agg_ids"]
    gaps = missing_ids(agg_ids, int(agg_ids.min()), int(agg_ids.max()) + 1, named_gaps)
    return [Gap("agg_ids", first, last, "log_lost", "open") for first, last in gaps]


def _load_gaps(log: Log) -> list[tuple[str, int, int, int]]:
    gaps = []
    for batch in log.read(kinds=[GAP]):
        if GAP in batch.rows:
            rows = batch.rows[GAP]
            table = rows.table()
            columns = (table.column(name).to_pylist() for name in ("what", "recv_ns", "first", "last"))
            gaps += list(zip(*columns, strict=True))
    return gaps
