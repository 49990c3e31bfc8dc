"""
The cold part of a log: Parquet segments behind a catalogue.

A segment's files are written and synced first, under names that carry its range; then one atomic replacement of the
catalogue makes them part of the log. A crash in between leaves files nobody lists; the next commit moves them aside.
A file is read only as it was written: its digest is that of the catalogue, at every read. What a recording may hold is
never removed, but where a merged file was read back and holds it, too.
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
from eventlog.names import RESERVED_FILE, SPILL_FILE, SPILL_POSITION_FILE, LogName, Reserved, SpillPosition
from eventlog.store import catalogue as catalogues
from eventlog.store.batch import Batch
from eventlog.store.catalogue import Catalogue, FileRecord, Retired, Segment
from eventlog.store.intact import expect_intact
from market.timestamps import HOUR_NS, day_of

_RETIRED_FOR_NS = HOUR_NS
_LARGEST_SEGMENT = 20_000_000


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
        """What is committed, as last read; see `refresh`."""
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

    def reserved(self) -> Reserved | None:
        """
        Which seqs the log's writer may have used, None where none ever wrote.

        Raises:
            OSError: it cannot be read. LogBroken: it is damaged.
        """
        try:
            return read_sealed(self.folder / RESERVED_FILE, Reserved, "restore it from a backup")
        except FileNotFoundError:
            return None

    @property
    def waiting_bytes(self) -> int:
        """How much its recorder has on disk that is in no log yet."""
        stored = 0
        with suppress(OSError, LogBroken):
            stored = read_sealed(self.folder / SPILL_POSITION_FILE, SpillPosition, "").offset
        with translate_errors(self.folder):
            try:
                return max(0, (self.folder / SPILL_FILE).stat().st_size - stored)
            except FileNotFoundError:
                return 0

    def create(self, now_ns: int) -> Catalogue:
        """
        The catalogue of this log, a new empty one where there is nothing of a log.

        Raises:
            LogBroken: there is something, but no catalogue that says what.
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
        Commit the entries first_seq to last_seq as one segment.

        Raises:
            LogBroken: the range does not follow what is committed, or the tables do not fill it.
            StoreFull: no room; nothing is committed.
        """
        committed = self.refresh()
        if first_seq <= committed.last_seq:
            raise LogBroken(f"{self.name}: segment {first_seq}-{last_seq} overlaps seq {committed.last_seq}")
        rows = sum(t.num_rows for t in tables.values())
        if rows != last_seq - first_seq + 1 and "gap" not in tables:
            raise LogBroken(f"{self.name}: {rows} entries cannot fill seq {first_seq}-{last_seq}")
        segment = self.write(first_seq, last_seq, sorted(tables.items()))
        self.commit((segment,))
        return segment

    def commit(self, segments: Sequence[Segment], replaced: Segment | None = None, now_ns: int = 0) -> None:
        """
        Make segments that were written part of the log, all of them in one step.

        Args:
            replaced: the last segment, where they start at its first seq and stand for it. now_ns: when it was retired.
        """
        committed = self.refresh()
        kept = tuple(s for s in committed.segments if s != replaced)
        gone = tuple(Retired(f.name, now_ns) for f in replaced.files) if replaced else ()
        self._commit(_with(committed, (*kept, *segments), (*committed.retired, *gone)))

    def read(
        self,
        after_seq: int,
        until_seq: int,
        kinds: Sequence[str] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> Iterator[Batch]:
        """The committed entries after one seq up to another, a batch a segment."""
        for segment in self.catalogue.segments:
            if segment.last_seq <= after_seq or segment.first_seq > until_seq:
                continue
            tables = {}
            for file in segment.files:
                if kinds is None or file.kind in kinds:
                    tables[file.kind] = self.table(file, None if columns is None else columns.get(file.kind))
            batch = Batch.of(segment.first_seq, segment.last_seq, tables)
            yield _trim(batch, after_seq, until_seq)

    def compact(self, now_ns: int) -> int:
        """
        Merge the segments of each closed UTC day into one and remove files that were merged an hour ago.

        A provisional tick at the log's end stays as it is: the next import has to find it.

        Returns:
            How many segments were merged away.

        Raises:
            LogBroken: a file is not as it was written; nothing that holds its entries is touched.
        """
        committed = self.refresh()
        merged: list[Segment] = []
        retired = list(self._remove_retired(committed, now_ns))
        for group in _closed_days(committed.segments, day_of(now_ns)):
            if len(group) == 1:
                merged.append(group[0])
                continue
            first, last = group[0].first_seq, group[-1].last_seq
            kinds = dict.fromkeys(f.kind for s in group for f in s.files)
            tables = ((kind, pa.concat_tables(self._tables(group, kind))) for kind in sorted(kinds))
            whole = self.write(first, last, tables)
            for file in whole.files:
                self.expect_intact(file)
            merged.append(whole)
            retired += [Retired(f.name, now_ns) for s in group for f in s.files]
        gone = len(committed.segments) - len(merged)
        if gone or len(retired) != len(committed.retired):
            self._commit(_with(committed, tuple(merged), tuple(retired)))
        return gone

    def path_of(self, file: FileRecord) -> Path:
        """Where a catalogued file lies."""
        return self.folder / file.name

    def table(self, file: FileRecord, columns: Sequence[str] | None = None) -> pa.Table:
        """
        What a catalogued file holds.

        Args:
            columns: the columns wanted, all where None; `seq` always comes along.

        Raises:
            LogBroken: it is not as it was written.
        """
        self.expect_intact(file)
        return parquet_files.read(file.kind, self.folder / file.name, columns)

    def expect_intact(self, file: FileRecord) -> None:
        """
        Refuse a file whose bytes are not those that were committed.

        Raises:
            LogBroken: they are not, or it is gone, or a link.
        """
        expect_intact(self.folder / file.name, file)

    def expect_no_link(self) -> None:
        """
        Refuse a log that lies, in part or whole, behind a link inside its storage.

        Raises:
            LogBroken: it does.
        """
        expect_no_link(self.storage, self.folder)

    def unlisted(self) -> list[Path]:
        """Parquet files that no catalogue names, as a crash leaves them, by name."""
        with translate_errors(self.folder):
            return sorted(path for path in self.folder.glob("*.parquet") if path.name not in self.catalogue.names)

    def expect_nothing_recorded(self) -> None:
        """
        Without a catalogue nobody knows what of a folder is a log: it is not taken for an empty one.

        Raises:
            LogBroken: the folder holds files of a recording.
        """
        held = [path.name for path in self.folder.glob("*.parquet")] if self.folder.is_dir() else []
        if held or (self.folder / RESERVED_FILE).exists():
            missing = f"{len(held)} files of a recording and no {catalogues.FILE_NAME}"
            raise LogBroken(f"{self.folder} holds {missing}; {catalogues.rebuild_command(self.folder)}")

    def _tables(self, group: Sequence[Segment], kind: str) -> list[pa.Table]:
        return [self.table(file) for segment in group for file in segment.files if file.kind == kind]

    def write(self, first_seq: int, last_seq: int, tables: Iterable[tuple[str, pa.Table]]) -> Segment:
        """
        Write the files of a segment, on disk when this returns; part of the log once they are committed.

        Args:
            tables: by kind, in the order in which they are to be listed; none empty but those that are left out.
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
        """Write one file of a segment, on disk when this returns."""
        data = parquet_files.to_bytes(kind, table, self.name.key)
        write_atomic(self.folder / name, data)
        return FileRecord(kind, name, table.num_rows, len(data), hashlib.sha256(data).hexdigest())

    def _remove_retired(self, committed: Catalogue, now_ns: int) -> Iterator[Retired]:
        """Remove files merged an hour ago whose entries an intact file holds, too; those that stay."""
        for old in committed.retired:
            held = _merged_into(committed, old)
            if now_ns - old.retired_ns < _RETIRED_FOR_NS or held is None:
                yield old
                continue
            self.expect_intact(held)
            with translate_errors(self.folder):
                (self.folder / old.name).unlink(missing_ok=True)

    def _commit(self, catalogue: Catalogue) -> None:
        self.expect_no_link()
        catalogue.save(self.folder)
        self._catalogue = catalogue
        for path in self.unlisted():
            move_aside(path)


def is_provisional(last: Segment) -> bool:
    """
    Whether a log's last segment is the tick that an import put at its end for the time being: that tick and nothing
    else. One of a recorder's that looks so is as any other to whoever merges, once more has come.
    """
    return [(file.kind, file.rows) for file in last.files] == [(TICK, 1)]


def new_log_id(name: LogName, now_ns: int) -> str:
    """What a log that begins now is told apart by from others of the same name."""
    return hashlib.blake2b(f"{name.key} {now_ns}".encode(), digest_size=8).hexdigest()


def _with(old: Catalogue, segments: tuple[Segment, ...], retired: tuple[Retired, ...] | None = None) -> Catalogue:
    return Catalogue(old.log, old.log_id, old.version, segments, old.retired if retired is None else retired)


def _merged_into(committed: Catalogue, old: Retired) -> FileRecord | None:
    """The listed file that holds everything a retired one does; None where there is none."""
    parts = catalogues.parse_file_name(old.name)
    if parts is None:
        return None
    first, last, kind = parts
    whole = (s for s in committed.segments if s.first_seq <= first and last <= s.last_seq)
    return next((file for segment in whole for file in segment.files if file.kind == kind), None)


def _trim(batch: Batch, after_seq: int, until_seq: int) -> Batch:
    batch = batch.up_to(until_seq)
    if batch.first_seq <= after_seq:
        *_, batch = batch.split_after(np.array([after_seq], np.int64))
    return batch


def _closed_days(segments: Sequence[Segment], today: str) -> Iterator[list[Segment]]:
    """Segments in runs of one closed UTC day each; today's, a day's overflow and what is provisional stay alone."""
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
