"""
The certificate of a day: what a log holds of it, what of that is proven, and a chain of digests that shows any change.

A day is a UTC day of arrival. A certificate is a function of the log and of the certificate of the day before; made
again from the same files it has the same bytes.
"""

from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path

import msgspec
from msgspec.structs import replace

from eventlog.code_version import code_digest
from eventlog.disk.files import read_plain, translate_errors, write_atomic
from eventlog.errors import EventLogError, LogBroken
from eventlog.proof.day_findings import NamedGap, Ticks, flaws, lacks, named_gaps, ticks_of
from eventlog.proof.day_reading import DayReading, Progress, read_day, silent
from eventlog.proof.day_tally import Book, Trades, Updates
from eventlog.store.catalogue import FileRecord
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from market.arrays import I64
from market.ranges import Range
from market.timestamps import DAY_NS, day_of, iso, parse_iso

LAYOUT = 1
_SHOWN = 5
CERTIFICATES = "certificate-*.json"
_MAX_BYTES = 32 * 1024 * 1024
"""Of a certificate: that of a day of a feed that broke off every second is smaller."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known of a day.

    Attributes:
        complete: all that the venue would still give is there, and all that is there is right. reasons: why not.
        sound: nothing is wrong but what a gap names, or what lies outside the log.
        unproven_trades, unproven_depth: ranges in ns, end excluded; see `eventlog.proof.coverage`.
        code: that made the certificate; recorded_by: that recorded. columns: what the digests are over, by kind.
        previous: the seal of the certificate of the day before, None where there was none.
        minutes: each minute with entries, how many, and the chain's digest up to it. head: the last of them.
        contradicted: agg ids of the day's trades that facts which came on other days contradict; older certificates do
            not say it, and keep their seal.
        seal: the digest of everything above it.
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
    """Where a day's certificate lies: beside the log's files."""
    return cold.folder / f"certificate-{day}.json"


def certify(log: Log, day_ns: int, on_progress: Progress = silent) -> Certificate:
    """
    Read a day and say what is proven of it.

    Args:
        day_ns: midnight UTC. on_progress: told how many entries were read since, and of how many.

    Raises:
        LogNotFound: there is no such log. LogBroken: its catalogue, or the certificate of the day before, is damaged.
    """
    reading = read_day(log.cold, day_ns, on_progress)
    tally, mask = reading.tally, reading.evidence.mask(day_ns, day_ns + DAY_NS)
    gaps = named_gaps(reading)
    wrong, lacking = flaws(reading), lacks(reading, mask, gaps, log.cold.catalogue.last_recv_ns)
    day, previous = day_of(day_ns), _previous(log.cold, day_ns)
    chain = _chain(str(log.name), day, previous, reading)
    unsealed = Certificate(
        log=str(log.name),
        log_id=log.cold.catalogue.log_id,
        day=day,
        complete=not wrong and not lacking,
        sound=not wrong,
        reasons=wrong + lacking,
        entries=tally.kinds.total(),
        seqs=None if tally.first_seq is None or tally.last_seq is None else (tally.first_seq, tally.last_seq),
        kinds=dict(sorted(tally.kinds.items())),
        trades=tally.trades(),
        updates=tally.updates(),
        book=tally.book(),
        gaps=gaps,
        quarantined=dict(sorted(tally.quarantined.items())),
        ticks=ticks_of(reading),
        sessions=dict(sorted(tally.sessions.items())),
        disconnects=tally.disconnects,
        clock=tally.clock(),
        unproven_trades=_pairs(mask.trades),
        unproven_depth=_pairs(mask.depth),
        files=reading.files,
        code=code_digest(),
        recorded_by=sorted(tally.recorded_by),
        columns={kind: list(names) for kind, names in sorted(reading.digests.columns.items())},
        previous=previous,
        minutes=chain,
        head=chain[-1][2] if chain else "",
        contradicted=reading.contradicted_trades,
    )
    return replace(unsealed, seal=seal_of(unsealed))


def seal_of(certificate: Certificate) -> str:
    """The digest of all a certificate says."""
    return blake2b(msgspec.json.encode(replace(certificate, seal="")), digest_size=16).hexdigest()


def save(certificate: Certificate, path: Path) -> None:
    """Write a certificate, whole or not at all."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(certificate), indent=1))


def load(path: Path) -> Certificate:
    """
    Read a certificate back.

    Raises:
        EventLogError: there is none. LogBroken: it is no certificate, or was changed since it was made.
    """
    try:
        with translate_errors(path):
            found = msgspec.json.decode(read_plain(path, _MAX_BYTES), type=Certificate)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise LogBroken(f"{path} is no certificate ({str(error)[:120]}); make it again with check --day") from error
    if found.layout != LAYOUT:
        raise EventLogError(f"{path} has layout {found.layout}, this version reads {LAYOUT}; make it again")
    if found.seal != seal_of(found):
        raise LogBroken(f"{path} was changed since it was made: its seal does not fit what it says")
    return found


def difference(log: Log, certificate: Certificate, on_progress: Progress = silent) -> str | None:
    """
    How a day now differs from its certificate: one line that names the first minute that does, or which of its trades
    were contradicted on other days; None where nothing does.

    Files that were merged since are no difference: their entries are what counts.
    """
    if certificate.log != str(log.name) or certificate.log_id != log.cold.refresh().log_id:
        return f"{certificate.day}: the certificate is of {certificate.log} (log {certificate.log_id}), not of this log"
    reading = read_day(log.cold, parse_iso(certificate.day), on_progress, certificate.columns)
    now = _chain(certificate.log, certificate.day, certificate.previous, reading)
    because = f": {reading.damaged[0]}" if reading.damaged else ""
    for was, found in zip_longest(certificate.minutes, now):
        if was != found:
            minute = min(each[0] for each in (was, found) if each is not None)
            return f"{certificate.day} {minute} is the first minute that differs from the certificate{because}"
    but = because[2:] or _contradicted_since(certificate, reading)
    return f"{certificate.day}: every minute's entries are as certified, but {but}" if but else None


def _contradicted_since(certificate: Certificate, reading: DayReading) -> str:
    """What other days say otherwise against a day's trades than when it was certified, in words; empty for nothing."""
    said = certificate.contradicted
    if isinstance(said, msgspec.UnsetType):
        if not certificate.complete:
            return ""  # nobody knows what was contradicted by then
        said = []
    changed = sorted(set(said) ^ set(reading.contradicted_trades))
    if not changed:
        return ""
    shown = ", ".join(map(str, changed[:_SHOWN])) + (" …" if len(changed) > _SHOWN else "")
    return f"what contradicts its trades has changed since, agg ids {shown}; certify it again with check --day"


def _chain(log: str, day: str, previous: str | None, reading: DayReading) -> list[tuple[str, int, str]]:
    seed = msgspec.json.encode([LAYOUT, log, day, previous]).decode()
    return [(iso(minute)[11:16], count, head) for minute, count, head in reading.digests.chain(seed)]


def _previous(cold: ColdLog, day_ns: int) -> str | None:
    path = path_of(cold, day_of(day_ns - DAY_NS))
    return load(path).seal if path.exists() else None


def _pairs(ranges: I64) -> list[Range]:
    return [(start, end) for start, end in ranges.tolist()]
