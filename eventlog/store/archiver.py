"""
Archiving from the stream to Parquet: segments are committed first, then the stream is trimmed behind them.
"""

from collections.abc import Callable, Sequence
from threading import Lock

from eventlog.codec import decode_entries
from eventlog.facts.entry import Entry
from eventlog.store.log import Log
from eventlog.store.writer import LogWriter

_MAX_IN_SEGMENT = 50_000  # entries that are in memory at once
_READ_BATCH_SIZE = 10_000  # entries in one reply of the server


class Archiver:
    """
    Archives one log.

    Args:
        log: with a connection of its own, as archiving runs concurrently with appending.
        writer: the log's writer, which counts losses.
        keep_entries: number of archived entries that stay in the stream for readers that follow.
    """

    def __init__(self, log: Log, writer: LogWriter, keep_entries: int) -> None:
        self._log = log
        self._writer = writer
        self._keep_entries = keep_entries
        self._lock = Lock()

    def archive(self, should_stop: Callable[[], bool] = lambda: False) -> int:
        """
        Commit everything that the stream holds beyond the archive.

        Args:
            should_stop: checked before each segment; True ends the call.

        Returns:
            The number of entries that were committed.
        """
        with self._lock:
            total = 0
            while not should_stop() and (count := self._archive_segment()):
                total += count
            return total

    def compact(self, now_ns: int) -> int:
        """Merge the segments of closed days; returns the number of segments that were merged away."""
        with self._lock:
            return self._log.cold.compact(now_ns)

    def _archive_segment(self) -> int:
        """Commit one segment of at most 50,000 entries; returns its entries, 0 where the server lost some meanwhile."""
        cold, hot = self._log.cold, self._log.hot
        if hot is None:
            return 0
        losses = self._writer.losses
        last_seq = cold.refresh().last_seq
        first_seq = last_seq + 1
        entries: list[Entry] = []
        while len(entries) < _MAX_IN_SEGMENT:
            more = _contiguous_run(hot.read(last_seq, None, _READ_BATCH_SIZE), last_seq if entries else None)
            if not more:
                break
            entries += more
            last_seq = more[-1].seq
        if not entries:
            return 0
        tables = decode_entries(entries, self._log.venue)
        with self._writer.archiving:
            first_entry = hot.read(entries[0].seq - 1, entries[0].seq, 1)
            if self._writer.losses != losses or first_entry != entries[:1] or cold.refresh().last_seq != first_seq - 1:
                return 0  # the server lost what was just read: it counts as lost, and is requested again
            cold.append(first_seq, last_seq, tables)
        # An entry whose acknowledgement the writer did not get is sent again, and must then be in the stream.
        hot.trim(max(1, min(last_seq - self._keep_entries, self._writer.last_stored_seq + 1)))
        return len(entries)


def _contiguous_run(entries: Sequence[Entry], after_seq: int | None) -> Sequence[Entry]:
    """The entries before the first jump of their seqs; none where `after_seq` is given and they do not follow it."""
    if not entries or (after_seq is not None and entries[0].seq != after_seq + 1):
        return ()
    end = next((i for i in range(1, len(entries)) if entries[i].seq != entries[i - 1].seq + 1), len(entries))
    return entries[:end]
