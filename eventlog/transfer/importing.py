"""
Import of files into a log: all facts of a file, each once and in order of time, or none.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from eventlog.clock import Clock
from eventlog.disk.files import translate_errors
from eventlog.errors import ImportRefused, WriterRefused
from eventlog.facts.capture import QUARANTINE, SESSION
from eventlog.facts.registry import SCHEMAS
from eventlog.names import RESERVED_FILE
from eventlog.store.catalogue import FILE_NAME, Segment
from eventlog.store.cold import ColdLog, is_provisional
from eventlog.store.writer import StorageLock
from market.timestamps import SECOND_NS, iso

_MAX_LEAD_NS = 60 * SECOND_NS
"""How far a time may lie ahead of the clock; a later one is a mistake that would evict days."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """
    The result of an import.

    Attributes:
        added: number of trades and book messages new to the log. known: of those that it held already, equal in all.
        ticks, holes, quarantined: number of facts written besides: ticks, gaps, quarantined messages.
        conflicts: number of trades or updates whose id the log holds with another content; each is recorded once, as a
            quarantine fact.
        skipped: number of messages of other streams. others: of other symbols.
        notes: messages about the file for the user, one line each.
    """

    added: int
    known: int
    ticks: int = 0
    holes: int = 0
    skipped: int = 0
    quarantined: int = 0
    conflicts: int = 0
    others: int = 0
    notes: tuple[str, ...] = ()


class Importer:
    """
    Writes to one log that no recorder writes to.

    Args:
        cold: the log; created where it is missing, and removed again at `close` where nothing was imported.
        clock: gives the time of commits and the bound of times in the future.

    Raises:
        ImportRefused: the log was recorded live.
        WriterRefused: another process writes to it.
    """

    def __init__(self, cold: ColdLog, clock: Clock) -> None:
        self.cold = cold
        self.clock = clock
        self._closed = False
        self._new_folders = _missing_folders(cold.folder)
        self._lock = self._lock_storage()
        self._is_new = False
        try:
            self._is_new = not cold.exists()
            cold.create(clock.now_ns())
            if self.has(SESSION) or (cold.folder / RESERVED_FILE).exists():
                raise ImportRefused(f"{cold.name} was recorded live; import into another --storage")
        except BaseException:
            if self._is_new:
                self._remove()
            self._lock.release()
            raise

    def close(self) -> None:
        """Release the log; a log that was created and stayed empty is removed."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._is_new and not self.cold.refresh().segments:
                self._remove()
        finally:
            self._lock.release()

    @contextmanager
    def draft(self) -> Iterator["Draft"]:
        """New segments; after an error none of them stays."""
        draft = Draft(self.cold)
        try:
            yield draft
        except BaseException:
            draft.discard()
            raise

    def expect_past(self, file: str, time_ns: int) -> None:
        """
        Refuse a time in the future.

        Args:
            file: its name, for the message. time_ns: the largest time in it, ns UTC.

        Raises:
            ImportRefused: the time is more than a minute ahead of the clock.
        """
        if time_ns > self.clock.now_ns() + _MAX_LEAD_NS:
            raise ImportRefused(f"{file} holds a time in the future, {iso(time_ns)}; nothing was imported")

    def refuse_older(self, file: str, first_ns: int, end_ns: int) -> None:
        """
        Raise the error that a file starts before the log ends.

        Args:
            file: its name, for the message.
            first_ns, end_ns: the file's first time and the log's end, ns UTC.

        Raises:
            ImportRefused: always.
        """
        raise ImportRefused(
            f"{file} starts at {iso(first_ns)}, before the log's end at {iso(end_ns)}; "
            "import files in order of time, or into another --storage"
        )

    def has(self, kind: str) -> bool:
        """Whether the log holds entries of a kind."""
        return any(f.kind == kind for s in self.cold.catalogue.segments for f in s.files)

    def last_row(self, kind: str) -> dict[str, Any] | None:
        """Read the last entry of a kind as a row, None where there is none."""
        for segment in reversed(self.cold.catalogue.segments):
            for file in segment.files:
                if file.kind == kind:
                    row: dict[str, Any] = self.cold.table(file).slice(file.rows - 1).to_pylist()[0]
                    return row
        return None

    @property
    def last_agg_id(self) -> int | None:
        """The largest agg id of the log, None without trades."""
        return max((s.last_agg_id for s in self.cold.catalogue.segments if s.last_agg_id is not None), default=None)

    def load_quarantined_bytes(self) -> set[bytes]:
        """Read the bytes of all quarantine facts, so that none is quarantined twice."""
        contents: set[bytes] = set()
        for batch in self.cold.read(0, self.cold.catalogue.last_seq, [QUARANTINE], {QUARANTINE: ["data"]}):
            if QUARANTINE in batch.rows:
                contents.update(batch.rows[QUARANTINE].columns.table.column("data").to_pylist())
        return contents

    def _lock_storage(self) -> StorageLock:
        try:
            with translate_errors(self.cold.folder):
                return StorageLock(self.cold)
        except WriterRefused:
            raise  # another process uses the folders
        except BaseException:
            if self._new_folders and not (self.cold.folder / FILE_NAME).exists():
                self._remove()
            raise

    def _remove(self) -> None:
        for path in (FILE_NAME, "writer.lock"):
            with suppress(OSError):
                (self.cold.folder / path).unlink()
        for folder in self._new_folders:
            with suppress(OSError):
                folder.rmdir()


class Draft:
    """
    Segments after a log's end that are written first and committed together.

    Attributes:
        next_seq: of the next entry.
        last_recv_ns: the largest arrival before it, 0 for none.
    """

    def __init__(self, cold: ColdLog) -> None:
        self._cold = cold
        self._segments: list[Segment] = []
        self._previous: Segment | None = None
        self.next_seq = cold.catalogue.last_seq + 1
        self.last_recv_ns = cold.catalogue.last_recv_ns

    @property
    def segments(self) -> Sequence[Segment]:
        """The log's segments and the written ones, in order."""
        return [s for s in self._cold.catalogue.segments if s is not self._previous] + self._segments

    def provisional_tick(self) -> dict[str, Any] | None:
        """The provisional tick at the log's end as a row; None where the log does not end in one."""
        last = self._cold.catalogue.segments[-1:]
        if not last or self._segments or not is_provisional(last[0]):
            return None
        row: dict[str, Any] = self._cold.table(last[0].files[0]).to_pylist()[0]
        return row

    def replace_provisional_tick(self) -> None:
        """Replace the provisional tick, as trades before its boundary follow: the draft starts at its seq."""
        self._previous = self._cold.catalogue.segments[-1]
        self.next_seq = self._previous.first_seq
        self.last_recv_ns = max((s.last_recv_ns for s in self._cold.catalogue.segments[:-1]), default=0)

    def write(self, last_seq: int, tables: Mapping[str, pa.Table]) -> None:
        """Write the entries next_seq to last_seq as a segment; `tables` hold each of them, by kind."""
        segment = self._cold.write(self.next_seq, last_seq, sorted(tables.items()))
        self._segments.append(segment)
        self.next_seq = last_seq + 1
        self.last_recv_ns = max(self.last_recv_ns, segment.last_recv_ns)

    def commit(self, now_ns: int) -> None:
        """Commit all written segments in one step."""
        if self._segments:
            self._cold.commit(self._segments, self._previous, now_ns)
            self._segments = []

    def discard(self) -> None:
        """Remove the written segments that are not committed."""
        for segment in self._segments:
            for file in segment.files:
                self._cold.path_of(file).unlink(missing_ok=True)
        self._segments = []


def table(kind: str, columns: Mapping[str, Any]) -> pa.Table:
    """Build a kind's table from its columns by name, `seq` among them; columns that are not given are null."""
    schema = SCHEMAS[kind]
    rows = len(columns["seq"])
    arrays = [
        pa.array(columns[f.name], f.type) if columns.get(f.name) is not None else pa.nulls(rows, f.type) for f in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _missing_folders(folder: Path) -> list[Path]:
    """The folders of a path that do not exist, the deepest first."""
    folders = []
    while not folder.exists():
        folders.append(folder)
        folder = folder.parent
    return folders
