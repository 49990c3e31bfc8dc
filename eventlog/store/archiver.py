"""
From the hot tail to Parquet: segments are committed first, then the stream is trimmed behind them.
"""

from collections.abc import Callable, Sequence
from threading import Lock

from eventlog.codec import decode_entries
from eventlog.facts.entry import Entry
from eventlog.store.log import Log
from eventlog.store.writer import LogWriter

_MAX_IN_SEGMENT = 50_000
_READ_BATCH_SIZE = 10_000


class Archiver:
    """
    Archives one log.

    Args:
        log: its own connection to the server: archiving runs beside appending.
        writer: the log's writer, which knows of losses.
        keep_entries: how many archived entries stay in the stream for readers that follow.
    """

    def __init__(self, log: Log, writer: LogWriter, keep_entries: int) -> None:
        self._log = log
        self._writer = writer
        self._keep = keep_entries
        self._one_at_a_time = Lock()

    def archive(self, cancelled: Callable[[], bool] = lambda: False) -> int:
        """
        Commit everything the stream holds beyond the archive.

        Returns:
            How many entries were committed.
        """
        with self._one_at_a_time:
            done = 0
            while not cancelled() and (committed := self._segment()):
                done += committed
            return done

    def compact(self, now_ns: int) -> int:
        """Merge the segments of closed days; returns how many were merged away."""
        with self._one_at_a_time:
            return self._log.cold.compact(now_ns)

    def _segment(self) -> int:
        """Commit one segment of at most 50,000 entries; returns how many it holds, 0 where a loss came in between."""
        cold, hot = self._log.cold, self._log.hot
        if hot is None:
            return 0
        losses = self._writer.losses
        at = cold.refresh().last_seq
        first = at + 1
        entries: list[Entry] = []
        while len(entries) < _MAX_IN_SEGMENT:
            more = _run_of(hot.read(at, None, _READ_BATCH_SIZE), at if entries else None)
            if not more:
                break
            entries += more
            at = more[-1].seq
        if not entries:
            return 0
        tables = decode_entries(entries, self._log.venue)
        with self._writer.archiving:
            still = hot.read(entries[0].seq - 1, entries[0].seq, 1)
            if self._writer.losses != losses or still != entries[:1] or cold.refresh().last_seq != first - 1:
                return 0  # the server lost what was just read: it counts as lost, and is asked for again
            cold.append(first, at, tables)
        # What is stored without the writer having heard of it is sent again, and must be found there.
        hot.trim(max(1, min(at - self._keep, self._writer.stored_seq + 1)))
        return len(entries)


def _run_of(entries: Sequence[Entry], after_seq: int | None) -> Sequence[Entry]:
    """The entries up to the first jump of their seqs (a new segment begins there); none where they begin with one."""
    if not entries or (after_seq is not None and entries[0].seq != after_seq + 1):
        return ()
    jump = next((i for i in range(1, len(entries)) if entries[i].seq != entries[i - 1].seq + 1), len(entries))
    return entries[:jump]
