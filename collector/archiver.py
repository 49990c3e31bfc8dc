"""
From the hot tail to Parquet: segments are committed first, then the stream is trimmed behind them.
"""

from collections.abc import Callable
from threading import Lock

from eventlog.codec import decode_entries
from eventlog.facts import Entry
from eventlog.log import Log

_MOST_IN_SEGMENT = 200_000
_READ_AT_ONCE = 10_000


class Archiver:
    """
    Archives one log.

    Args:
        log: its own connection to the server: archiving runs beside appending.
        keep_entries: how many archived entries stay in the stream for readers that follow.
    """

    def __init__(self, log: Log, keep_entries: int) -> None:
        self._log = log
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
        """Commit one segment of at most 200,000 entries; returns how many it holds."""
        cold, hot = self._log.cold, self._log.hot
        if hot is None:
            return 0
        at = cold.refresh().last_seq
        first = at + 1
        entries: list[Entry] = []
        while len(entries) < _MOST_IN_SEGMENT:
            more = hot.read(at, None, _READ_AT_ONCE)
            if not more:
                break
            entries += more
            at = more[-1].seq
        if entries:
            cold.append(first, at, decode_entries(entries, self._log.venue))
            hot.trim(max(1, at - self._keep))
        return len(entries)
