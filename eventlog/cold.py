"""
The cold part of a log: Parquet segments behind a catalogue.

A segment's files are written and synced first, under names that carry its range; then one atomic replacement of the
catalogue makes them part of the log. A crash in between leaves files nobody lists; the next commit removes them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eventlog import catalogue as catalogues
from eventlog import parquet_files
from eventlog.batch import Batch
from eventlog.catalogue import Catalogue, FileRecord, Retired, Segment
from eventlog.errors import LogBroken, LogNotFound
from eventlog.facts import AGG_TRADE
from eventlog.files import told_plainly, write_synced
from eventlog.names import SPILL_FILE, SPILL_POSITION_FILE, LogName
from market.timestamps import HOUR_NS, day_of

_RETIRED_FOR_NS = HOUR_NS
_LARGEST_SEGMENT = 20_000_000


class _SpillPosition(msgspec.Struct, frozen=True):
    """What of a spill's position is asked here; who spills writes it."""

    offset: int


class ColdLog:
    """
    A log's Parquet part.

    Args:
        storage: the folder that holds all logs.
        name: which log.
    """

    def __init__(self, storage: Path, name: LogName) -> None:
        self.name = name
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
        """Read the catalogue again; other processes may have committed."""
        self._catalogue = catalogues.load(self.folder)
        if self._catalogue.log != self.name.key:
            raise LogBroken(f"{self.folder} holds {self._catalogue.log}, not {self.name}; was a folder renamed?")
        return self._catalogue

    @property
    def waiting_bytes(self) -> int:
        """How much its recorder has on disk that is in no log yet."""
        stored = 0
        with suppress(OSError, msgspec.DecodeError):
            position = (self.folder / SPILL_POSITION_FILE).read_bytes()
            stored = msgspec.json.decode(position, type=_SpillPosition).offset
        with told_plainly(self.folder):
            try:
                return max(0, (self.folder / SPILL_FILE).stat().st_size - stored)
            except FileNotFoundError:
                return 0

    def create(self, now_ns: int) -> Catalogue:
        """The catalogue of this log, a new empty one where there is none."""
        try:
            return self.refresh()
        except LogNotFound:
            with told_plainly(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            log_id = hashlib.blake2b(f"{self.name.key} {now_ns}".encode(), digest_size=8).hexdigest()
            self._commit(Catalogue(log=self.name.key, log_id=log_id))
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
        segment = self._write(first_seq, last_seq, sorted(tables.items()))
        self._commit(_with(committed, (*committed.segments, segment)))
        return segment

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
                    wanted = None if columns is None else columns.get(file.kind)
                    tables[file.kind] = parquet_files.read(file.kind, self.folder / file.name, wanted)
            batch = Batch.of(segment.first_seq, segment.last_seq, tables)
            yield _trim(batch, after_seq, until_seq)

    def compact(self, now_ns: int) -> int:
        """
        Merge the segments of each closed UTC day into one and remove files retired for an hour.

        Returns:
            How many segments were merged away.
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
            merged.append(self._write(first, last, tables))
            retired += [Retired(f.name, now_ns) for s in group for f in s.files]
        gone = len(committed.segments) - len(merged)
        if gone or len(retired) != len(committed.retired):
            self._commit(_with(committed, tuple(merged), tuple(retired)))
        return gone

    def path_of(self, file: FileRecord) -> Path:
        """Where a catalogued file lies."""
        return self.folder / file.name

    def _tables(self, group: Sequence[Segment], kind: str) -> list[pa.Table]:
        return [
            parquet_files.read(kind, self.folder / file.name)
            for segment in group
            for file in segment.files
            if file.kind == kind
        ]

    def _write(self, first_seq: int, last_seq: int, tables: Iterable[tuple[str, pa.Table]]) -> Segment:
        files = []
        arrivals: list[int] = []
        agg_ids: dict[str, int | None] = {"min": None, "max": None}
        for kind, table in tables:
            if table.num_rows == 0:
                continue
            data = parquet_files.to_bytes(kind, table)
            name = f"{first_seq:015d}-{last_seq:015d}.{kind}.parquet"
            write_synced(self.folder / name, data)
            files.append(FileRecord(kind, name, table.num_rows, len(data), hashlib.sha256(data).hexdigest()))
            arrivals += pc.min_max(table.column("recv_ns")).as_py().values()
            if kind == AGG_TRADE:
                agg_ids = pc.min_max(table.column("agg_id")).as_py()
        return Segment(first_seq, last_seq, min(arrivals), max(arrivals), tuple(files), agg_ids["min"], agg_ids["max"])

    def _remove_retired(self, committed: Catalogue, now_ns: int) -> Iterator[Retired]:
        for old in committed.retired:
            if now_ns - old.retired_ns < _RETIRED_FOR_NS:
                yield old
            else:
                (self.folder / old.name).unlink(missing_ok=True)

    def _commit(self, catalogue: Catalogue) -> None:
        catalogue.save(self.folder)
        self._catalogue = catalogue
        listed = {f.name for s in catalogue.segments for f in s.files} | {r.name for r in catalogue.retired}
        for path in self.folder.glob("*.parquet"):
            if path.name not in listed:
                path.unlink(missing_ok=True)


def _with(old: Catalogue, segments: tuple[Segment, ...], retired: tuple[Retired, ...] | None = None) -> Catalogue:
    return Catalogue(old.log, old.log_id, old.version, segments, old.retired if retired is None else retired)


def _trim(batch: Batch, after_seq: int, until_seq: int) -> Batch:
    batch = batch.up_to(until_seq)
    if batch.first_seq <= after_seq:
        *_, batch = batch.split_after(np.array([after_seq], np.int64))
    return batch


def _closed_days(segments: Sequence[Segment], today: str) -> Iterator[list[Segment]]:
    """Segments in runs of one closed UTC day each; today's, and a day's overflow, stay as they are."""
    group: list[Segment] = []
    for segment in segments:
        day = day_of(segment.first_recv_ns)
        fits = group and day == day_of(group[0].first_recv_ns) and day != today
        if fits and segment.last_seq - group[0].first_seq < _LARGEST_SEGMENT:
            group.append(segment)
            continue
        if group:
            yield group
        group = [segment]
    if group:
        yield group
