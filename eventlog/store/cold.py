"""
The cold part of a log: Parquet segments behind a catalogue.

A segment's files are written and synced first, under names that carry its range; then one atomic replacement of the
catalogue makes them part of the log. A crash in between leaves unlisted files; the next commit moves them aside.
Every read checks a file's digest against the catalogue. A file of a recording is removed only after the merged file
that holds its entries was verified.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eventlog.disk import parquet_files
from eventlog.disk.files import create_private_folder, expect_no_link, move_aside, translate_errors, write_atomic
from eventlog.disk.sealed_json import read_sealed
from eventlog.errors import LogBroken, LogNotFound
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE
from eventlog.names import RESERVED_FILE, SPILL_FILE, SPILL_POSITION_FILE, LogName, Reservation, SpillPosition
from eventlog.store import catalogue as catalogues
from eventlog.store.batch import Batch
from eventlog.store.catalogue import Catalogue, FileRecord, RetiredFile, Segment
from eventlog.store.intact import expect_intact
from market.timestamps import HOUR_NS, day_of

_RETIRED_FOR_NS = HOUR_NS  # readers of a merged file have finished by then
_LARGEST_SEGMENT = 20_000_000  # seqs: bounds the memory of a merge


class ColdLog:
    """
    A log's Parquet part.

    Args:
        storage: the folder that holds all logs.
        name: which log.
    """

    def __init__(self, storage: Path, name: LogName) -> None:
        self.name = name
        self.storage = storage
        self.folder = name.folder(storage)
        self._catalogue: Catalogue | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The committed segments, as last read; see `refresh`."""
        return self._catalogue or self.refresh()

    def exists(self) -> bool:
        """Whether this storage holds the log."""
        return (self.folder / catalogues.FILE_NAME).exists()

    def refresh(self) -> Catalogue:
        """
        Read the catalogue again; other processes may have committed.

        Raises:
            LogNotFound: there is no such log. LogBroken: it is damaged, or its catalogue is lost.
        """
        self.expect_no_link()
        try:
            self._catalogue = catalogues.load(self.folder)
        except LogNotFound:
            self.expect_nothing_recorded()
            raise
        if self._catalogue.log != self.name.key:
            raise LogBroken(f"{self.folder} holds {self._catalogue.log}, not {self.name}; was a folder renamed?")
        return self._catalogue

    def load_reservation(self) -> Reservation | None:
        """
        Read which seqs the log's writer may have used, None where there was no writer yet.

        Raises:
            OSError: it cannot be read. LogBroken: it is damaged.
        """
        try:
            return read_sealed(self.folder / RESERVED_FILE, Reservation, "restore it from a backup")
        except FileNotFoundError:
            return None

    @property
    def pending_bytes(self) -> int:
        """Bytes that its recorder has spilled to disk and that are not in the log yet."""
        stored_bytes = 0
        with suppress(OSError, LogBroken):
            stored_bytes = read_sealed(self.folder / SPILL_POSITION_FILE, SpillPosition, "").offset
        with translate_errors(self.folder):
            try:
                return max(0, (self.folder / SPILL_FILE).stat().st_size - stored_bytes)
            except FileNotFoundError:
                return 0

    def create(self, now_ns: int) -> Catalogue:
        """
        Read the catalogue of this log; write a new empty one where the folder holds no log.

        Args:
            now_ns: the current time, part of a new log's id.

        Raises:
            LogBroken: there are files of a log, but no catalogue.
        """
        try:
            return self.refresh()
        except LogNotFound:
            with translate_errors(self.folder):
                create_private_folder(self.folder)
            self._commit(Catalogue(log=self.name.key, log_id=new_log_id(self.name, now_ns)))
            return self.catalogue

    def append(self, first_seq: int, last_seq: int, tables: Mapping[str, pa.Table]) -> Segment:
        """
        Write and commit one segment.

        Args:
            first_seq, last_seq: its range, both inclusive, after everything committed.
            tables: its rows in seq order, by kind.

        Raises:
            LogBroken: the range does not follow what is committed, or the tables do not fill it.
            StoreFull: no room; nothing is committed.
        """
        catalogue = self.refresh()
        if first_seq <= catalogue.last_seq:
            raise LogBroken(f"{self.name}: segment {first_seq}-{last_seq} overlaps seq {catalogue.last_seq}")
        rows = sum(t.num_rows for t in tables.values())
        if rows != last_seq - first_seq + 1 and "gap" not in tables:
            raise LogBroken(f"{self.name}: {rows} entries cannot fill seq {first_seq}-{last_seq}")
        segment = self.write(first_seq, last_seq, sorted(tables.items()))
        self.commit((segment,))
        return segment

    def commit(self, segments: Sequence[Segment], previous: Segment | None = None, now_ns: int = 0) -> None:
        """
        Add written segments to the catalogue, all in one step.

        Args:
            segments: from `write`, in seq order.
            previous: the last committed segment, where they start at its first seq and replace it.
            now_ns: when `previous` was retired, ns UTC; unused without it.
        """
        catalogue = self.refresh()
        others = tuple(s for s in catalogue.segments if s != previous)
        retired_files = tuple(RetiredFile(f.name, now_ns) for f in previous.files) if previous else ()
        self._commit(_replace_segments(catalogue, (*others, *segments), (*catalogue.retired, *retired_files)))

    def read(
        self,
        after_seq: int,
        until_seq: int,
        kinds: Sequence[str] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> Iterator[Batch]:
        """
        Read committed entries, one batch per segment.

        Args:
            after_seq, until_seq: the range of seqs, `after_seq` excluded and `until_seq` included.
            kinds: kinds to read; all where None. Batches still cover every seq.
            columns: for a kind, the columns to read; all where a kind is not named, or where None.

        Raises:
            LogBroken: a file is not as it was written.
        """
        for segment in self.catalogue.segments:
            if segment.last_seq <= after_seq or segment.first_seq > until_seq:
                continue
            tables = {}
            for file in segment.files:
                if kinds is None or file.kind in kinds:
                    tables[file.kind] = self.table(file, None if columns is None else columns.get(file.kind))
            batch = Batch.from_tables(segment.first_seq, segment.last_seq, tables)
            yield _trim(batch, after_seq, until_seq)

    def compact(self, now_ns: int) -> int:
        """
        Merge the segments of each closed UTC day into one and remove files that were merged an hour ago.

        A provisional tick at the log's end is not merged: the next import reads it.

        Args:
            now_ns: the current time, ns UTC.

        Returns:
            The number of segments that were merged away.

        Raises:
            LogBroken: a file is not as it was written; no file that holds its entries is changed.
        """
        catalogue = self.refresh()
        segments: list[Segment] = []
        retired_files = list(self._remove_retired_files(catalogue, now_ns))
        for group in _closed_days(catalogue.segments, day_of(now_ns)):
            if len(group) == 1:
                segments.append(group[0])
                continue
            first, last = group[0].first_seq, group[-1].last_seq
            kinds = dict.fromkeys(f.kind for s in group for f in s.files)
            tables = ((kind, pa.concat_tables(self._tables(group, kind))) for kind in sorted(kinds))
            segment = self.write(first, last, tables)
            for file in segment.files:
                self.expect_intact(file)
            segments.append(segment)
            retired_files += [RetiredFile(f.name, now_ns) for s in group for f in s.files]
        removed_count = len(catalogue.segments) - len(segments)
        if removed_count or len(retired_files) != len(catalogue.retired):
            self._commit(_replace_segments(catalogue, tuple(segments), tuple(retired_files)))
        return removed_count

    def path_of(self, file: FileRecord) -> Path:
        """The path of a file of the catalogue."""
        return self.folder / file.name

    def table(self, file: FileRecord, columns: Sequence[str] | None = None) -> pa.Table:
        """
        Read a file of the catalogue.

        Args:
            file: its record.
            columns: names of the columns to read, all where None; `seq` is always read too.

        Raises:
            LogBroken: it is not as it was written.
        """
        self.expect_intact(file)
        return parquet_files.read(file.kind, self.folder / file.name, columns)

    def expect_intact(self, file: FileRecord) -> None:
        """
        Refuse a file whose bytes are not those that were committed.

        Raises:
            LogBroken: they are not, or it is missing, or a link.
        """
        expect_intact(self.folder / file.name, file)

    def expect_no_link(self) -> None:
        """
        Refuse a log whose path leads through a link inside its storage.

        Raises:
            LogBroken: it does.
        """
        expect_no_link(self.storage, self.folder)

    def find_unlisted_files(self) -> list[Path]:
        """Parquet files that the catalogue does not name, as a crash leaves them, sorted."""
        with translate_errors(self.folder):
            return sorted(path for path in self.folder.glob("*.parquet") if path.name not in self.catalogue.names)

    def expect_nothing_recorded(self) -> None:
        """
        Refuse a folder that holds files of a recording but no catalogue: it is not an empty log.

        Raises:
            LogBroken: the folder holds files of a recording.
        """
        names = [path.name for path in self.folder.glob("*.parquet")] if self.folder.is_dir() else []
        if names or (self.folder / RESERVED_FILE).exists():
            contents = f"{len(names)} files of a recording and no {catalogues.FILE_NAME}"
            raise LogBroken(f"{self.folder} holds {contents}; {catalogues.rebuild_command(self.folder)}")

    def _tables(self, group: Sequence[Segment], kind: str) -> list[pa.Table]:
        return [self.table(file) for segment in group for file in segment.files if file.kind == kind]

    def write(self, first_seq: int, last_seq: int, tables: Iterable[tuple[str, pa.Table]]) -> Segment:
        """
        Write the files of a segment, on disk when this returns; `commit` makes them part of the log.

        Args:
            first_seq, last_seq: its range, both inclusive.
            tables: (kind, rows) in the order of the catalogue; empty tables get no file, one at least is not empty.
        """
        files = []
        arrivals: list[int] = []
        agg_ids: dict[str, int | None] = {"min": None, "max": None}
        for kind, table in tables:
            if table.num_rows == 0:
                continue
            name = catalogues.file_name(first_seq, last_seq, kind)
            if name not in self.catalogue.names and (self.folder / name).exists():
                move_aside(self.folder / name)
            files.append(self.write_file(name, kind, table))
            arrivals += pc.min_max(table.column("recv_ns")).as_py().values()
            if kind == AGG_TRADE:
                agg_ids = pc.min_max(table.column("agg_id")).as_py()
        return Segment(first_seq, last_seq, min(arrivals), max(arrivals), tuple(files), agg_ids["min"], agg_ids["max"])

    def write_file(self, name: str, kind: str, table: pa.Table) -> FileRecord:
        """
        Write one file of a segment, on disk when this returns.

        Args:
            name: from `catalogue.file_name`.
            kind, table: its kind, and the rows in that kind's schema.
        """
        data = parquet_files.to_bytes(kind, table, self.name.key)
        write_atomic(self.folder / name, data)
        return FileRecord(kind, name, table.num_rows, len(data), hashlib.sha256(data).hexdigest())

    def _remove_retired_files(self, catalogue: Catalogue, now_ns: int) -> Iterator[RetiredFile]:
        """Remove files merged an hour ago whose entries an intact file holds too; yields the files that stay."""
        for retired_file in catalogue.retired:
            merged_file = _find_merged_file(catalogue, retired_file)
            if now_ns - retired_file.retired_ns < _RETIRED_FOR_NS or merged_file is None:
                yield retired_file
                continue
            self.expect_intact(merged_file)
            with translate_errors(self.folder):
                (self.folder / retired_file.name).unlink(missing_ok=True)

    def _commit(self, catalogue: Catalogue) -> None:
        self.expect_no_link()
        catalogue.save(self.folder)
        self._catalogue = catalogue
        for path in self.find_unlisted_files():
            move_aside(path)


def is_provisional(last: Segment) -> bool:
    """
    Whether a log's last segment is the provisional tick of an import: one tick and nothing else. A segment of a
    recorder may look the same; it is merged as usual once another follows.
    """
    return [(file.kind, file.rows) for file in last.files] == [(TICK, 1)]


def new_log_id(name: LogName, now_ns: int) -> str:
    """The id, 16 hex digits, of a log that begins now; it differs from those of other logs of that name."""
    return hashlib.blake2b(f"{name.key} {now_ns}".encode(), digest_size=8).hexdigest()


def _replace_segments(
    catalogue: Catalogue, segments: tuple[Segment, ...], retired_files: tuple[RetiredFile, ...] | None = None
) -> Catalogue:
    return Catalogue(
        catalogue.log,
        catalogue.log_id,
        catalogue.version,
        segments,
        catalogue.retired if retired_files is None else retired_files,
    )


def _find_merged_file(catalogue: Catalogue, retired_file: RetiredFile) -> FileRecord | None:
    """The committed file that holds all entries of a retired one; None where there is none."""
    parts = catalogues.parse_file_name(retired_file.name)
    if parts is None:
        return None
    first, last, kind = parts
    covering = (s for s in catalogue.segments if s.first_seq <= first and last <= s.last_seq)
    return next((file for segment in covering for file in segment.files if file.kind == kind), None)


def _trim(batch: Batch, after_seq: int, until_seq: int) -> Batch:
    batch = batch.truncate(until_seq)
    if batch.first_seq <= after_seq:
        *_, batch = batch.split_after(np.array([after_seq], np.int64))
    return batch


def _closed_days(segments: Sequence[Segment], today: str) -> Iterator[list[Segment]]:
    """Groups of segments of one closed UTC day; today's, a day's overflow and a provisional one stay single."""
    group: list[Segment] = []
    for segment in segments:
        day = day_of(segment.first_recv_ns)
        fits = group and day == day_of(group[0].first_recv_ns) and day != today
        fits = fits and not (segment is segments[-1] and is_provisional(segment))
        if fits and segment.last_seq - group[0].first_seq < _LARGEST_SEGMENT:
            group.append(segment)
            continue
        if group:
            yield group
        group = [segment]
    if group:
        yield group
