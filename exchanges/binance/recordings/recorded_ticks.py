"""
The minute ticks that a recorder of raw messages did not write: what had come when its clock crossed each minute.
"""

from collections.abc import Iterator, Sequence

from eventlog.facts.capture import TICK, DepthState, Tick
from eventlog.facts.market import DIFF, SNAPSHOT
from eventlog.transfer.importing import Draft, Importer
from market.ranges import Range
from market.timestamps import MINUTE_NS, floor_to

_FRESH_NS = MINUTE_NS
_LONGEST_SILENCE_NS = 31 * 24 * 60 * MINUTE_NS  # across a longer one no ticks are made; bounds their number


class RecordedTicks:
    """
    Makes the ticks of one recording.

    Args:
        importer, draft: of the log that it is appended to; they tell what came before.
        gaps: ranges of agg ids that the recording lacks.
        last_id: the largest agg id that it has, -1 for none.

    Attributes:
        highest_id: the largest agg id so far, None before the first.
    """

    def __init__(self, importer: Importer, draft: Draft, gaps: Sequence[Range], last_id: int) -> None:
        trade, book, diff = (importer.last_row(kind) for kind in ("agg_trade", SNAPSHOT, DIFF))
        tick = importer.last_row(TICK)
        self._missing = {first for first, _ in gaps}
        self._last_id = last_id
        self.highest_id = importer.last_agg_id
        self._trade_ns: int | None = trade["recv_ns"] if trade else None
        self._book: tuple[int, int] | None = (book["seq"], book["recv_ns"]) if book else None
        self._depth_ns: int | None = max((r["recv_ns"] for r in (book, diff) if r), default=None)
        self._next_ns = tick["boundary_ns"] + MINUTE_NS if tick else 0
        self._floor_ns = draft.last_recv_ns

    def restart_at(self, boundary_ns: int) -> None:
        """Make the log's last tick again: what comes now arrived before it."""
        self._next_ns = boundary_ns

    def ticks_before(self, recv_ns: int) -> Iterator[Tick]:
        """Make the ticks that are due before an entry received at `recv_ns`."""
        if self._next_ns == 0:
            self._next_ns = floor_to(self._floor_ns or recv_ns, MINUTE_NS) + MINUTE_NS
        if recv_ns - self._next_ns > _LONGEST_SILENCE_NS:
            yield self._tick()
            self._next_ns = floor_to(recv_ns, MINUTE_NS) + MINUTE_NS
        while recv_ns >= self._next_ns:
            yield self._tick()
            self._next_ns += MINUTE_NS

    def note_trade(self, agg_id: int, recv_ns: int) -> None:
        """Take note of a trade."""
        self.highest_id = max(agg_id, self.highest_id if self.highest_id is not None else agg_id)
        self._trade_ns = recv_ns

    def note_book(self, seq: int, recv_ns: int) -> None:
        """Take note of a snapshot."""
        self._book = seq, recv_ns
        self._depth_ns = recv_ns

    def note_diff(self, recv_ns: int) -> None:
        """Take note of a book update."""
        self._depth_ns = recv_ns

    def _tick(self) -> Tick:
        end, book = self._next_ns, self._book
        depth: DepthState = "down"
        if book is not None:
            depth = "live" if end - book[1] < _FRESH_NS else "stale"
        return Tick(
            boundary_ns=end,
            interval_ns=MINUTE_NS,
            trades="live" if self._is_live(end) else "down",
            depth=depth,
            snapshot_seq=book[0] if book else None,
            last_agg_id=self.highest_id,
            last_trade_recv_ns=self._trade_ns,
            last_depth_recv_ns=self._depth_ns,
        )

    def _is_live(self, boundary_ns: int) -> bool:
        """Whether a trade came within the last minute, or the next one that came follows it without a gap."""
        if self._trade_ns is None or self.highest_id is None:
            return False
        follows = self.highest_id < self._last_id and self.highest_id + 1 not in self._missing
        return boundary_ns - self._trade_ns <= _FRESH_NS or follows
