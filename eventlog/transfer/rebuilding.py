"""
A log's catalogue made anew from its files: their names say which entries they hold, and what is in them proves it.

Every file is read whole. What is not needed, as the parts of a day that were merged, is moved aside; nothing is
removed, and nothing at all is changed where entries are missing.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from eventlog.clock import Clock
from eventlog.disk import parquet_files
from eventlog.disk.files import move_aside, translate_errors
from eventlog.errors import EventLogError, LogBroken, LogNotFound
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.facts.registry import SCHEMAS
from eventlog.names import RESERVED_FILE
from eventlog.proof.certificate import CERTIFICATES, load
from eventlog.proof.segment_proof import MAX_NAMED, SegmentProof, format_ranges, prove_segment, subtract_ranges
from eventlog.store import catalogue as catalogues
from eventlog.store.catalogue import FILE_NAME, Catalogue, Segment, parse_file_name
from eventlog.store.cold import ColdLog, new_log_id
from eventlog.store.writer import StorageLock
from market.ranges import Range

_WITH_QUANTITIES = (AGG_TRADE, DIFF, SNAPSHOT)

Progress = Callable[[int, int], None]
"""Told how many files were read since, and of how many."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """
    A rebuilt catalogue.

    Attributes:
        aside: where the files lie now that it does not need.
        contradicted: ranges of seqs among these whose files held other entries than the ones that were chosen.
    """

    catalogue: Catalogue
    aside: tuple[Path, ...]
    contradicted: tuple[Range, ...] = ()

    @property
    def entries(self) -> int:
        """How many entries its files hold."""
        return sum(file.rows for segment in self.catalogue.segments for file in segment.files)


def has_sound_catalogue(cold: ColdLog) -> bool:
    """
    Whether a log's catalogue can be read and is as it was written.

    Raises:
        LogBroken: it is another log's. EventLogError: that cannot be told, as where the folder may not be read.
    """
    try:
        catalogues.load(cold.folder)
    except (LogBroken, LogNotFound):
        return False
    cold.refresh()  # raises where it is another log's: these files are none of this log
    return True


def rebuild_catalogue(
    cold: ColdLog,
    clock: Clock,
    server_id: str | None = None,
    incomplete_start: bool = False,
    incomplete_end: bool = False,
    on_progress: Progress = lambda *_: None,
) -> Rebuilt | None:
    """
    Write a log's catalogue anew; no other process may write to the log meanwhile.

    Args:
        server_id: the log id that the log's server holds, None where no server is known.
        incomplete_start: whether what came before the first whole segment is lost for good; the log then begins later.
        incomplete_end: whether files behind the last whole segment are what a crash left, and go aside; their entries
            are still on the server, or were never all imported.

    Returns:
        None where the log has a sound catalogue: nothing was done.

    Raises:
        LogNotFound: the folder holds no file of a log.
        WriterRefused: somebody is writing to the log.
        LogBroken: entries are missing from the files, or a file is another log's; nothing was changed.
    """
    cold.expect_no_link()
    if not cold.folder.is_dir():
        raise LogNotFound(f"no log {cold.name} in {cold.storage}; check --market and --storage")
    if has_sound_catalogue(cold):
        return None
    if not _files_by_range(cold.folder) and not (cold.folder / RESERVED_FILE).exists():
        raise LogNotFound(f"{cold.folder} holds no file of a log; there is nothing to rebuild")
    lock = StorageLock(cold)
    try:
        if has_sound_catalogue(cold):
            return None  # whoever held the lock has made it
        files = _files_by_range(cold.folder)
        whole, faults = _prove(cold, files, on_progress)
        parts = _fullest(whole)
        start = parts[0].segment.first_seq if incomplete_start and parts else 1
        end = parts[-1].segment.last_seq if parts else 0
        last = end if incomplete_end else max((last for _, last in files), default=0)
        _expect_complete(cold, parts, start, last, faults)
        said_again = _instrument_before(cold, files, parts) if incomplete_start else []
        segments = (*said_again, *(part.segment for part in parts))
        catalogue = Catalogue(cold.name.key, _log_id(cold, server_id, clock), segments=segments)
        aside = _replace(cold, catalogue)
        return Rebuilt(cold.refresh(), aside, _contradicted(whole, parts))
    finally:
        lock.release()


def _instrument_before(
    cold: ColdLog, files: Mapping[Range, Mapping[str, Path]], parts: Sequence[SegmentProof]
) -> list[Segment]:
    """
    A segment that says again what the lost start said of the instrument: nobody could tell quantities otherwise.

    Raises:
        LogBroken: no file that is left says it.
    """
    if cold.name.stream != "events" or not parts or parts[0].segment.first_seq == 1:
        return []
    if any(file.kind == INSTRUMENT for part in parts for file in part.segment.files):
        return []
    if not any(file.kind in _WITH_QUANTITIES for part in parts for file in part.segment.files):
        return []
    for kinds in (kinds for _, kinds in sorted(files.items(), reverse=True) if INSTRUMENT in kinds):
        with suppress(LogBroken):
            told = parquet_files.read(INSTRUMENT, kinds[INSTRUMENT]).to_pylist()[-1]
            return [_said_again(cold, told, parts[0].segment)]
    raise LogBroken(
        f"{cold.folder}: no whole file says how many decimals its quantities have; nothing was changed; put a "
        f"*.{INSTRUMENT}.parquet of this log beside them, from a backup or from the storage they were moved from"
    )


def _said_again(cold: ColdLog, told: Mapping[str, Any], before: Segment) -> Segment:
    """An instrument fact of its own, written before the first segment."""
    seq, recv_ns = before.first_seq - 1, before.first_recv_ns
    name = catalogues.file_name(seq, seq, INSTRUMENT)
    if (cold.folder / name).exists():
        move_aside(cold.folder / name)
    row = {**told, "seq": seq, "recv_ns": recv_ns}
    record = cold.write_file(name, INSTRUMENT, pa.Table.from_pylist([row], SCHEMAS[INSTRUMENT]))
    return Segment(seq, seq, recv_ns, recv_ns, (record,))


def _replace(cold: ColdLog, catalogue: Catalogue) -> tuple[Path, ...]:
    """Put a catalogue in its place and what it does not name aside; ended in between, it can be done again."""
    unneeded = [cold.folder / FILE_NAME] if (cold.folder / FILE_NAME).exists() else []
    unneeded += [path for path in sorted(cold.folder.glob("*.parquet")) if path.name not in catalogue.names]
    aside = tuple(move_aside(path) for path in unneeded)
    catalogue.save(cold.folder)
    return aside


def _files_by_range(folder: Path) -> dict[Range, dict[str, Path]]:
    """The files of each range of seqs, by kind."""
    ranges: dict[Range, dict[str, Path]] = {}
    with translate_errors(folder):
        for path in sorted(folder.glob("*.parquet")):
            parts = parse_file_name(path.name)
            if path.is_symlink() or not path.is_file():
                raise LogBroken(f"{path} is no plain file; remove it")
            if parts is not None:
                first, last, kind = parts
                ranges.setdefault((first, last), {})[kind] = path
    return ranges


def _prove(
    cold: ColdLog, files: Mapping[Range, Mapping[str, Path]], on_progress: Progress
) -> tuple[list[SegmentProof], list[str]]:
    """The ranges of seqs whose files hold all of them, and what is wrong with the others."""
    whole: list[SegmentProof] = []
    faults: list[str] = []
    total = sum(map(len, files.values()))
    cuts = np.array(sorted({cut for first, last in files for cut in (first, last + 1)}), np.int64)
    for (first, last), kinds in sorted(files.items()):
        for path in kinds.values():
            _expect_own(cold, path)
        try:
            whole.append(prove_segment(first, last, kinds, cuts))
        except LogBroken as error:
            faults.append(str(error))
        on_progress(len(kinds), total)
    return whole, faults


def _expect_own(cold: ColdLog, path: Path) -> None:
    try:
        log = parquet_files.read_log_key(path)
    except LogBroken:
        return  # whoever reads it says what is wrong with it
    if log not in ("", cold.name.key):
        raise LogBroken(f"{path} is of {log[:80]}, not of {cold.name}; move it away")


def _fullest(parts: Sequence[SegmentProof]) -> list[SegmentProof]:
    """
    Of parts that overlap, as a day and what it was merged from, those that together hold the most, in as few as may be.
    """
    ordered = sorted(parts, key=lambda part: part.segment.last_seq)
    ends = [part.segment.last_seq for part in ordered]
    best: list[tuple[int, int]] = [(0, 0)]  # of the first n: how much they hold, and minus how many
    for n, part in enumerate(ordered):
        held, count = best[bisect_left(ends, part.segment.first_seq, hi=n)]
        best.append(max(best[n], (held + part.span, count - 1)))
    chosen: list[SegmentProof] = []
    n = len(ordered)
    while n:
        if best[n] != best[n - 1]:
            chosen.append(ordered[n - 1])
            n = bisect_left(ends, ordered[n - 1].segment.first_seq, hi=n - 1)
        else:
            n -= 1
    return chosen[::-1]


def _contradicted(whole: Sequence[SegmentProof], chosen: Sequence[SegmentProof]) -> tuple[Range, ...]:
    marks = {at: mark for part in chosen for at, mark in part.marks.items()}
    return tuple(
        (part.segment.first_seq, part.segment.last_seq)
        for part in whole
        if any(marks.get(at, mark) != mark for at, mark in part.marks.items())
    )


def _expect_complete(
    cold: ColdLog, parts: Sequence[SegmentProof], start: int, last: int, faults: Sequence[str]
) -> None:
    """Nothing may be missing before the parts, between them or behind them but what a gap names."""
    missing: list[Range] = []
    end = start - 1
    for part in parts:
        first = part.segment.first_seq
        # the catalogue takes a later start only from the segment that names what was lost
        missing += subtract_ranges([(end + 1, first - 1)] if first > end + 1 else [], part.lost_ranges)
        end = part.segment.last_seq
    missing += [(end + 1, last)] if last > end else []
    if not missing:
        return
    because = f" ({'; '.join(faults[:MAX_NAMED])})" if faults else ""
    raise LogBroken(
        f"{cold.folder}: no whole file holds {format_ranges(missing)}{because}; nothing was changed; restore the files "
        f"from a backup, or {_way_on(parts, missing)}"
    )


def _way_on(parts: Sequence[SegmentProof], missing: Sequence[Range]) -> str:
    """What else can be done about missing entries."""
    first, last = (parts[0].segment.first_seq, parts[-1].segment.last_seq) if parts else (1, 0)
    inside = [each for each in missing if first <= each[0] <= last]
    if inside:
        return f"move those from seq {inside[0][0]} on into another storage"
    flags = ["--incomplete-start"] if missing[0][0] < first else []
    flags += ["--incomplete-end"] if missing[-1][0] > last else []
    return f"if a crash left it so, or they are lost for good, say {' '.join(flags)}"


def _log_id(cold: ColdLog, server_id: str | None, clock: Clock) -> str:
    """Whose log it is: what its writer, its server or a certificate says; a new name where nobody ever named it."""
    with suppress(OSError):
        reserved = cold.load_reservation()
        if reserved is not None and reserved.log_id:
            return reserved.log_id
    if server_id is not None:
        return server_id
    for path in sorted(cold.folder.glob(CERTIFICATES), reverse=True):
        with suppress(EventLogError):
            return load(path).log_id
    return new_log_id(cold.name, clock.now_ns())
