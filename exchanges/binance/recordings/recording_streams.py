"""
Two streams of one market with the same facts in one recording: what each of them covers, and what it lacks.
"""

from collections import deque
from dataclasses import dataclass, field

from market.timestamps import SECOND_NS

Ids = tuple[int, int]
Times = tuple[int, int]

LONGEST_EDGE_NS = 10 * SECOND_NS
"""How far apart two streams of one market begin and end in a recording, at the most."""
_MAX_WAITING = 10_000  # single trades that an aggTrade, sent with the last of them, may still be about


def widened(reach: Ids | None, ids: Ids) -> Ids:
    """A reach that holds some ids as well."""
    return ids if reach is None else (min(reach[0], ids[0]), max(reach[1], ids[1]))


def _extend(runs: list[Ids], ids: Ids) -> None:
    """Take ids that mostly follow the last run."""
    if runs and runs[-1][1] + 1 == ids[0]:
        runs[-1] = runs[-1][0], ids[1]
    else:
        runs.append(ids)


@dataclass(slots=True)
class DepthStreams:
    """Book updates of the faster and of the slower stream."""

    _fast: Ids | None = None
    _slow: list[tuple[int, Ids | None]] = field(default_factory=list)

    def add_fast(self, ids: Ids) -> None:
        """An update of the faster stream."""
        self._fast = widened(self._fast, ids)

    def add_slow(self, number: int, ids: Ids | None) -> None:
        """An update of the slower one, in a line; None where its ids cannot be read."""
        self._slow.append((number, ids))

    def covered(self) -> frozenset[int]:
        """The lines of slower updates whose ids lie among those of the faster."""
        if self._fast is None:
            return frozenset()
        low, high = self._fast
        return frozenset(n for n, ids in self._slow if ids is None or (ids[0] <= high and ids[1] >= low))


@dataclass(slots=True)
class TradeStreams:
    """Single trades, and the aggTrades they are parts of; by their trade ids."""

    _aggregated: Ids | None = None
    _parts: list[Ids] = field(default_factory=list)
    _singles: list[Ids] = field(default_factory=list)
    _waiting: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_MAX_WAITING))
    _before: Times | None = None
    _after: Times | None = None

    def add_aggregated(self, ids: Ids) -> None:
        """An aggTrade of some trades."""
        if self._aggregated is None:
            early = [at_ns for number, at_ns in self._waiting if number < ids[0]]
            self._before = (self._before[0], early[-1]) if self._before and early else None
        self._aggregated, self._after = widened(self._aggregated, ids), None
        _extend(self._parts, ids)

    def add_single(self, number: int, recv_ns: int) -> None:
        """A single trade, and when it came."""
        _extend(self._singles, (number, number))
        if self._aggregated is None:
            self._before = self._before or (recv_ns, recv_ns)
            self._waiting.append((number, recv_ns))
        elif number > self._aggregated[1]:
            self._after = (self._after or (recv_ns, recv_ns))[0], recv_ns

    @property
    def alone(self) -> int:
        """How many single trades did not come as part of an aggTrade; 0 where none of those came."""
        if self._aggregated is None:
            return 0
        singles = sum(last - first + 1 for first, last in self._singles)
        parts, at = sorted(self._parts), 0
        for first, last in sorted(self._singles):
            while at < len(parts) and parts[at][1] < first:
                at += 1
            place = at
            while place < len(parts) and parts[place][0] <= last:
                singles -= min(parts[place][1], last) - max(parts[place][0], first) + 1
                place += 1
        return max(singles, 0)

    @property
    def changed_ns(self) -> int | None:
        """When a recording went over from one stream to the other; None where one has all of them."""
        if self._aggregated is None:
            return None
        if self._before is not None and self._before[1] - self._before[0] > LONGEST_EDGE_NS:
            return self._before[1]
        if self._after is not None and self._after[1] - self._after[0] > LONGEST_EDGE_NS:
            return self._after[0]
        return None
