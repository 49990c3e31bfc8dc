"""
The certificate of a day: what a log holds of it, what is proven about it, and a chain of digests that shows any change.

A day is a UTC day of arrival. A certificate is a function of the log and of the certificate of the day before: the
same files give the same bytes.
"""

from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path

import msgspec
from msgspec.structs import replace

from eventlog.code_version import code_digest
from eventlog.disk.files import read_plain, translate_errors, write_atomic
from eventlog.errors import EventLogError, LogBroken
from eventlog.proof.day_findings import NamedGap, Ticks, count_ticks, find_errors, find_incomplete_reasons, gaps_of_day
from eventlog.proof.day_reading import DayReading, Progress, ignore_progress, read_day
from eventlog.proof.day_tally import Book, Trades, Updates
from eventlog.store.catalogue import FileRecord
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from market.arrays import I64
from market.ranges import Range
from market.timestamps import DAY_NS, day_of, iso, parse_iso

LAYOUT = 1  # raised when a certificate's fields change; another one is not read
_MAX_LISTED = 5  # agg ids that a message lists
CERTIFICATES = "certificate-*.json"
_MAX_BYTES = 32 * 1024 * 1024
"""The longest certificate: that of a day whose feed disconnected every second is smaller."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """
    The findings about one day of a log.

    Attributes:
        complete: everything that the venue still gives is in the log, and all of it is right. reasons: why not.
        sound: nothing is wrong except what a gap names or what lies outside the log.
        unproven_trades, unproven_depth: ranges in ns, end excluded; see `eventlog.proof.coverage`.
        code: digest of the code that made the certificate; recorded_by: of the code that recorded. columns: the columns
            that the digests cover, by kind.
        previous: the seal of the certificate of the day before, None where there was none.
        minutes: each minute with entries, their number, and the chain's digest up to it. head: the last digest.
        contradicted: agg ids of the day's trades that facts of other days contradict; unset in older certificates,
            whose seal stays valid.
        seal: the digest of all other fields.
    """

    layout: int = LAYOUT
    log: str
    log_id: str
    day: str
    complete: bool
    sound: bool
    reasons: list[str]
    entries: int
    seqs: Range | None
    kinds: dict[str, int]
    trades: Trades
    updates: Updates
    book: Book
    gaps: list[NamedGap]
    quarantined: dict[str, int]
    ticks: Ticks
    sessions: dict[str, int]
    disconnects: list[tuple[str, str]]
    clock: dict[str, int] | None
    unproven_trades: list[Range]
    unproven_depth: list[Range]
    files: list[FileRecord]
    code: str
    recorded_by: list[str]
    columns: dict[str, list[str]]
    previous: str | None
    minutes: list[tuple[str, int, str]]
    head: str
    contradicted: list[int] | msgspec.UnsetType = msgspec.UNSET
    seal: str = ""


def path_of(cold: ColdLog, day: str) -> Path:
    """The path of a day's certificate, beside the log's files; `day` as YYYY-MM-DD."""
    return cold.folder / f"certificate-{day}.json"


def certify(log: Log, day_ns: int, on_progress: Progress = ignore_progress) -> Certificate:
    """
    Read a day of a log and make its certificate.

    Args:
        log: only its archive is read.
        day_ns: midnight UTC of the day.
        on_progress: called with the number of entries read since the last call, and the total of the day.

    Raises:
        LogNotFound: there is no such log. LogBroken: its catalogue, or the certificate of the day before, is damaged.
    """
    reading = read_day(log.cold, day_ns, on_progress)
    tally, coverage_gaps = reading.tally, reading.evidence.coverage_gaps(day_ns, day_ns + DAY_NS)
    gaps = gaps_of_day(reading)
    errors, incomplete_reasons = (
        find_errors(reading),
        find_incomplete_reasons(reading, coverage_gaps, gaps, log.cold.catalogue.last_recv_ns),
    )
    day, previous = day_of(day_ns), _previous(log.cold, day_ns)
    chain = _chain(str(log.name), day, previous, reading)
    certificate = Certificate(
        log=str(log.name),
        log_id=log.cold.catalogue.log_id,
        day=day,
        complete=not errors and not incomplete_reasons,
        sound=not errors,
        reasons=errors + incomplete_reasons,
        entries=tally.kinds.total(),
        seqs=None if tally.first_seq is None or tally.last_seq is None else (tally.first_seq, tally.last_seq),
        kinds=dict(sorted(tally.kinds.items())),
        trades=tally.trades(),
        updates=tally.updates(),
        book=tally.book(),
        gaps=gaps,
        quarantined=dict(sorted(tally.quarantine_reasons.items())),
        ticks=count_ticks(reading),
        sessions=dict(sorted(tally.sessions.items())),
        disconnects=tally.disconnects,
        clock=tally.clock(),
        unproven_trades=_pairs(coverage_gaps.trades),
        unproven_depth=_pairs(coverage_gaps.depth),
        files=reading.files,
        code=code_digest(),
        recorded_by=sorted(tally.recorded_by),
        columns={kind: list(names) for kind, names in sorted(reading.digests.columns.items())},
        previous=previous,
        minutes=chain,
        head=chain[-1][2] if chain else "",
        contradicted=reading.conflicting_trades,
    )
    return replace(certificate, seal=compute_seal(certificate))


def compute_seal(certificate: Certificate) -> str:
    """The digest, 32 hex digits, of all fields of a certificate but its seal."""
    return blake2b(msgspec.json.encode(replace(certificate, seal="")), digest_size=16).hexdigest()


def save(certificate: Certificate, path: Path) -> None:
    """Write a certificate in one step."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(certificate), indent=1))


def load(path: Path) -> Certificate:
    """
    Read a certificate from its file.

    Raises:
        EventLogError: there is no such file, or it has another layout. LogBroken: it is no certificate, or was changed
            since it was made.
    """
    try:
        with translate_errors(path):
            certificate = msgspec.json.decode(read_plain(path, _MAX_BYTES), type=Certificate)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise LogBroken(f"{path} is no certificate ({str(error)[:120]}); make it again with check --day") from error
    if certificate.layout != LAYOUT:
        raise EventLogError(f"{path} has layout {certificate.layout}, this version reads {LAYOUT}; make it again")
    if certificate.seal != compute_seal(certificate):
        raise LogBroken(f"{path} was changed since it was made: its seal does not fit what it says")
    return certificate


def find_difference(log: Log, certificate: Certificate, on_progress: Progress = ignore_progress) -> str | None:
    """
    Compare a day of a log with its certificate; files that were merged since are no difference.

    Args:
        log: only its archive is read.
        certificate: of that day.
        on_progress: called with the number of entries read since the last call, and the total of the day.

    Returns:
        One line that names the first minute that differs, or the trades that facts of other days contradict since; None
        where nothing differs.
    """
    if certificate.log != str(log.name) or certificate.log_id != log.cold.refresh().log_id:
        return f"{certificate.day}: the certificate is of {certificate.log} (log {certificate.log_id}), not of this log"
    reading = read_day(log.cold, parse_iso(certificate.day), on_progress, certificate.columns)
    now = _chain(certificate.log, certificate.day, certificate.previous, reading)
    reason = f": {reading.damage[0]}" if reading.damage else ""
    for old_link, new_link in zip_longest(certificate.minutes, now):
        if old_link != new_link:
            minute = min(link[0] for link in (old_link, new_link) if link is not None)
            return f"{certificate.day} {minute} is the first minute that differs from the certificate{reason}"
    difference = reason[2:] or _describe_new_conflicts(certificate, reading)
    return f"{certificate.day}: every minute's entries are as certified, but {difference}" if difference else None


def _describe_new_conflicts(certificate: Certificate, reading: DayReading) -> str:
    """Changes, since the certificate, of which trades facts of other days contradict; empty where there are none."""
    old_ids = certificate.contradicted
    if isinstance(old_ids, msgspec.UnsetType):
        if not certificate.complete:
            return ""  # it is not known which trades were contradicted then
        old_ids = []
    changes = sorted(set(old_ids) ^ set(reading.conflicting_trades))
    if not changes:
        return ""
    text = ", ".join(map(str, changes[:_MAX_LISTED])) + (" …" if len(changes) > _MAX_LISTED else "")
    return f"what contradicts its trades has changed since, agg ids {text}; certify it again with check --day"


def _chain(log: str, day: str, previous: str | None, reading: DayReading) -> list[tuple[str, int, str]]:
    seed = msgspec.json.encode([LAYOUT, log, day, previous]).decode()
    return [(iso(minute)[11:16], count, head) for minute, count, head in reading.digests.chain(seed)]


def _previous(cold: ColdLog, day_ns: int) -> str | None:
    path = path_of(cold, day_of(day_ns - DAY_NS))
    return load(path).seal if path.exists() else None


def _pairs(ranges: I64) -> list[Range]:
    return [(start, end) for start, end in ranges.tolist()]
