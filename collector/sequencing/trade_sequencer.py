"""
Trades in order and without a hole, whatever order they come in; pure.

The log holds a rising, contiguous run of agg ids. A live trade that would leave a hole waits while the hole is filled
on request; after a limit the hole goes on record as an open gap, the live trades go on, and the hole is filled late.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from eventlog.facts.capture import GAP, VENUE_SKIPPED, Gap
from eventlog.facts.entry import Fact
from market.timestamps import SECOND_NS

LONGEST_WAIT_NS = 120 * SECOND_NS
MAX_WAITING = 100_000

Item = tuple[int, Fact]
"""An agg id and its fact: a trade, or the quarantine that closes its id."""


@dataclass(slots=True)
class _Hole:
    """Ids that are being asked for: `next` up to `last` are still missing."""

    first: int
    last: int
    next: int
    cause: str
    early: dict[int, Fact] = field(default_factory=dict)


class TradeSequencer:
    """
    Decides what goes into the log next.

    Args:
        next_id: the first id the log does not hold, None for an empty log: then the first id asked for or seen.
        open_gaps: (first, last, next, cause): ranges on record as open, settled up to `next`.
    """

    def __init__(self, next_id: int | None, open_gaps: Iterable[tuple[int, int, int, str]] = ()) -> None:
        self.next_id = next_id
        self.duplicates = 0
        self._waiting: dict[int, Fact] = {}
        self._hole: _Hole | None = None
        self._hole_since_ns = 0
        self._late = [_Hole(first, last, at, cause) for first, last, at, cause in open_gaps]

    @property
    def catching_up(self) -> bool:
        """Whether anything older than the newest trade is still missing."""
        return self._hole is not None or bool(self._late)

    @property
    def waiting(self) -> int:
        """How many live trades wait behind a hole."""
        return len(self._waiting)

    def wanted(self) -> tuple[int, int] | None:
        """What to ask for: the first missing id, and the last of its range; None while nothing is missing."""
        hole = self._hole or (self._late[0] if self._late else None)
        return None if hole is None else (hole.next, hole.last)

    @property
    def settled_before(self) -> int | None:
        """Everything before this id went into the log, but for what `missing` names; None for an empty log."""
        return self._hole.next if self._hole is not None else self.next_id

    def missing(self) -> list[tuple[int, int]]:
        """Every range that is still asked for."""
        return [(h.next, h.last) for h in ([self._hole] if self._hole else []) + self._late]

    def start_at(self, first_id: int) -> None:
        """Where an empty log begins."""
        if self.next_id is None:
            self.next_id = first_id

    def live(self, items: Sequence[Item], now_ns: int, cause: str) -> list[Fact]:
        """
        Trades as they came live.

        Args:
            cause: why something may be missing before them, for the record.

        Returns:
            What goes into the log now.
        """
        out: list[Fact] = []
        for agg_id, fact in items:
            if self.next_id is None:
                self.next_id = agg_id
            if agg_id < self.next_id or (self._hole is not None and agg_id <= self._hole.last):
                self._missing_or_known(agg_id, fact, out)
            elif agg_id in self._waiting:
                self.duplicates += 1
            elif agg_id == self.next_id and self._hole is None:
                out.append(fact)
                self.next_id += 1
            else:
                self._waiting[agg_id] = fact
                if self._hole is None:
                    self._hole = _Hole(self.next_id, agg_id - 1, self.next_id, cause)
                    self._hole_since_ns = now_ns
        return out + self._finish(now_ns) + self._drain(now_ns, cause) + self.overdue(now_ns)

    def fetched(self, items: Sequence[Item], now_ns: int) -> list[Fact]:
        """
        A page of trades as asked for, rising.

        A page that starts behind the id asked for says that the venue skipped the ids between.
        """
        out: list[Fact] = []
        for agg_id, fact in items:
            hole = self._hole_of(agg_id)
            if hole is not None:
                out += self._skipped(hole, agg_id, now_ns)
                hole.early.pop(agg_id, None)  # it came live too: what is in the log waits no more
                out.append(fact)
                hole.next = agg_id + 1
            elif self.next_id is not None and agg_id == self.next_id and self._hole is None:
                out.append(fact)
                self.next_id += 1
            else:
                self._close_before(agg_id, now_ns, out)
        out += self._finish(now_ns)
        return out

    def overdue(self, now_ns: int) -> list[Fact]:
        """Give up waiting where it lasted too long: the hole becomes an open gap, what waited goes on."""
        hole = self._hole
        too_long = now_ns - self._hole_since_ns > LONGEST_WAIT_NS
        if hole is None or not (too_long or len(self._waiting) > MAX_WAITING):
            return []
        gap = Gap("agg_ids", hole.next, hole.last, hole.cause, "open")
        self._late.append(_Hole(hole.next, hole.last, hole.next, hole.cause))
        self._hole = None
        self.next_id = hole.last + 1
        return [gap.fact(GAP, now_ns), *self._drain(now_ns, hole.cause)]

    def lost(self, first: int, last: int, now_ns: int) -> list[Fact]:
        """Ids the log held and lost with its server: an open gap, to be filled late."""
        if first > last:
            return []
        self._late.append(_Hole(first, last, first, "log_lost"))
        return [Gap("agg_ids", first, last, "log_lost", "open").fact(GAP, now_ns)]

    def _missing_or_known(self, agg_id: int, fact: Fact, out: list[Fact]) -> None:
        """A live trade from before what is expected: one that a hole still misses, or one already known."""
        hole = self._hole_of(agg_id)
        if hole is None or agg_id in hole.early:
            self.duplicates += 1
        elif agg_id == hole.next:
            hole.next += 1
            out.append(fact)
        else:
            hole.early[agg_id] = fact

    def _hole_of(self, agg_id: int) -> _Hole | None:
        holes = ([self._hole] if self._hole else []) + self._late
        return next((h for h in holes if h.next <= agg_id <= h.last), None)

    def _skipped(self, hole: _Hole, agg_id: int, now_ns: int) -> list[Fact]:
        """What a hole collected before an id, and the gaps for ids the venue does not have."""
        out: list[Fact] = []
        while hole.next < agg_id:
            early = hole.early.pop(hole.next, None)
            if early is not None:
                out.append(early)
                hole.next += 1
                continue
            end = min([i for i in hole.early if i < agg_id], default=agg_id)
            out.append(Gap("agg_ids", hole.next, end - 1, VENUE_SKIPPED, "given_up").fact(GAP, now_ns))
            hole.next = end
        return out

    def _close_before(self, agg_id: int, now_ns: int, out: list[Fact]) -> None:
        """A trade beyond every hole: whatever a hole before it still misses, the venue skipped."""
        for hole in ([self._hole] if self._hole else []) + self._late:
            if hole.last < agg_id and hole is (self._hole or self._late[0]):
                out += self._skipped(hole, hole.last + 1, now_ns)

    def _finish(self, now_ns: int) -> list[Fact]:
        """Close the holes that are full."""
        out: list[Fact] = []
        for hole in list(self._late):
            out += self._take_early(hole)
            if hole.next > hole.last:
                self._late.remove(hole)
                out.append(Gap("agg_ids", hole.first, hole.last, hole.cause, "filled").fact(GAP, now_ns))
        hole_now = self._hole
        if hole_now is not None:
            out += self._take_early(hole_now)
            if hole_now.next > hole_now.last:
                self._hole = None
                self.next_id = hole_now.last + 1
                out += self._drain(now_ns, hole_now.cause)
        return out

    @staticmethod
    def _take_early(hole: _Hole) -> list[Fact]:
        out: list[Fact] = []
        while hole.next in hole.early:
            out.append(hole.early.pop(hole.next))
            hole.next += 1
        return out

    def _drain(self, now_ns: int, cause: str) -> list[Fact]:
        """What waited and now follows; the next hole, if there is one, opens."""
        out: list[Fact] = []
        if self._hole is not None or self.next_id is None:
            return out
        while self.next_id in self._waiting:
            out.append(self._waiting.pop(self.next_id))
            self.next_id += 1
        if self._waiting:
            self._hole = _Hole(self.next_id, min(self._waiting) - 1, self.next_id, cause)
            self._hole_since_ns = now_ns
        return out
