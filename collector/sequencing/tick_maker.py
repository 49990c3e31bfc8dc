"""
Ticks at the boundaries of intervals, each due as soon as its snapshot has arrived or failed; pure.
"""

from dataclasses import dataclass

from eventlog.facts.capture import TICK, DepthState, Tick, TradesState
from eventlog.facts.entry import Fact
from market.timestamps import SECOND_NS, floor_to

SNAPSHOT_TIMEOUT_NS = 5 * SECOND_NS  # after a boundary, until its tick is made without a snapshot


@dataclass(slots=True)
class CaptureProgress:
    """What was recorded before a tick; None before the first of each."""

    snapshot_seq: int | None = None
    last_agg_id: int | None = None
    last_trade_recv_ns: int | None = None
    last_depth_recv_ns: int | None = None
    last_snapshot_recv_ns: int | None = None


class TickMaker:
    """
    Decides when ticks are due, and makes them.

    Args:
        interval_ns: of ticks.
        snapshot_interval_ns: of snapshots; a tick waits for one only at these boundaries.
        after_ns: the first boundary is after this time; boundaries missed before it get no tick.
    """

    def __init__(self, interval_ns: int, snapshot_interval_ns: int, after_ns: int) -> None:
        self.interval_ns = interval_ns
        self.snapshot_interval_ns = snapshot_interval_ns
        self._next_ns = floor_to(after_ns, interval_ns) + interval_ns
        self._snapshot_ns = 0

    @property
    def next_boundary_ns(self) -> int:
        """The next boundary to get a tick."""
        return self._next_ns

    def note_snapshot(self, boundary_ns: int) -> None:
        """Note that a boundary's snapshot is in the log, or will not come."""
        self._snapshot_ns = max(self._snapshot_ns, boundary_ns)

    def due_boundary(self, now_ns: int) -> int | None:
        """The boundary whose tick is due, to be made by `make_tick`; None for none."""
        boundary = self._next_ns
        if now_ns < boundary:
            return None
        waits = boundary % self.snapshot_interval_ns == 0 and self._snapshot_ns < boundary
        if waits and now_ns < boundary + SNAPSHOT_TIMEOUT_NS:
            return None
        return boundary

    def make_tick(self, boundary_ns: int, now_ns: int, trades: TradesState, progress: CaptureProgress) -> Fact:
        """
        Make the tick of a boundary; of further boundaries that have passed, all but the last get no tick.

        Args:
            boundary_ns: as `due_boundary` returned it.
            now_ns: the time, at or after the boundary.
            trades: state of the log's trades.
            progress: what was recorded before the tick.
        """
        self._next_ns = max(boundary_ns, floor_to(now_ns, self.interval_ns) - self.interval_ns) + self.interval_ns
        tick = Tick(
            boundary_ns=boundary_ns,
            interval_ns=self.interval_ns,
            trades=trades,
            depth=self._depth_state(boundary_ns, progress),
            snapshot_seq=progress.snapshot_seq,
            last_agg_id=progress.last_agg_id,
            last_trade_recv_ns=progress.last_trade_recv_ns,
            last_depth_recv_ns=progress.last_depth_recv_ns,
        )
        return tick.fact(TICK, now_ns)

    def _depth_state(self, boundary_ns: int, progress: CaptureProgress) -> DepthState:
        """Live if the last due snapshot came; diffs alone do not make an old book live."""
        if progress.snapshot_seq is None:
            return "down"
        due_ns = floor_to(boundary_ns, self.snapshot_interval_ns)
        return "live" if (progress.last_snapshot_recv_ns or 0) >= due_ns else "stale"
