"""
All projections of one market, fed together.
"""

from dataclasses import dataclass

from eventlog.batch import Batch, Rows
from eventlog.facts import AGG_TRADE, INSTRUMENT, SNAPSHOT, TICK
from market.fixed_point import DECIMALS, ONE_E8
from market.timestamps import MINUTE_NS
from projections import minute_buckets
from projections.minute_buckets import MinuteBuckets
from projections.snapshot_window import SnapshotWindow

KINDS = (AGG_TRADE, SNAPSHOT, TICK, INSTRUMENT)
"""What the projections read."""

READS = {AGG_TRADE: minute_buckets.COLUMNS}
"""Of which kinds only some columns are read."""


@dataclass(frozen=True, slots=True)
class Windows:
    """How far back each projection looks, and how wide a price level is."""

    bucket_minutes: int = 72 * 60
    snapshot_slots: int = 60
    level_e8: int = ONE_E8

    @property
    def warmup_ns(self) -> int:
        """How much of the log before a tick decides the state at that tick."""
        return (max(self.bucket_minutes, self.snapshot_slots) + 10) * MINUTE_NS


@dataclass(frozen=True, slots=True)
class TickEntry:
    """A tick as the folds see it."""

    seq: int
    boundary_ns: int
    interval_ns: int
    trades: str
    depth: str
    snapshot_seq: int | None


class MarketState:
    """What is known about a market at a tick, from its log alone."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.buckets = MinuteBuckets(windows.bucket_minutes, windows.level_e8)
        self.snapshots = SnapshotWindow(windows.snapshot_slots)
        self.tick_size_e8: int | None = None
        self.quantity_decimals = DECIMALS
        self.status = "unknown"

    def apply(self, batch: Batch) -> None:
        """Take a stretch of the log that holds no tick but as its last entry."""
        self.buckets.apply(batch)
        self.snapshots.apply(batch)
        rows = batch.rows.get(INSTRUMENT)
        if rows is not None:
            self.tick_size_e8 = int(rows["tick_size_e8"][-1])
            self.quantity_decimals = int(rows["quantity_decimals"][-1])
            self.status = str(rows.columns.values("status", rows.stop - 1))

    def close(self, tick: TickEntry) -> None:
        """Move every window to a tick."""
        self.buckets.close(tick.boundary_ns)
        self.snapshots.close(tick.boundary_ns)

    def digests(self) -> dict[str, str]:
        """The digest of each projection, by name."""
        return {"minute_buckets": self.buckets.digest(), "snapshot_window": self.snapshots.digest()}


def ticks_of(rows: Rows) -> list[TickEntry]:
    """The ticks of a batch."""
    table = rows.columns.table.slice(rows.start, len(rows))
    names = ("seq", "boundary_ns", "interval_ns", "trades", "depth", "snapshot_seq")
    return [TickEntry(*values) for values in zip(*(table.column(n).to_pylist() for n in names), strict=True)]
