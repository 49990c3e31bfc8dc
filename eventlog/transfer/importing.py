"""
Bringing what others recorded into a log: whole files, each fact once, in order of time, or nothing at all.
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

_LARGEST_LEAD_NS = 60 * SECOND_NS
"""How far clocks may differ; what is stamped further ahead is a mistake that would evict days."""


@dataclass(frozen=True, slots=True)
class Imported:
    """
    What an import did.

    Attributes:
        added: trades and book messages new to the log. known: that it held already, to the last digit.
        ticks, holes, quarantined: facts it wrote beside. conflicts: trades or updates whose id the log knows with
            another content; each is on record, once, as a quarantine fact.
        skipped: messages of other streams. others: of other symbols.
        notes: what a person must be told of the file, a line each.
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
        cold: the log; created where it is missing, and gone again at `close` where nothing was brought into it.

    Raises:
        ImportRefused: the log was recorded live.
        WriterRefused: somebody is writing to it.
    """

    def __init__(self, cold: ColdLog, clock: Clock) -> None:
        self.cold = cold
        self.clock = clock
        self._closed = False
        self._created = _missing(cold.folder)
        self._lock = self._locked()
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
        """Let other writers in; a log that was made and stayed empty is not left behind."""
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
        """New segments, none of which is left where this ends in an error."""
        draft = Draft(self.cold)
        try:
            yield draft
        except BaseException:
            draft.discard()
            raise

    def expect_past(self, file: str, time_ns: int) -> None:
        """
        Refuse a time in the future.

        Raises:
            ImportRefused: it is.
        """
        if time_ns > self.clock.now_ns() + _LARGEST_LEAD_NS:
            raise ImportRefused(f"{file} holds a time in the future, {iso(time_ns)}; nothing was imported")

    def refuse_older(self, file: str, first_ns: int, end_ns: int) -> None:
        """
        Say that a file starts before the log ends.

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
        """The last entry of a kind, None where there is none."""
        for segment in reversed(self.cold.catalogue.segments):
            for file in segment.files:
                if file.kind == kind:
                    found: dict[str, Any] = self.cold.table(file).slice(file.rows - 1).to_pylist()[0]
                    return found
        return None

    @property
    def last_agg_id(self) -> int | None:
        """The largest agg id of the log, None without trades."""
        return max((s.last_agg_id for s in self.cold.catalogue.segments if s.last_agg_id is not None), default=None)

    def quarantined_bytes(self) -> set[bytes]:
        """The bytes of every quarantine fact: what was set aside once is not again."""
        held: set[bytes] = set()
        for batch in self.cold.read(0, self.cold.catalogue.last_seq, [QUARANTINE], {QUARANTINE: ["data"]}):
            if QUARANTINE in batch.rows:
                held.update(batch.rows[QUARANTINE].columns.table.column("data").to_pylist())
        return held

    def _locked(self) -> StorageLock:
        try:
            with translate_errors(self.cold.folder):
                return StorageLock(self.cold)
        except WriterRefused:
            raise  # the folders are another's by now
        except BaseException:
            if self._created and not (self.cold.folder / FILE_NAME).exists():
                self._remove()
            raise

    def _remove(self) -> None:
        for path in (FILE_NAME, "writer.lock"):
            with suppress(OSError):
                (self.cold.folder / path).unlink()
        for folder in self._created:
            with suppress(OSError):
                folder.rmdir()


class Draft:
    """
    Segments behind a log's end that are written and become part of it together.

    Attributes:
        next_seq: of the next entry.
        last_recv_ns: the largest arrival before it, 0 for none.
    """

    def __init__(self, cold: ColdLog) -> None:
        self._cold = cold
        self._segments: list[Segment] = []
        self._replaced: Segment | None = None
        self.next_seq = cold.catalogue.last_seq + 1
        self.last_recv_ns = cold.catalogue.last_recv_ns

    @property
    def segments(self) -> Sequence[Segment]:
        """Those of the log and those written, in order."""
        return [s for s in self._cold.catalogue.segments if s is not self._replaced] + self._segments

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written."""
        return not self._segments

    def provisional(self) -> dict[str, Any] | None:
        """The tick that an import put at its end for the time being, None where the log ends otherwise."""
        last = self._cold.catalogue.segments[-1:]
        if not last or self._segments or not is_provisional(last[0]):
            return None
        found: dict[str, Any] = self._cold.table(last[0].files[0]).to_pylist()[0]
        return found

    def replace_provisional(self) -> None:
        """Begin at the provisional tick: trades before its boundary have come."""
        self._replaced = self._cold.catalogue.segments[-1]
        self.next_seq = self._replaced.first_seq
        self.last_recv_ns = max((s.last_recv_ns for s in self._cold.catalogue.segments[:-1]), default=0)

    def write(self, last_seq: int, tables: Mapping[str, pa.Table]) -> None:
        """Write the entries next_seq to last_seq as a segment; they fill it."""
        segment = self._cold.write(self.next_seq, last_seq, sorted(tables.items()))
        self._segments.append(segment)
        self.next_seq = last_seq + 1
        self.last_recv_ns = max(self.last_recv_ns, segment.last_recv_ns)

    def commit(self, now_ns: int) -> None:
        """Make all of it part of the log."""
        if self._segments:
            self._cold.commit(self._segments, self._replaced, now_ns)
            self._segments = []

    def discard(self) -> None:
        """Remove what was written and not committed."""
        for segment in self._segments:
            for file in segment.files:
                self._cold.path_of(file).unlink(missing_ok=True)
        self._segments = []


def table(kind: str, columns: Mapping[str, Any]) -> pa.Table:
    """A kind's table from columns by name; what is not named is null."""
    schema = SCHEMAS[kind]
    rows = len(columns["seq"])
    arrays = [
        pa.array(columns[f.name], f.type) if columns.get(f.name) is not None else pa.nulls(rows, f.type) for f in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _missing(folder: Path) -> list[Path]:
    """The folders that are not there yet, the deepest first."""
    found = []
    while not folder.exists():
        found.append(folder)
        folder = folder.parent
    return found
