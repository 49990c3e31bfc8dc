"""
Rebuilding a log's catalogue from its files: their names say which entries they hold, and their contents prove it.

Every file is read completely. Files that are not needed, such as parts of a day that were merged, are moved aside; no
file is removed, and nothing is changed where entries are missing.
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
"""Called with the number of files read since the last call, and the total."""


@dataclass(frozen=True, slots=True)
class RebuiltCatalogue:
    """
    A rebuilt catalogue.

    Attributes:
        moved_files: the new paths of the files that it does not need.
        conflicting_ranges: ranges of seqs of these whose files held other entries than those that were selected.
    """

    catalogue: Catalogue
    moved_files: tuple[Path, ...]
    conflicting_ranges: tuple[Range, ...] = ()

    @property
    def entries(self) -> int:
        """The number of entries in its files."""
        return sum(file.rows for segment in self.catalogue.segments for file in segment.files)


def has_sound_catalogue(cold: ColdLog) -> bool:
    """
    Whether a log's catalogue can be read and is intact.

    Raises:
        LogBroken: it is another log's. EventLogError: it cannot be read, e.g. for lack of permission.
    """
    try:
        catalogues.load(cold.folder)
    except (LogBroken, LogNotFound):
        return False
    cold.refresh()  # raises where it is another log's
    return True


def rebuild_catalogue(
    cold: ColdLog,
    clock: Clock,
    server_id: str | None = None,
    incomplete_start: bool = False,
    incomplete_end: bool = False,
    on_progress: Progress = lambda *_: None,
) -> RebuiltCatalogue | None:
    """
    Rebuild a log's catalogue from its files; the log is locked against other writers meanwhile.

    Args:
        cold: the log.
        clock: its time becomes part of a new log id where the log has none.
        server_id: the log id that the log's server holds, None where no server is known.
        incomplete_start: whether entries before the first complete segment are lost; the log then begins later.
        incomplete_end: whether files after the last complete segment are left from a crash and move aside; their
            entries are still on the server, or were not all imported.
        on_progress: called with the number of files read since the last call, and the total.

    Returns:
        None where the log has a sound catalogue: nothing was done.

    Raises:
        LogNotFound: the folder holds no file of a log.
        WriterRefused: another process writes to the log.
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
            return None  # another process rebuilt it before it released the lock
        files = _files_by_range(cold.folder)
        proofs, faults = _prove_ranges(cold, files, on_progress)
        parts = _select_parts(proofs)
        start = parts[0].segment.first_seq if incomplete_start and parts else 1
        end = parts[-1].segment.last_seq if parts else 0
        last = end if incomplete_end else max((last for _, last in files), default=0)
        _expect_complete(cold, parts, start, last, faults)
        instrument_segments = _instrument_before(cold, files, parts) if incomplete_start else []
        segments = (*instrument_segments, *(part.segment for part in parts))
        catalogue = Catalogue(cold.name.key, _log_id(cold, server_id, clock), segments=segments)
        moved_files = _replace_catalogue(cold, catalogue)
        return RebuiltCatalogue(cold.refresh(), moved_files, _find_conflicts(proofs, parts))
    finally:
        lock.release()


def _instrument_before(
    cold: ColdLog, files: Mapping[Range, Mapping[str, Path]], parts: Sequence[SegmentProof]
) -> list[Segment]:
    """
    A segment that repeats the instrument fact of the lost start, without which quantities have no unit.

    Raises:
        LogBroken: no remaining file holds an instrument fact.
    """
    if cold.name.stream != "events" or not parts or parts[0].segment.first_seq == 1:
        return []
    if any(file.kind == INSTRUMENT for part in parts for file in part.segment.files):
        return []
    if not any(file.kind in _WITH_QUANTITIES for part in parts for file in part.segment.files):
        return []
    for kinds in (kinds for _, kinds in sorted(files.items(), reverse=True) if INSTRUMENT in kinds):
        with suppress(LogBroken):
            row = parquet_files.read(INSTRUMENT, kinds[INSTRUMENT]).to_pylist()[-1]
            return [_write_instrument(cold, row, parts[0].segment)]
    raise LogBroken(
        f"{cold.folder}: no whole file says how many decimals its quantities have; nothing was changed; put a "
        f"*.{INSTRUMENT}.parquet of this log beside them, from a backup or from the storage they were moved from"
    )


def _write_instrument(cold: ColdLog, instrument: Mapping[str, Any], next_segment: Segment) -> Segment:
    """Write a segment of one instrument fact before the first segment."""
    seq, recv_ns = next_segment.first_seq - 1, next_segment.first_recv_ns
    name = catalogues.file_name(seq, seq, INSTRUMENT)
    if (cold.folder / name).exists():
        move_aside(cold.folder / name)
    row = {**instrument, "seq": seq, "recv_ns": recv_ns}
    record = cold.write_file(name, INSTRUMENT, pa.Table.from_pylist([row], SCHEMAS[INSTRUMENT]))
    return Segment(seq, seq, recv_ns, recv_ns, (record,))


def _replace_catalogue(cold: ColdLog, catalogue: Catalogue) -> tuple[Path, ...]:
    """Move files that a catalogue does not name aside, then save it; after a crash in between it can be repeated."""
    leftovers = [cold.folder / FILE_NAME] if (cold.folder / FILE_NAME).exists() else []
    leftovers += [path for path in sorted(cold.folder.glob("*.parquet")) if path.name not in catalogue.names]
    moved_files = tuple(move_aside(path) for path in leftovers)
    catalogue.save(cold.folder)
    return moved_files


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


def _prove_ranges(
    cold: ColdLog, files: Mapping[Range, Mapping[str, Path]], on_progress: Progress
) -> tuple[list[SegmentProof], list[str]]:
    """Proofs of the complete ranges of seqs, and what is wrong with the others."""
    proofs: list[SegmentProof] = []
    faults: list[str] = []
    total = sum(map(len, files.values()))
    cuts = np.array(sorted({cut for first, last in files for cut in (first, last + 1)}), np.int64)
    for (first, last), kinds in sorted(files.items()):
        for path in kinds.values():
            _expect_own(cold, path)
        try:
            proofs.append(prove_segment(first, last, kinds, cuts))
        except LogBroken as error:
            faults.append(str(error))
        on_progress(len(kinds), total)
    return proofs, faults


def _expect_own(cold: ColdLog, path: Path) -> None:
    try:
        log = parquet_files.read_log_key(path)
    except LogBroken:
        return  # `prove_segment` reports the fault
    if log not in ("", cold.name.key):
        raise LogBroken(f"{path} is of {log[:80]}, not of {cold.name}; move it away")


def _select_parts(parts: Sequence[SegmentProof]) -> list[SegmentProof]:
    """
    Select parts that do not overlap and hold the most entries, in as few parts as possible.
    """
    by_end = sorted(parts, key=lambda part: part.segment.last_seq)
    ends = [part.segment.last_seq for part in by_end]
    best: list[tuple[int, int]] = [(0, 0)]  # of the first n: number of entries, and minus the number of parts
    for n, part in enumerate(by_end):
        entries, count = best[bisect_left(ends, part.segment.first_seq, hi=n)]
        best.append(max(best[n], (entries + part.span, count - 1)))
    selection: list[SegmentProof] = []
    n = len(by_end)
    while n:
        if best[n] != best[n - 1]:
            selection.append(by_end[n - 1])
            n = bisect_left(ends, by_end[n - 1].segment.first_seq, hi=n - 1)
        else:
            n -= 1
    return selection[::-1]


def _find_conflicts(proofs: Sequence[SegmentProof], parts: Sequence[SegmentProof]) -> tuple[Range, ...]:
    marks = {seq: mark for part in parts for seq, mark in part.marks.items()}
    return tuple(
        (part.segment.first_seq, part.segment.last_seq)
        for part in proofs
        if any(marks.get(seq, mark) != mark for seq, mark in part.marks.items())
    )


def _expect_complete(
    cold: ColdLog, parts: Sequence[SegmentProof], start: int, last: int, faults: Sequence[str]
) -> None:
    """Refuse missing entries before, between or after the parts, except those that a gap names."""
    missing: list[Range] = []
    end = start - 1
    for part in parts:
        first = part.segment.first_seq
        # a catalogue allows a jump only before the segment whose gap names the lost seqs
        missing += subtract_ranges([(end + 1, first - 1)] if first > end + 1 else [], part.lost_ranges)
        end = part.segment.last_seq
    missing += [(end + 1, last)] if last > end else []
    if not missing:
        return
    reason = f" ({'; '.join(faults[:MAX_NAMED])})" if faults else ""
    raise LogBroken(
        f"{cold.folder}: no whole file holds {format_ranges(missing)}{reason}; nothing was changed; restore the files "
        f"from a backup, or {_describe_options(parts, missing)}"
    )


def _describe_options(parts: Sequence[SegmentProof], missing: Sequence[Range]) -> str:
    """What else the user can do about missing entries, for the message."""
    first, last = (parts[0].segment.first_seq, parts[-1].segment.last_seq) if parts else (1, 0)
    inner = [item for item in missing if first <= item[0] <= last]
    if inner:
        return f"move those from seq {inner[0][0]} on into another storage"
    flags = ["--incomplete-start"] if missing[0][0] < first else []
    flags += ["--incomplete-end"] if missing[-1][0] > last else []
    return f"if a crash left it so, or they are lost for good, say {' '.join(flags)}"


def _log_id(cold: ColdLog, server_id: str | None, clock: Clock) -> str:
    """The log id from its writer's reservation, its server or a certificate; a new one where none of them has it."""
    with suppress(OSError):
        reservation = cold.load_reservation()
        if reservation is not None and reservation.log_id:
            return reservation.log_id
    if server_id is not None:
        return server_id
    for path in sorted(cold.folder.glob(CERTIFICATES), reverse=True):
        with suppress(EventLogError):
            return load(path).log_id
    return new_log_id(cold.name, clock.now_ns())
