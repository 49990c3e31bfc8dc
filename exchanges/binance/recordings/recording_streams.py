"""
Two streams of one market with the same facts in one recording: which ids each of them covers.
"""

from collections import deque
from dataclasses import dataclass, field

from market.timestamps import SECOND_NS

Ids = tuple[int, int]
Times = tuple[int, int]

MAX_EDGE_NS = 10 * SECOND_NS
"""Two streams of one market begin and end within this time of each other; more means that the recording switched."""
_MAX_PENDING = 10_000  # single trades that an aggTrade, sent with the last of them, may still contain


def widen_range(span: Ids | None, ids: Ids) -> Ids:
    """Widen a range so that it includes `ids`; None stands for no range yet."""
    return ids if span is None else (min(span[0], ids[0]), max(span[1], ids[1]))


def _extend(runs: list[Ids], ids: Ids) -> None:
    """Add ids to the last run where they follow it, else as a new run."""
    if runs and runs[-1][1] + 1 == ids[0]:
        runs[-1] = runs[-1][0], ids[1]
    else:
        runs.append(ids)


@dataclass(slots=True)
class DepthStreams:
    """Update ids of the faster and of the slower depth stream."""

    _fast: Ids | None = None
    _slow: list[tuple[int, Ids | None]] = field(default_factory=list)

    def add_fast(self, ids: Ids) -> None:
        """Add an update of the faster stream."""
        self._fast = widen_range(self._fast, ids)

    def add_slow(self, number: int, ids: Ids | None) -> None:
        """Add an update of the slower stream in line `number`; ids None where they cannot be read."""
        self._slow.append((number, ids))

    def redundant_lines(self) -> frozenset[int]:
        """Lines of slower updates whose ids are among those of the faster stream."""
        if self._fast is None:
            return frozenset()
        low, high = self._fast
        return frozenset(n for n, ids in self._slow if ids is None or (ids[0] <= high and ids[1] >= low))


@dataclass(slots=True)
class TradeStreams:
    """Single trades, and the aggTrades that contain them; by trade id."""

    _aggregate_ids: Ids | None = None
    _parts: list[Ids] = field(default_factory=list)
    _singles: list[Ids] = field(default_factory=list)
    _pending: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_MAX_PENDING))
    _early_times: Times | None = None
    _late_times: Times | None = None

    def add_aggregate(self, ids: Ids) -> None:
        """Add an aggTrade by its first and last trade id."""
        if self._aggregate_ids is None:
            early = [at_ns for number, at_ns in self._pending if number < ids[0]]
            self._early_times = (self._early_times[0], early[-1]) if self._early_times and early else None
        self._aggregate_ids, self._late_times = widen_range(self._aggregate_ids, ids), None
        _extend(self._parts, ids)

    def add_single(self, number: int, recv_ns: int) -> None:
        """Add a single trade by its id, and when it came."""
        _extend(self._singles, (number, number))
        if self._aggregate_ids is None:
            self._early_times = self._early_times or (recv_ns, recv_ns)
            self._pending.append((number, recv_ns))
        elif number > self._aggregate_ids[1]:
            self._late_times = (self._late_times or (recv_ns, recv_ns))[0], recv_ns

    @property
    def single_count(self) -> int:
        """Number of single trades that no aggTrade contains; 0 where there is no aggTrade."""
        if self._aggregate_ids is None:
            return 0
        singles = sum(last - first + 1 for first, last in self._singles)
        parts, start = sorted(self._parts), 0
        for first, last in sorted(self._singles):
            while start < len(parts) and parts[start][1] < first:
                start += 1
            index = start
            while index < len(parts) and parts[index][0] <= last:
                singles -= min(parts[index][1], last) - max(parts[index][0], first) + 1
                index += 1
        return max(singles, 0)

    @property
    def switch_ns(self) -> int | None:
        """When the recording switched from one stream to the other (ns); None where one has all trades."""
        if self._aggregate_ids is None:
            return None
        if self._early_times is not None and self._early_times[1] - self._early_times[0] > MAX_EDGE_NS:
            return self._early_times[1]
        if self._late_times is not None and self._late_times[1] - self._late_times[0] > MAX_EDGE_NS:
            return self._late_times[0]
        return None
