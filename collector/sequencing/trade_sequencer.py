"""
Trades in order and without a gap, whatever order they come in; pure.

The log holds a rising, contiguous run of agg ids. A live trade that would leave a gap waits while the gap is fetched;
after a limit the gap is logged as open, the live trades are logged, and the gap is filled later.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from eventlog.facts.capture import GAP, VENUE_SKIPPED, Gap
from eventlog.facts.entry import Fact
from market.timestamps import SECOND_NS

MAX_WAIT_NS = 120 * SECOND_NS  # of live trades behind a gap
MAX_PENDING = 100_000  # live trades behind a gap; bounds memory

Item = tuple[int, Fact]
"""An agg id and its fact: a trade, or the quarantine that stands for it."""


@dataclass(slots=True)
class _PendingGap:
    """Ids that are being fetched: `next` to `last` are still missing; `early` has trades of these that came already."""

    first: int
    last: int
    next: int
    cause: str
    early: dict[int, Fact] = field(default_factory=dict)


class TradeSequencer:
    """
    Decides which trades are logged next. Methods return the facts to log now, in order.

    Args:
        next_id: the first id that is not in the log; None for an empty log, which begins with the first id that is
            fetched or comes live.
        open_gaps: (first, last, next, cause): gaps logged as open; ids before `next` are settled.

    Attributes:
        next_id: the next id that is expected live, as above.
        duplicates: trades that came again.
    """

    def __init__(self, next_id: int | None, open_gaps: Iterable[tuple[int, int, int, str]] = ()) -> None:
        self.next_id = next_id
        self.duplicates = 0
        self._pending: dict[int, Fact] = {}
        self._gap: _PendingGap | None = None
        self._gap_since_ns = 0
        self._open_gaps = [
            _PendingGap(first, last, next_missing, cause) for first, last, next_missing, cause in open_gaps
        ]

    @property
    def catching_up(self) -> bool:
        """Whether any trade older than the newest is still missing."""
        return self._gap is not None or bool(self._open_gaps)

    @property
    def pending_count(self) -> int:
        """Number of live trades that wait behind a gap."""
        return len(self._pending)

    def missing_range(self) -> tuple[int, int] | None:
        """The range to fetch next, first and last id; None while nothing is missing."""
        gap = self._gap or (self._open_gaps[0] if self._open_gaps else None)
        return None if gap is None else (gap.next, gap.last)

    @property
    def watermark(self) -> int | None:
        """Every id before this one is in the log or in `missing_ranges`; None for an empty log."""
        return self._gap.next if self._gap is not None else self.next_id

    def missing_ranges(self) -> list[tuple[int, int]]:
        """All ranges that are still missing, first and last id each."""
        return [(g.next, g.last) for g in ([self._gap] if self._gap else []) + self._open_gaps]

    def start_at(self, first_id: int) -> None:
        """Set the id that an empty log begins with; no effect if the log has trades."""
        if self.next_id is None:
            self.next_id = first_id

    def add_live(self, items: Sequence[Item], now_ns: int, cause: str) -> list[Fact]:
        """
        Add live trades.

        Args:
            items: in order of arrival; ids may repeat, skip or step back.
            now_ns: the time.
            cause: logged with a gap before them, e.g. disconnect.

        Returns:
            The facts to log now, in order.
        """
        facts: list[Fact] = []
        for agg_id, fact in items:
            if self.next_id is None:
                self.next_id = agg_id
            if agg_id < self.next_id or (self._gap is not None and agg_id <= self._gap.last):
                self._add_earlier(agg_id, fact, facts)
            elif agg_id in self._pending:
                self.duplicates += 1
            elif agg_id == self.next_id and self._gap is None:
                facts.append(fact)
                self.next_id += 1
            else:
                self._pending[agg_id] = fact
                if self._gap is None:
                    self._gap = _PendingGap(self.next_id, agg_id - 1, self.next_id, cause)
                    self._gap_since_ns = now_ns
        return facts + self._close_filled(now_ns) + self._drain(now_ns, cause) + self.expire(now_ns)

    def add_fetched(self, items: Sequence[Item], now_ns: int) -> list[Fact]:
        """
        Add a page of fetched trades, ids rising.

        A page that starts after the id it was fetched for shows that the exchange skipped the ids between.
        """
        facts: list[Fact] = []
        for agg_id, fact in items:
            gap = self._find_gap(agg_id)
            if gap is not None:
                facts += self._skip_to(gap, agg_id, now_ns)
                gap.early.pop(agg_id, None)  # it came live too
                facts.append(fact)
                gap.next = agg_id + 1
            elif self.next_id is not None and agg_id == self.next_id and self._gap is None:
                facts.append(fact)
                self.next_id += 1
            else:
                self._close_before(agg_id, now_ns, facts)
        facts += self._close_filled(now_ns)
        return facts

    def expire(self, now_ns: int) -> list[Fact]:
        """After too long a wait, or with too many pending trades: log the gap as open, then the trades behind it."""
        gap = self._gap
        is_too_long = now_ns - self._gap_since_ns > MAX_WAIT_NS
        if gap is None or not (is_too_long or len(self._pending) > MAX_PENDING):
            return []
        entry = Gap("agg_ids", gap.next, gap.last, gap.cause, "open")
        self._open_gaps.append(_PendingGap(gap.next, gap.last, gap.next, gap.cause))
        self._gap = None
        self.next_id = gap.last + 1
        return [entry.fact(GAP, now_ns), *self._drain(now_ns, gap.cause)]

    def add_lost(self, first: int, last: int, now_ns: int) -> list[Fact]:
        """
        Add a gap of ids that were in the log and lost with its server.

        Args:
            first, last: of the range; no effect if it is empty.
            now_ns: the time.

        Returns:
            The open gap to log now.
        """
        if first > last:
            return []
        self._open_gaps.append(_PendingGap(first, last, first, "log_lost"))
        return [Gap("agg_ids", first, last, "log_lost", "open").fact(GAP, now_ns)]

    def _add_earlier(self, agg_id: int, fact: Fact, facts: list[Fact]) -> None:
        """Add a live trade before the next expected id: one that a gap still misses, or a duplicate."""
        gap = self._find_gap(agg_id)
        if gap is None or agg_id in gap.early:
            self.duplicates += 1
        elif agg_id == gap.next:
            gap.next += 1
            facts.append(fact)
        else:
            gap.early[agg_id] = fact

    def _find_gap(self, agg_id: int) -> _PendingGap | None:
        gaps = ([self._gap] if self._gap else []) + self._open_gaps
        return next((g for g in gaps if g.next <= agg_id <= g.last), None)

    def _skip_to(self, gap: _PendingGap, agg_id: int, now_ns: int) -> list[Fact]:
        """Early trades of a gap before an id, and given-up gaps for ids that the exchange does not have."""
        facts: list[Fact] = []
        while gap.next < agg_id:
            early = gap.early.pop(gap.next, None)
            if early is not None:
                facts.append(early)
                gap.next += 1
                continue
            end = min([i for i in gap.early if i < agg_id], default=agg_id)
            facts.append(Gap("agg_ids", gap.next, end - 1, VENUE_SKIPPED, "given_up").fact(GAP, now_ns))
            gap.next = end
        return facts

    def _close_before(self, agg_id: int, now_ns: int, facts: list[Fact]) -> None:
        """For a fetched trade outside all gaps: ids still missing before it were skipped by the exchange."""
        for gap in ([self._gap] if self._gap else []) + self._open_gaps:
            if gap.last < agg_id and gap is (self._gap or self._open_gaps[0]):
                facts += self._skip_to(gap, gap.last + 1, now_ns)

    def _close_filled(self, now_ns: int) -> list[Fact]:
        """Close the gaps in which nothing is missing any more."""
        facts: list[Fact] = []
        for gap in list(self._open_gaps):
            facts += self._take_early(gap)
            if gap.next > gap.last:
                self._open_gaps.remove(gap)
                facts.append(Gap("agg_ids", gap.first, gap.last, gap.cause, "filled").fact(GAP, now_ns))
        current = self._gap
        if current is not None:
            facts += self._take_early(current)
            if current.next > current.last:
                self._gap = None
                self.next_id = current.last + 1
                facts += self._drain(now_ns, current.cause)
        return facts

    @staticmethod
    def _take_early(gap: _PendingGap) -> list[Fact]:
        facts: list[Fact] = []
        while gap.next in gap.early:
            facts.append(gap.early.pop(gap.next))
            gap.next += 1
        return facts

    def _drain(self, now_ns: int, cause: str) -> list[Fact]:
        """Pending trades that follow now; behind them the next gap begins, if trades are still pending."""
        facts: list[Fact] = []
        if self._gap is not None or self.next_id is None:
            return facts
        while self.next_id in self._pending:
            facts.append(self._pending.pop(self.next_id))
            self.next_id += 1
        if self._pending:
            self._gap = _PendingGap(self.next_id, min(self._pending) - 1, self.next_id, cause)
            self._gap_since_ns = now_ns
        return facts
