"""
All projections of one market, fed together.
"""

from dataclasses import dataclass

import numpy as np

from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.store.batch import Batch, Rows
from market.fixed_point import DECIMALS
from market.timestamps import MINUTE_NS
from projections.book import order_book
from projections.book.order_book import OrderBook
from projections.book.snapshot_window import SnapshotWindow
from projections.flow.book_flow import BookFlow
from projections.price_step import infer_tick_e8
from projections.trades import minute_buckets
from projections.trades.minute_buckets import MinuteBuckets
from projections.trades.price_levels import level_width_e8
from projections.trades.recent_trades import RecentTrades

STATE_KINDS = (AGG_TRADE, SNAPSHOT, DIFF, TICK, INSTRUMENT)
"""The kinds of entries that the projections read."""

BOOK_KINDS = (SNAPSHOT, DIFF)
"""Of these the ones that no longer affect a tick once they are older than `Windows.book_warmup_ns`."""

READS = {AGG_TRADE: minute_buckets.COLUMNS, DIFF: order_book.COLUMNS}
"""The columns that are read of kinds that are not read in full."""


_MORE_MINUTES = 10  # a fact may come some minutes after its time


@dataclass(frozen=True, slots=True)
class Windows:
    """How far back each projection looks, and how wide a price level is; None: the width follows the price."""

    bucket_minutes: int = 72 * 60
    snapshot_slots: int = 60
    trade_minutes: int = 240
    flow_seconds: int = 3600
    level_e8: int | None = None

    @property
    def warmup_ns(self) -> int:
        """The span of the log before a tick that decides the state at that tick."""
        return max((max(self.bucket_minutes, self.trade_minutes) + _MORE_MINUTES) * MINUTE_NS, self.book_warmup_ns)

    @property
    def book_warmup_ns(self) -> int:
        """
        As `warmup_ns`, for books and their changes: a book rests on facts that are up to `snapshot_slots` minutes old.
        """
        return (-(-self.flow_seconds // 60) + 2 * self.snapshot_slots + _MORE_MINUTES) * MINUTE_NS


@dataclass(frozen=True, slots=True)
class TickEntry:
    """A tick entry of the log."""

    seq: int
    boundary_ns: int
    interval_ns: int
    trades: str
    depth: str
    snapshot_seq: int | None


class MarketState:
    """
    The state of a market at a tick, from its log alone.

    Args:
        quantity_decimals: of the log's quantities, where its instrument facts come later than what is folded.

    Attributes:
        tick_size_e8: of the last instrument fact, None before the first.
    """

    def __init__(self, windows: Windows, quantity_decimals: int = DECIMALS) -> None:
        self.windows = windows
        self.buckets = MinuteBuckets(windows.bucket_minutes, windows.level_e8)
        self.snapshots = SnapshotWindow(windows.snapshot_slots)
        self.trades = RecentTrades(windows.trade_minutes)
        self.order_book = OrderBook(windows.snapshot_slots)
        self.book_flow = BookFlow(windows.flow_seconds)
        self.tick_size_e8: int | None = None
        self.quantity_decimals = quantity_decimals
        self.status = "unknown"

    def apply(self, batch: Batch) -> None:
        """Apply a stretch of the log that has no tick but as its last entry."""
        self.buckets.apply(batch)
        self.snapshots.apply(batch)
        self.trades.apply(batch)
        self.book_flow.apply(batch, self.order_book.apply(batch))
        rows = batch.rows.get(INSTRUMENT)
        if rows is not None:
            self.tick_size_e8 = int(rows["tick_size_e8"][-1])
            self.quantity_decimals = int(rows["quantity_decimals"][-1])
            self.status = str(rows.columns.value("status", rows.stop - 1))

    def close(self, tick: TickEntry) -> None:
        """Move every window to a tick."""
        self.buckets.close(tick.boundary_ns)
        self.snapshots.close(tick.boundary_ns)
        self.trades.close(tick.boundary_ns)
        self.order_book.close(tick.boundary_ns)
        self.book_flow.close(tick.boundary_ns)

    def grid_e8(self) -> int:
        """The tick size on record; without one, the step of the trades and of the newest book; 1 without any."""
        if self.tick_size_e8 is not None:
            return self.tick_size_e8
        newest = self.snapshots.latest()
        books = (newest.bid_price_e8, newest.ask_price_e8) if newest is not None else ()
        return infer_tick_e8(np.concatenate((self.trades.columns().price_e8, *books)))

    def level_e8(self) -> int:
        """The least width that a row of prices has now: that of the minute buckets' levels, at least a tick."""
        tick, price = self.grid_e8(), self.buckets.last_price_e8()
        return tick if price is None else max(level_width_e8(price, self.windows.level_e8), tick)

    def digests(self) -> dict[str, str]:
        """The digest of each projection, by name."""
        return {
            "book_flow": self.book_flow.digest(),
            "minute_buckets": self.buckets.digest(),
            "order_book": self.order_book.digest(),
            "recent_trades": self.trades.digest(),
            "snapshot_window": self.snapshots.digest(),
        }


def read_ticks(rows: Rows) -> list[TickEntry]:
    """Read the ticks of a batch."""
    table = rows.table()
    names = ("seq", "boundary_ns", "interval_ns", "trades", "depth", "snapshot_seq")
    return [TickEntry(*values) for values in zip(*(table.column(n).to_pylist() for n in names), strict=True)]
