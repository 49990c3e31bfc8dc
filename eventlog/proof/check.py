"""
Verification of a log: no missing seqs or trade ids, and files whose digests match.
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
from market.ranges import Range, remaining_ranges

_MAX_LISTED = 20  # entries of a list in the JSON
_MAX_NAMED = 5  # items that a reason names
_CHECK_COLUMNS = {name: KINDS[name].check_columns for name in kinds_of(EVENTS)}


@dataclass(slots=True)
class Report:
    """
    The findings of a check.

    Attributes:
        complete: there are trades, and nothing is missing, damaged, contradicted or there twice. reasons: why not.
        trades_complete: the same for the trades alone, even if entries of the book or of our own kinds are missing.
        open_gaps: gaps that may still be filled. given_up_gaps: gaps that will not be.
        unnamed_seqs, unnamed_agg_ids: missing ranges that no gap names.
        broken_chain: agg ids whose first trade id does not follow the one before.
        closed_agg_ids: of trades that could not be read. unread_trades: messages without an id that may be trades.
        conflicts: facts that contradict another fact of the same id.
        damaged: files whose bytes are not those that were committed. unlisted: files that no catalogue names.
        waiting_bytes: size of the facts that the recorder spilled to disk; not counted in the other fields.
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
        """The fields for JSON, lists cut to their first 20 entries."""
        return {k: v[:_MAX_LISTED] if isinstance(v, list) else v for k, v in asdict(self).items()}

    @property
    def sound(self) -> bool:
        """Whether there are trades, all entries are right, and every missing range is named by a gap."""
        unnamed = self.unnamed_seqs or self.unnamed_agg_ids or self.broken_chain
        return self.trades > 0 and not (unnamed or self.damaged or self.duplicates)


def check(log: Log, verify_files: bool = True, on_progress: Callable[[int, int], None] = lambda *_: None) -> Report:
    """
    Read all of a log and verify it.

    Args:
        log: its archive and, where it has one, its stream.
        verify_files: whether every file is hashed and compared with the catalogue.
        on_progress: called with the number of entries read since the last call, and the log's last seq.
    """
    report = Report(str(log.name), waiting_bytes=log.cold.pending_bytes)
    if verify_files:
        report.damaged = list(_find_damage(log.cold))
    last_stored_seq = _last_stored_seq(log.cold, report)
    columns = _read(log, report, on_progress)
    gaps = latest_states(columns[GAP])
    _check_seqs(report, columns["seq"], gaps, last_stored_seq)
    _check_trades(report, columns, gaps)
    for gap in gaps:
        if gap["state"] == "open":
            report.open_gaps.append(gap)
        elif gap["state"] == "given_up":
            report.given_up_gaps.append(gap)
    report.unlisted = [path.name for path in log.cold.find_unlisted_files()] if log.cold.exists() else []
    report.reasons = list(_reasons(report))
    report.complete = not report.reasons
    report.trades_complete = _are_trades_complete(report, columns["trade_seq"])
    return report


def permanent_gaps(gaps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gaps that are given up, except those of numbers that the venue never assigned to a trade."""
    return [gap for gap in gaps if gap["state"] == "given_up" and gap["cause"] != VENUE_SKIPPED]


def describe_gap(gap: dict[str, Any]) -> str:
    """
    A gap in one line.

    >>> describe_gap({"what": "agg_ids", "first": 3, "last": 9, "cause": "disconnect"})
    'agg_ids 3-9 (disconnect)'
    """
    return f"{gap['what']} {gap['first']}-{gap['last']} ({gap['cause']})"


def _are_trades_complete(report: Report, seqs: I64) -> bool:
    missing = [*report.open_gaps, *permanent_gaps(report.given_up_gaps)]
    if len(seqs) == 0 or any(first < seqs.min() or last > seqs.max() for first, last in report.unnamed_seqs):
        return False  # between trades their ids prove it; before the first and after the last nothing does
    id_faults = report.unnamed_agg_ids or report.broken_chain or report.closed_agg_ids or report.damaged
    content_faults = report.unread_trades or report.conflicts or report.duplicates
    return report.trades > 0 and not (id_faults or content_faults or any(gap["what"] == "agg_ids" for gap in missing))


def _reasons(report: Report) -> Iterator[str]:
    """Why a log is not complete, one line per reason."""
    faults: dict[str, Sequence[object]] = {
        "missing seqs no gap names": report.unnamed_seqs,
        "missing agg ids no gap names": report.unnamed_agg_ids,
        "open gaps": [describe_gap(gap) for gap in report.open_gaps],
        "missing for good": [describe_gap(gap) for gap in permanent_gaps(report.given_up_gaps)],
        "trade ids out of chain at agg ids": report.broken_chain,
        "trades nobody could read, agg ids": report.closed_agg_ids,
        "damaged files": report.damaged,
    }
    for fault, items in faults.items():
        if items:
            text = ", ".join(str(f) for f in items[:_MAX_NAMED]) + (" …" if len(items) > _MAX_NAMED else "")
            yield f"{fault}: {len(items):,}: {text}"
    if report.unread_trades:
        yield f"messages that nobody could read and that may have been trades: {report.unread_trades:,}"
    if report.conflicts:
        yield f"facts that contradict others of the same id, quarantined: {report.conflicts:,}"
    if report.duplicates:
        yield f"entries that are there twice: {report.duplicates:,}"
    if report.trades == 0 and report.entries:
        yield f"no trade among {report.entries:,} entries"
    elif report.trades == 0 and not report.damaged:  # damaged files may have held trades
        yield "nothing was recorded"


def _read(log: Log, report: Report, on_progress: Callable[[int, int], None]) -> dict[str, Any]:
    parts: dict[str, list[I64]] = {name: [] for name in ("seq", "trade_seq", "agg_id", "first", "last", "closed")}
    gaps: list[dict[str, Any]] = []
    try:
        last_seq = log.last_seq()
        for batch in log.read(columns=_CHECK_COLUMNS):
            on_progress(batch.last_seq - batch.first_seq + 1, last_seq)
            for kind, rows in batch.rows.items():
                parts["seq"].append(rows["seq"])
                report.kinds[kind] = report.kinds.get(kind, 0) + len(rows)
                if kind == AGG_TRADE:
                    parts["trade_seq"].append(rows["seq"])
                    for name, column in (("agg_id", "agg_id"), ("first", "first_trade_id"), ("last", "last_trade_id")):
                        parts[name].append(rows[column])
                elif kind == GAP:
                    gaps += rows.columns.table.select(_CHECK_COLUMNS[GAP]).slice(rows.start, len(rows)).to_pylist()
                elif kind == QUARANTINE:
                    table = rows.table()
                    parts["closed"].append(table.column("agg_id").drop_null().to_numpy())
                    report.conflicts += pc.sum(pc.equal(table.column("reason"), CONFLICT)).as_py() or 0
                    report.unread_trades += pc.sum(pc.equal(table.column("source"), UNREAD_TRADE)).as_py() or 0
    except LogBroken as error:
        if not report.damaged:
            raise
        report.damaged.append(f"reading stopped: {error}")
    arrays: dict[str, Any] = {k: np.concatenate(v) if v else np.empty(0, np.int64) for k, v in parts.items()}
    return arrays | {GAP: gaps}


def _find_damage(cold: ColdLog) -> Iterable[str]:
    for segment in cold.refresh().segments if cold.exists() else ():
        for file in segment.files:
            fault = describe_damage(cold, file)
            if fault is not None:
                yield fault


def describe_damage(cold: ColdLog, file: FileRecord) -> str | None:
    """What is wrong with a file of the catalogue; None where its bytes are those that were committed."""
    path = cold.path_of(file)
    try:
        with translate_errors(path):
            if not path.exists():
                return f"{file.name} is missing"
            return None if file_digest(path) == file.sha256 else f"{file.name} is not as it was written"
    except LogBroken as error:
        return str(error)


def latest_states(gaps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest fact about each range, in the order in which the ranges first occur."""
    newest: dict[tuple[str, int, int], dict[str, Any]] = {}
    for gap in gaps:
        newest[gap["what"], gap["first"], gap["last"]] = gap
    return list(newest.values())


def _last_stored_seq(cold: ColdLog, report: Report) -> int:
    """The last seq that a writer which ended well had stored, else 0: a server may have lost its end since."""
    try:
        with translate_errors(cold.folder):
            reservation = cold.load_reservation()
    except LogBroken as error:
        report.damaged.append(str(error))
        return 0
    return reservation.last if reservation is not None and reservation.closed else 0


def _check_seqs(report: Report, seqs: I64, gaps: list[dict[str, Any]], last_stored_seq: int) -> None:
    seqs = np.sort(seqs)
    report.entries = len(seqs)
    report.quarantined = report.kinds.get(QUARANTINE, 0)
    if len(seqs):
        report.first_seq, report.last_seq = int(seqs[0]), int(seqs[-1])
        report.duplicates += int((np.diff(seqs) == 0).sum())
    end = max(last_stored_seq, report.last_seq or 0) + 1
    report.unnamed_seqs = _find_unnamed(np.concatenate([[0], seqs, [end]]), [g for g in gaps if g["what"] == "seqs"])


def _check_trades(report: Report, columns: dict[str, Any], gaps: list[dict[str, Any]]) -> None:
    order = np.argsort(columns["agg_id"], kind="stable")
    ids = columns["agg_id"][order]
    report.trades = len(ids)
    report.closed_agg_ids = np.setdiff1d(columns["closed"], ids).tolist()
    if len(ids) == 0:
        return
    report.first_agg_id, report.last_agg_id = int(ids[0]), int(ids[-1])
    report.duplicates += int((np.diff(ids) == 0).sum())
    present_ids = np.union1d(ids, columns["closed"])
    report.unnamed_agg_ids = _find_unnamed(
        present_ids, [g for g in gaps if g["what"] == "agg_ids" and g["state"] != "filled"]
    )
    follows = np.diff(ids) == 1
    in_chain = columns["first"][order][1:] == columns["last"][order][:-1] + 1
    report.broken_chain = [int(i) for i in ids[1:][follows & ~in_chain]]


def _find_unnamed(numbers: I64, gaps: list[dict[str, Any]]) -> list[Range]:
    """Missing ranges between rising numbers that no gap covers."""
    jumps = np.flatnonzero(np.diff(numbers) > 1)
    missing = [(int(numbers[i]) + 1, int(numbers[i + 1]) - 1) for i in jumps]
    return [rest for item in missing for rest in remaining_ranges(item, *((gap["first"], gap["last"]) for gap in gaps))]
