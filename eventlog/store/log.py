"""
A log as its readers see it: the Parquet segments first, then the stream's tail, as one sequence without a seam.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from eventlog.codec import Decode, decode_entries
from eventlog.errors import LogBroken, LogNotFound, StoreUnavailable
from eventlog.facts.capture import GAP, Gap
from eventlog.facts.entry import Entry
from eventlog.names import LogName
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog

_HOT_BATCH = 5_000


class Log:
    """
    Reads one log.

    Args:
        cold: its Parquet part.
        hot: its stream, None where no server is involved (imports, copies).
        venue: the mapper's decoders for the venue's kinds.
    """

    def __init__(self, cold: ColdLog, hot: HotLog | None, venue: Mapping[str, Decode]) -> None:
        self.cold = cold
        self.hot = hot
        self.venue = venue

    @property
    def name(self) -> LogName:
        """Which log this is."""
        return self.cold.name

    def last_seq(self) -> int:
        """The last seq there is, 0 for an empty log."""
        archived = self.cold.refresh().last_seq if self.cold.exists() else 0
        return max(archived, self.hot.bounds()[1] if self.hot else 0)

    def seq_before(self, recv_ns: int) -> int:
        """
        A seq after which every entry that arrived at or after a time is found; earlier ones may be among them.
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
        The entries after one seq up to another, as batches of columns in seq order.

        Args:
            until_seq: the last one wanted; what is there now where None.
            kinds: which kinds; all where None. Batches still cover every seq.
            columns: for a kind, the columns wanted; all where a kind is not named.

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
        at = after_seq
        while at < end:
            started = at
            if self.cold.exists():
                self.cold.refresh()
                for batch in self.cold.read(at, end, kinds, columns):
                    yield batch
                    at = batch.last_seq
            for batch in self._read_hot(at, end, kinds):
                yield batch
                at = batch.last_seq
            if at == started and self._ends_in_loss(at):
                return
            if at == started and self.cold.exists() and self.cold.refresh().last_seq > at:
                continue  # archived and trimmed while we looked
            if at == started:
                raise LogBroken(f"{self.name}: seq {at + 1} is in neither the archive nor the stream")

    def follow(
        self,
        after_seq: int,
        stopped: Callable[[], bool],
        kinds: Sequence[str] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
        poll_ms: int = 50,
        pause: Callable[[float], object] = time.sleep,
        gather_ms: int = 0,
    ) -> Iterator[Batch]:
        """
        The entries after a seq, and then each new one as it comes, until `stopped` says so; needs a stream.

        Args:
            poll_ms: how often `stopped` is asked while nothing comes.
            gather_ms: how long what came waits for more to be read with it; many small reads cost more than few.
        """
        at = after_seq
        while not stopped() and self.hot is not None:
            try:
                if not self.hot.wait(at, poll_ms):
                    continue
                if gather_ms:
                    pause(gather_ms / 1000)
                for batch in self.read(at, None, kinds, columns):
                    yield batch
                    at = batch.last_seq
                    if stopped():
                        return
            except StoreUnavailable:
                pause(poll_ms / 1000)  # whoever keeps the server brings it back; nothing is skipped meanwhile

    def entries(self, after_seq: int, count: int) -> list[Entry]:
        """Raw entries of the stream after a seq; none where there is no stream."""
        return self.hot.read(after_seq, None, count) if self.hot else []

    def _read_hot(self, after_seq: int, until_seq: int, kinds: Sequence[str] | None) -> Iterator[Batch]:
        at = after_seq
        while self.hot is not None and at < until_seq:
            entries = self.hot.read(at, until_seq, _HOT_BATCH)
            if not entries or (entries[0].seq != at + 1 and not self._starts_after_loss(entries[0])):
                return  # trimmed meanwhile: the archive has them
            self._expect_no_hole(entries)
            wanted = [e for e in entries if kinds is None or e.kind in kinds]
            yield Batch.of(at + 1, entries[-1].seq, decode_entries(wanted, self.venue))
            at = entries[-1].seq

    def _expect_no_hole(self, entries: Sequence[Entry]) -> None:
        """What the server's disk damaged may have lost its place in the stream, and then lacks without a word."""
        if entries[-1].seq - entries[0].seq == len(entries) - 1:
            return
        for before, entry in pairwise(entries):
            if entry.seq != before.seq + 1 and not self._starts_after_loss(entry):
                raise LogBroken(
                    f"{self.name}: seq {before.seq + 1} is missing on the Redis server, and no gap names it; is its "
                    "disk sound?"
                )

    def _ends_in_loss(self, after_seq: int) -> bool:
        """Whether what comes next begins with the gap that names the seqs in between."""
        segments = self.cold.catalogue.segments if self.cold.exists() else ()
        after = next((s for s in segments if s.last_seq > after_seq), None)
        if after is not None:
            return after.first_seq > after_seq + 1  # the catalogue lets no other segment start later
        entries = self.entries(after_seq, 1)
        return bool(entries) and self._starts_after_loss(entries[0])

    @staticmethod
    def _starts_after_loss(entry: Entry) -> bool:
        """After a loss the log goes on with the gap that names the lost seqs."""
        if entry.kind != GAP:
            return False
        try:
            gap = msgspec.json.decode(entry.data, type=Gap)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        return (gap.what, gap.last) == ("seqs", entry.seq - 1)
