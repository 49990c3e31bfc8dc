"""
The minute ticks that a recorder of raw messages did not write: what was known when its clock crossed each minute.
"""

from collections.abc import Iterator, Sequence

from eventlog.facts.capture import TICK, DepthState, Tick
from eventlog.facts.market import DIFF, SNAPSHOT
from eventlog.transfer.importing import Draft, Importer
from market.ranges import Range
from market.timestamps import MINUTE_NS, floor_to

_FRESH_NS = MINUTE_NS
_LONGEST_SILENCE_NS = 31 * 24 * 60 * MINUTE_NS  # beyond, the minutes in between say nothing about a market


class RecordedTicks:
    """
    Makes the ticks of one recording.

    Args:
        importer, draft: what the log says before it.
        holes: agg ids that the recording lacks. last_id: the largest that it holds, -1 for none.
    """

    def __init__(self, importer: Importer, draft: Draft, holes: Sequence[Range], last_id: int) -> None:
        trade, book, diff = (importer.last_row(kind) for kind in ("agg_trade", SNAPSHOT, DIFF))
        tick = importer.last_row(TICK)
        self._missing = {first for first, _ in holes}
        self._last_known = last_id
        self.highest_id = importer.last_agg_id
        self._trade_ns: int | None = trade["recv_ns"] if trade else None
        self._book: tuple[int, int] | None = (book["seq"], book["recv_ns"]) if book else None
        self._depth_ns: int | None = max((r["recv_ns"] for r in (book, diff) if r), default=None)
        self._next_ns = tick["boundary_ns"] + MINUTE_NS if tick else 0
        self._floor_ns = draft.last_recv_ns

    def begin_at(self, boundary_ns: int) -> None:
        """The log's last tick is made again: what comes now arrived before it."""
        self._next_ns = boundary_ns

    def before(self, recv_ns: int) -> Iterator[Tick]:
        """The ticks due before an entry."""
        if self._next_ns == 0:
            self._next_ns = floor_to(self._floor_ns or recv_ns, MINUTE_NS) + MINUTE_NS
        if recv_ns - self._next_ns > _LONGEST_SILENCE_NS:
            yield self._tick()
            self._next_ns = floor_to(recv_ns, MINUTE_NS) + MINUTE_NS
        while recv_ns >= self._next_ns:
            yield self._tick()
            self._next_ns += MINUTE_NS

    def saw_trade(self, agg_id: int, recv_ns: int) -> None:
        """A trade came."""
        self.highest_id = max(agg_id, self.highest_id if self.highest_id is not None else agg_id)
        self._trade_ns = recv_ns

    def saw_book(self, seq: int, recv_ns: int) -> None:
        """A snapshot came."""
        self._book = seq, recv_ns
        self._depth_ns = recv_ns

    def saw_diff(self, recv_ns: int) -> None:
        """A book update came."""
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
        """A trade came within the minute; or none was missed since, as the one that came next follows it."""
        if self._trade_ns is None or self.highest_id is None:
            return False
        follows = self.highest_id < self._last_known and self.highest_id + 1 not in self._missing
        return boundary_ns - self._trade_ns <= _FRESH_NS or follows
