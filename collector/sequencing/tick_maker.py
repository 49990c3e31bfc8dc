"""
When an interval has closed: a tick per boundary, as soon as its snapshot has arrived or has failed; pure.
"""

from dataclasses import dataclass

from eventlog.facts.capture import TICK, DepthState, Tick, TradesState
from eventlog.facts.entry import Fact
from market.timestamps import SECOND_NS, floor_to

SNAPSHOT_TIMEOUT_NS = 5 * SECOND_NS


@dataclass(slots=True)
class CaptureProgress:
    """What the recorder knows when a tick is made; None before the first."""

    snapshot_seq: int | None = None
    last_agg_id: int | None = None
    last_trade_recv_ns: int | None = None
    last_depth_recv_ns: int | None = None
    last_snapshot_recv_ns: int | None = None


class TickMaker:
    """
    Makes ticks.

    Args:
        interval_ns: of ticks. snapshot_interval_ns: of snapshots; a tick waits for one only at its boundaries.
        after_ns: boundaries up to this time are history; those missed while down are not made up.
    """

    def __init__(self, interval_ns: int, snapshot_interval_ns: int, after_ns: int) -> None:
        self.interval_ns = interval_ns
        self.snapshot_interval_ns = snapshot_interval_ns
        self._next_ns = floor_to(after_ns, interval_ns) + interval_ns
        self._snapshot_done_ns = 0

    @property
    def next_boundary_ns(self) -> int:
        """The boundary that comes next."""
        return self._next_ns

    def snapshot_done(self, boundary_ns: int) -> None:
        """A boundary's snapshot is in the log, or will not come."""
        self._snapshot_done_ns = max(self._snapshot_done_ns, boundary_ns)

    def due(self, now_ns: int) -> int | None:
        """The boundary whose tick is due, if one is; then `make` it."""
        boundary = self._next_ns
        if now_ns < boundary:
            return None
        waits = boundary % self.snapshot_interval_ns == 0 and self._snapshot_done_ns < boundary
        if waits and now_ns < boundary + SNAPSHOT_TIMEOUT_NS:
            return None
        return boundary

    def make(self, boundary_ns: int, now_ns: int, trades: TradesState, seen: CaptureProgress) -> Fact:
        """The tick of a boundary. Boundaries that passed meanwhile, but for the last one, are left out."""
        self._next_ns = max(boundary_ns, floor_to(now_ns, self.interval_ns) - self.interval_ns) + self.interval_ns
        tick = Tick(
            boundary_ns=boundary_ns,
            interval_ns=self.interval_ns,
            trades=trades,
            depth=self._depth(boundary_ns, seen),
            snapshot_seq=seen.snapshot_seq,
            last_agg_id=seen.last_agg_id,
            last_trade_recv_ns=seen.last_trade_recv_ns,
            last_depth_recv_ns=seen.last_depth_recv_ns,
        )
        return tick.fact(TICK, now_ns)

    def _depth(self, boundary_ns: int, seen: CaptureProgress) -> DepthState:
        """Live with the book that was due last; updates alone do not make an old book new."""
        if seen.snapshot_seq is None:
            return "down"
        due_ns = floor_to(boundary_ns, self.snapshot_interval_ns)
        return "live" if (seen.last_snapshot_recv_ns or 0) >= due_ns else "stale"
