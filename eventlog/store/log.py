"""
A log as its readers see it: the Parquet segments, then the stream's tail, as one sequence.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from eventlog.codec import Decode, decode_entries
from eventlog.errors import LogBroken, LogNotFound, StoreUnavailable
from eventlog.facts.capture import GAP, Gap
from eventlog.facts.entry import Entry
from eventlog.names import LogName
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog

if TYPE_CHECKING:
    from eventlog.store.hot import HotLog

_HOT_BATCH = 5_000  # entries in one reply of the server


class Log:
    """
    Reads one log.

    Args:
        cold: its Parquet part.
        hot: its stream, None where no server is involved (imports, copies).
        venue: the mapper's decoders for the venue's kinds.
    """

    def __init__(self, cold: ColdLog, hot: "HotLog | None", venue: Mapping[str, Decode]) -> None:
        self.cold = cold
        self.hot = hot
        self.venue = venue

    @property
    def name(self) -> LogName:
        """The name of the log."""
        return self.cold.name

    def last_seq(self) -> int:
        """The last seq of archive and stream, 0 for an empty log."""
        archived_seq = self.cold.refresh().last_seq if self.cold.exists() else 0
        return max(archived_seq, self.hot.bounds()[1] if self.hot else 0)

    def seq_before(self, recv_ns: int) -> int:
        """
        A seq after which every entry that arrived at or after a time lies; earlier entries may follow it too.
        """
        before = 0
        for segment in self.cold.refresh().segments if self.cold.exists() else ():
            if segment.last_recv_ns >= recv_ns:
                return before
            before = segment.last_seq
        return before

    def read(
        self,
        after_seq: int = 0,
        until_seq: int | None = None,
        kinds: Sequence[str] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> Iterator[Batch]:
        """
        Read entries as batches of columns in seq order.

        Args:
            after_seq: the seq before the first entry, 0 for all.
            until_seq: the last seq, included; the last one at the time of the call where None.
            kinds: kinds to read; all where None. Batches still cover every seq.
            columns: for a kind, the columns to read; all where a kind is not named.

        Raises:
            LogNotFound: there is no such log.
            LogBroken: entries are missing between the archive and the stream, or do not decode; or the archive's
                catalogue is lost.
        """
        end = self.last_seq() if until_seq is None else until_seq
        if not self.cold.exists():
            self.cold.expect_nothing_recorded()
        if not self.cold.exists() and self.hot is None:
            raise LogNotFound(f"no log {self.name} in {self.cold.folder}; check --market and --storage")
        position = after_seq
        while position < end:
            start = position
            if self.cold.exists():
                self.cold.refresh()
                for batch in self.cold.read(position, end, kinds, columns):
                    yield batch
                    position = batch.last_seq
            for batch in self._read_hot(position, end, kinds):
                yield batch
                position = batch.last_seq
            if position == start and self._ends_in_loss(position):
                return
            if position == start and self.cold.exists() and self.cold.refresh().last_seq > position:
                continue  # archived and trimmed meanwhile
            if position == start:
                raise LogBroken(f"{self.name}: seq {position + 1} is in neither the archive nor the stream")

    def follow(
        self,
        after_seq: int,
        should_stop: Callable[[], bool],
        kinds: Sequence[str] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
        poll_ms: int = 50,
        pause: Callable[[float], object] = time.sleep,
        gather_ms: int = 0,
    ) -> Iterator[Batch]:
        """
        Read the entries after a seq, then wait for new ones, until `should_stop` returns True; ends at once without a
        stream. While the server does not answer it is tried again; no entry is skipped.

        Args:
            after_seq: the seq before the first entry, 0 for all.
            should_stop: checked after each batch, and every `poll_ms` while none comes.
            kinds, columns: as `read`.
            poll_ms: the longest wait for an entry before `should_stop` is checked.
            pause: sleeps for a number of seconds.
            gather_ms: how long to wait for more entries once one has come: many small reads cost more than few.
        """
        position = after_seq
        while not should_stop() and self.hot is not None:
            try:
                if not self.hot.wait(position, poll_ms):
                    continue
                if gather_ms:
                    pause(gather_ms / 1000)
                for batch in self.read(position, None, kinds, columns):
                    yield batch
                    position = batch.last_seq
                    if should_stop():
                        return
            except StoreUnavailable:
                pause(poll_ms / 1000)  # another process restarts the server

    def entries(self, after_seq: int, count: int) -> list[Entry]:
        """Up to `count` raw entries of the stream after a seq; none where there is no stream."""
        return self.hot.read(after_seq, None, count) if self.hot else []

    def _read_hot(self, after_seq: int, until_seq: int, kinds: Sequence[str] | None) -> Iterator[Batch]:
        position = after_seq
        while self.hot is not None and position < until_seq:
            entries = self.hot.read(position, until_seq, _HOT_BATCH)
            if not entries or (entries[0].seq != position + 1 and not self._starts_after_loss(entries[0])):
                return  # trimmed meanwhile: the archive has them
            self._expect_no_gap(entries)
            selection = [e for e in entries if kinds is None or e.kind in kinds]
            yield Batch.from_tables(position + 1, entries[-1].seq, decode_entries(selection, self.venue))
            position = entries[-1].seq

    def _expect_no_gap(self, entries: Sequence[Entry]) -> None:
        """Refuse a missing seq that no gap names: damage on the server's disk can drop entries from the stream."""
        if entries[-1].seq - entries[0].seq == len(entries) - 1:
            return
        for previous, entry in pairwise(entries):
            if entry.seq != previous.seq + 1 and not self._starts_after_loss(entry):
                raise LogBroken(
                    f"{self.name}: seq {previous.seq + 1} is missing on the Redis server, and no gap names it; is its "
                    "disk sound?"
                )

    def _ends_in_loss(self, after_seq: int) -> bool:
        """Whether the next entry after a seq is the gap that names the seqs in between."""
        segments = self.cold.catalogue.segments if self.cold.exists() else ()
        segment = next((s for s in segments if s.last_seq > after_seq), None)
        if segment is not None:
            return segment.first_seq > after_seq + 1  # the catalogue allows it only with such a gap
        entries = self.entries(after_seq, 1)
        return bool(entries) and self._starts_after_loss(entries[0])

    @staticmethod
    def _starts_after_loss(entry: Entry) -> bool:
        """Whether an entry is the gap that names the seqs before it as lost."""
        if entry.kind != GAP:
            return False
        try:
            gap = msgspec.json.decode(entry.data, type=Gap)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        return (gap.what, gap.last) == ("seqs", entry.seq - 1)
