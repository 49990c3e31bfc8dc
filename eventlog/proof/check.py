"""
Proof that a log is complete: seqs without a hole, trade ids without a hole, files as they were written.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc

from eventlog.disk.files import file_digest, translate_errors
from eventlog.errors import LogBroken
from eventlog.facts.capture import CONFLICT, GAP, QUARANTINE, UNREAD_TRADE, VENUE_SKIPPED
from eventlog.facts.kind import EVENTS
from eventlog.facts.market import AGG_TRADE
from eventlog.facts.registry import KINDS, kinds_of
from eventlog.store.catalogue import FileRecord
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from market.arrays import I64
from market.ranges import Range, minus

_SHOWN = 20
_NAMED = 5
_COLUMNS = {name: KINDS[name].check_columns for name in kinds_of(EVENTS)}


@dataclass(slots=True)
class Report:
    """
    What a check found.

    Attributes:
        complete: there are trades, and nothing is missing, damaged, contradicted or there twice. reasons: why not.
        trades_complete: the same of the trades alone, whatever of the book or of our own entries is missing.
        open_gaps: gaps that name what is missing and may still be filled. given_up_gaps: and will not be.
        unnamed_seqs, unnamed_agg_ids: missing ranges that no gap names.
        broken_chain: agg ids whose first trade id does not follow the one before.
        closed_agg_ids: of trades that nobody could read. unread_trades: messages without an id that may have been some.
        conflicts: facts whose id stands for another.
        damaged: files whose bytes are not those that were committed. unlisted: files that no catalogue names.
        waiting_bytes: what the recorder has on disk for the log, not counted in anything else here.
    """

    log: str
    complete: bool = False
    reasons: list[str] = field(default_factory=list)
    trades_complete: bool = False
    entries: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    kinds: dict[str, int] = field(default_factory=dict)
    trades: int = 0
    first_agg_id: int | None = None
    last_agg_id: int | None = None
    duplicates: int = 0
    quarantined: int = 0
    open_gaps: list[dict[str, Any]] = field(default_factory=list)
    given_up_gaps: list[dict[str, Any]] = field(default_factory=list)
    unnamed_seqs: list[Range] = field(default_factory=list)
    unnamed_agg_ids: list[Range] = field(default_factory=list)
    broken_chain: list[int] = field(default_factory=list)
    closed_agg_ids: list[int] = field(default_factory=list)
    unread_trades: int = 0
    conflicts: int = 0
    damaged: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    waiting_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON, lists cut to their first entries."""
        return {k: v[:_SHOWN] if isinstance(v, list) else v for k, v in asdict(self).items()}

    @property
    def sound(self) -> bool:
        """Whether there are trades and all that is there is right, whatever may be missing by name."""
        unnamed = self.unnamed_seqs or self.unnamed_agg_ids or self.broken_chain
        return self.trades > 0 and not (unnamed or self.damaged or self.duplicates)


def check(log: Log, verify_files: bool = True, on_progress: Callable[[int, int], None] = lambda *_: None) -> Report:
    """
    Read a whole log and recompute what it claims.

    Args:
        verify_files: whether every file's bytes are hashed again.
        on_progress: told how many entries were read since, and of how many.
    """
    report = Report(str(log.name), waiting_bytes=log.cold.waiting_bytes)
    if verify_files:
        report.damaged = list(_damaged(log.cold))
    stored_seq = _stored_seq(log.cold, report)
    seen = _read(log, report, on_progress)
    gaps = latest(seen[GAP])
    _check_seqs(report, seen["seq"], gaps, stored_seq)
    _check_trades(report, seen, gaps)
    for gap in gaps:
        if gap["state"] == "open":
            report.open_gaps.append(gap)
        elif gap["state"] == "given_up":
            report.given_up_gaps.append(gap)
    report.unlisted = [path.name for path in log.cold.unlisted()] if log.cold.exists() else []
    report.reasons = list(_reasons(report))
    report.complete = not report.reasons
    report.trades_complete = _trades_complete(report, seen["trade_seq"])
    return report


def missing_for_good(gaps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gaps that are given up, but those of numbers that the venue never gave to a trade."""
    return [gap for gap in gaps if gap["state"] == "given_up" and gap["cause"] != VENUE_SKIPPED]


def in_words(gap: dict[str, Any]) -> str:
    """A gap as a person reads it."""
    return f"{gap['what']} {gap['first']}-{gap['last']} ({gap['cause']})"


def _trades_complete(report: Report, seqs: I64) -> bool:
    lost = [*report.open_gaps, *missing_for_good(report.given_up_gaps)]
    if len(seqs) == 0 or any(first < seqs.min() or last > seqs.max() for first, last in report.unnamed_seqs):
        return False  # between trades their ids tell; before the first and behind the last nothing does
    wrong = report.unnamed_agg_ids or report.broken_chain or report.closed_agg_ids or report.damaged
    wrong_too = report.unread_trades or report.conflicts or report.duplicates
    return report.trades > 0 and not (wrong or wrong_too or any(gap["what"] == "agg_ids" for gap in lost))


def _reasons(report: Report) -> Iterator[str]:
    """Why a log is not complete, a line each."""
    found: dict[str, Sequence[object]] = {
        "missing seqs no gap names": report.unnamed_seqs,
        "missing agg ids no gap names": report.unnamed_agg_ids,
        "open gaps": [in_words(gap) for gap in report.open_gaps],
        "missing for good": [in_words(gap) for gap in missing_for_good(report.given_up_gaps)],
        "trade ids out of chain at agg ids": report.broken_chain,
        "trades nobody could read, agg ids": report.closed_agg_ids,
        "damaged files": report.damaged,
    }
    for what, each in found.items():
        if each:
            shown = ", ".join(str(f) for f in each[:_NAMED]) + (" …" if len(each) > _NAMED else "")
            yield f"{what}: {len(each):,}: {shown}"
    if report.unread_trades:
        yield f"messages that nobody could read and that may have been trades: {report.unread_trades:,}"
    if report.conflicts:
        yield f"facts that contradict others of the same id, quarantined: {report.conflicts:,}"
    if report.duplicates:
        yield f"entries that are there twice: {report.duplicates:,}"
    if report.trades == 0 and report.entries:
        yield f"no trade among {report.entries:,} entries"
    elif report.trades == 0 and not report.damaged:  # what is damaged may have been anything
        yield "nothing was recorded"


def _read(log: Log, report: Report, on_progress: Callable[[int, int], None]) -> dict[str, Any]:
    parts: dict[str, list[I64]] = {name: [] for name in ("seq", "trade_seq", "agg_id", "first", "last", "closed")}
    gaps: list[dict[str, Any]] = []
    try:
        last_seq = log.last_seq()
        for batch in log.read(columns=_COLUMNS):
            on_progress(batch.last_seq - batch.first_seq + 1, last_seq)
            for kind, rows in batch.rows.items():
                parts["seq"].append(rows["seq"])
                report.kinds[kind] = report.kinds.get(kind, 0) + len(rows)
                if kind == AGG_TRADE:
                    parts["trade_seq"].append(rows["seq"])
                    for name, column in (("agg_id", "agg_id"), ("first", "first_trade_id"), ("last", "last_trade_id")):
                        parts[name].append(rows[column])
                elif kind == GAP:
                    gaps += rows.columns.table.select(_COLUMNS[GAP]).slice(rows.start, len(rows)).to_pylist()
                elif kind == QUARANTINE:
                    table = rows.table()
                    parts["closed"].append(table.column("agg_id").drop_null().to_numpy())
                    report.conflicts += pc.sum(pc.equal(table.column("reason"), CONFLICT)).as_py() or 0
                    report.unread_trades += pc.sum(pc.equal(table.column("source"), UNREAD_TRADE)).as_py() or 0
    except LogBroken as error:
        if not report.damaged:
            raise
        report.damaged.append(f"reading stopped: {error}")
    joined: dict[str, Any] = {k: np.concatenate(v) if v else np.empty(0, np.int64) for k, v in parts.items()}
    return joined | {GAP: gaps}


def _damaged(cold: ColdLog) -> Iterable[str]:
    for segment in cold.refresh().segments if cold.exists() else ():
        for file in segment.files:
            wrong = damage(cold, file)
            if wrong is not None:
                yield wrong


def damage(cold: ColdLog, file: FileRecord) -> str | None:
    """What is wrong with the bytes of a catalogued file, None where they are those that were committed."""
    path = cold.path_of(file)
    try:
        with translate_errors(path):
            if not path.exists():
                return f"{file.name} is missing"
            return None if file_digest(path) == file.sha256 else f"{file.name} is not as it was written"
    except LogBroken as error:
        return str(error)


def latest(gaps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest word on each range."""
    newest: dict[tuple[str, int, int], dict[str, Any]] = {}
    for gap in gaps:
        newest[gap["what"], gap["first"], gap["last"]] = gap
    return list(newest.values())


def _stored_seq(cold: ColdLog, report: Report) -> int:
    """Up to where a writer that ended well had stored everything: a server may have lost its end since."""
    try:
        with translate_errors(cold.folder):
            reserved = cold.reserved()
    except LogBroken as error:
        report.damaged.append(str(error))
        return 0
    return reserved.last if reserved is not None and reserved.closed else 0


def _check_seqs(report: Report, seqs: I64, gaps: list[dict[str, Any]], stored_seq: int) -> None:
    seqs = np.sort(seqs)
    report.entries = len(seqs)
    report.quarantined = report.kinds.get(QUARANTINE, 0)
    if len(seqs):
        report.first_seq, report.last_seq = int(seqs[0]), int(seqs[-1])
        report.duplicates += int((np.diff(seqs) == 0).sum())
    end = max(stored_seq, report.last_seq or 0) + 1
    report.unnamed_seqs = _unnamed(np.concatenate([[0], seqs, [end]]), [g for g in gaps if g["what"] == "seqs"])


def _check_trades(report: Report, seen: dict[str, Any], gaps: list[dict[str, Any]]) -> None:
    order = np.argsort(seen["agg_id"], kind="stable")
    ids = seen["agg_id"][order]
    report.trades = len(ids)
    report.closed_agg_ids = np.setdiff1d(seen["closed"], ids).tolist()
    if len(ids) == 0:
        return
    report.first_agg_id, report.last_agg_id = int(ids[0]), int(ids[-1])
    report.duplicates += int((np.diff(ids) == 0).sum())
    known = np.union1d(ids, seen["closed"])
    report.unnamed_agg_ids = _unnamed(known, [g for g in gaps if g["what"] == "agg_ids" and g["state"] != "filled"])
    follows = np.diff(ids) == 1
    chained = seen["first"][order][1:] == seen["last"][order][:-1] + 1
    report.broken_chain = [int(i) for i in ids[1:][follows & ~chained]]


def _unnamed(numbers: I64, gaps: list[dict[str, Any]]) -> list[Range]:
    """Missing ranges between rising numbers that no gap covers."""
    at = np.flatnonzero(np.diff(numbers) > 1)
    missing = [(int(numbers[i]) + 1, int(numbers[i + 1]) - 1) for i in at]
    return [rest for hole in missing for rest in minus(hole, *((gap["first"], gap["last"]) for gap in gaps))]
