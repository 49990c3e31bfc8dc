"""
Minute buckets: the quantity bought and sold at each price level in each minute of trade time.

Only a tick moves the window. Trades may come in any order and in batches of any size; sums are exact integers, and a
minute's open and close go by agg id, so the order does not matter. Rows are folded on first read: a tick without a read
costs nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch, Rows
from market.arrays import I64
from market.errors import SumOverflow
from market.fixed_point import LARGEST_E8, ONE_E8
from market.timestamps import MINUTE_NS
from projections import digest
from projections.pending_rows import PendingRows
from projections.trades.group_trades import group_trades
from projections.trades.price_levels import level_width_e8

COLUMNS = ("trade_time_ns", "agg_id", "price_e8", "quantity_e8", "buyer_is_maker")
"""The columns of a trade that this fold reads."""

_MAX_PENDING = 1 << 18  # bounds the memory of pending trades


@dataclass(slots=True)
class Minute:
    """
    One minute: k levels, lowest first, with the quantity bought and sold by aggressors and the trades counted.

    Attributes:
        bar: open, high, low, close (1e-8 quote) and the agg ids of the first and the last trade.
    """

    level_e8: I64
    buy_e8: I64
    sell_e8: I64
    count: I64
    bar: I64
    _sides: tuple[int, int] | None = None

    @property
    def sides_e8(self) -> tuple[int, int]:
        """The quantity bought and the quantity sold in the minute."""
        if self._sides is None:
            self._sides = int(self.buy_e8.sum()), int(self.sell_e8.sum())
        return self._sides

    @property
    def total_e8(self) -> I64:
        """Quantity of both sides at each level."""
        return self.buy_e8 + self.sell_e8

    def merge(self, other: "Minute") -> "Minute":
        """Merge both, as if their trades had come at once."""
        levels, index = np.unique(np.concatenate((self.level_e8, other.level_e8)), return_inverse=True)
        sums = np.zeros((3, len(levels)), np.int64)
        for row, name in enumerate(("buy_e8", "sell_e8", "count")):
            np.add.at(sums[row], index, np.concatenate((getattr(self, name), getattr(other, name))))
        if sums.max() > LARGEST_E8:
            raise SumOverflow("a minute's quantity")
        return Minute(levels, sums[0], sums[1], sums[2], _merge_bars(self.bar, other.bar))


def _merge_bars(bar: I64, other: I64) -> I64:
    first = bar if bar[4] <= other[4] else other
    last = bar if bar[5] >= other[5] else other
    return np.array([first[0], max(bar[1], other[1]), min(bar[2], other[2]), last[3], first[4], last[5]], np.int64)


class MinuteBuckets:
    """
    The fold of minute buckets.

    Args:
        window_minutes: number of closed minutes that are kept, ending with the minute of the last tick.
        level_e8: width of a price level, 1e-8 quote; None where it follows the price, see `price_levels`.
    """

    def __init__(self, window_minutes: int, level_e8: int | None = None) -> None:
        self.window_minutes = window_minutes
        self.level_e8 = level_e8
        self.end_ns = 0
        self._minutes: dict[int, Minute] = {}  # oldest first
        self._digests: dict[int, bytes] = {}  # of minutes that have not changed since, in the same order
        self._unhashed: set[int] = set()
        self._bars = np.empty((0, 5), np.int64)  # minute, open, high, low, close; the minutes of `_stale_bars` aside
        self._stale_bars: set[int] = set()
        self._pending = PendingRows()
        self._last_trade: tuple[int, int, int] | None = None  # agg id, price, minute
        self._dropped_ns = 0  # every minute before this one has been dropped
        self._changes: list[int] = []
        self._changes_before = 0

    def apply(self, batch: Batch) -> None:
        """Apply a batch's trades."""
        rows = batch.rows.get(AGG_TRADE)
        if rows is not None:
            self._pending.add(rows)
            if len(self._pending) > _MAX_PENDING:
                self._fold()

    def close(self, boundary_ns: int) -> None:
        """Close the window at a tick: it now ends at its boundary."""
        self.end_ns = max(self.end_ns, boundary_ns - boundary_ns % MINUTE_NS)

    @property
    def start_ns(self) -> int:
        """The first minute of the window."""
        return self.end_ns - self.window_minutes * MINUTE_NS

    def minute(self, minute_ns: int) -> Minute | None:
        """One minute, None where nothing was traded in it."""
        self._fold()
        return self._minutes.get(minute_ns)

    def minutes(self, count: int | None = None) -> Iterator[tuple[int, Minute]]:
        """
        The closed minutes of the window with trades in them, oldest first; only the last `count` unless that is None.
        """
        self._fold()
        first = self.start_ns if count is None else self.end_ns - count * MINUTE_NS
        if count is not None and count < len(self._minutes):
            candidates: Iterable[int] = range(first, self.end_ns, MINUTE_NS)
        else:
            candidates = [m for m in self._minutes if first <= m < self.end_ns]
        for minute_ns in candidates:
            minute = self._minutes.get(minute_ns)
            if minute is not None:
                yield minute_ns, minute

    def minutes_with_trades(self) -> list[int]:
        """Every minute with trades in it, closed or open, oldest first."""
        self._fold()
        return list(self._minutes)

    def first_minute(self) -> int | None:
        """The oldest minute with trades in it, closed or open; None where there is none."""
        self._fold()
        return next(iter(self._minutes), None)

    def bars(self, count: int) -> tuple[I64, I64]:
        """
        The prices of the last `count` closed minutes, minutes without trades left out.

        Returns:
            k minute starts (ns) and a (k, 4) array of open, high, low, close, 1e-8 quote.
        """
        self._fold()
        if self._stale_bars:
            first = min(self._stale_bars)
            rows = [(m, *self._minutes[m].bar[:4]) for m in takewhile(lambda m: m >= first, reversed(self._minutes))]
            newer = np.array(rows[::-1], np.int64).reshape(-1, 5)
            self._bars = np.concatenate((self._bars[: int(np.searchsorted(self._bars[:, 0], first))], newer))
            self._stale_bars.clear()
        window = max(self.start_ns, self.end_ns - count * MINUTE_NS), self.end_ns
        start, stop = np.searchsorted(self._bars[:, 0], window).tolist()
        return self._bars[start:stop, 0], self._bars[start:stop, 1:]

    def changes_since(self, mark: int) -> tuple[int, list[int] | None]:
        """
        The minutes that changed since an earlier call.

        Args:
            mark: returned by that call, 0 for the first.

        Returns:
            A new mark, and the minutes; None where the changes since then are no longer known.
        """
        self._fold()
        new_mark = self._changes_before + len(self._changes)
        if mark < self._changes_before:
            return new_mark, None
        changes = self._changes[mark - self._changes_before :]
        if len(self._changes) > 2 * self.window_minutes:
            self._changes_before += self.window_minutes
            del self._changes[: self.window_minutes]
        return new_mark, changes

    def last_price_e8(self) -> int | None:
        """The price of the newest trade by agg id, the open minute's included; None where the window has no trade."""
        self._fold()
        return None if self._last_trade is None else self._last_trade[1]

    def digest(self) -> str:
        """The digest of the state, open minutes included."""
        self._fold()
        for minute_ns in sorted(self._unhashed):
            self._digests[minute_ns] = _digest_of(minute_ns, self._minutes[minute_ns])
        self._unhashed.clear()
        level = ONE_E8 if self._last_trade is None else level_width_e8(self._last_trade[1], self.level_e8)
        head = np.array([self.window_minutes, level, self.end_ns], "<i8").tobytes()
        last = np.array(self._last_trade or (-1, -1, -1), "<i8").tobytes()
        return digest.of_digests([head, *self._digests.values(), last]).hex()

    def _fold(self) -> None:
        """Fold pending rows, then drop minutes that have left the window."""
        for rows in self._pending.take():
            self._fold_rows(rows)
        start = self.start_ns
        if self.end_ns and self._dropped_ns < start:
            for minute_ns in list(takewhile(lambda m: m < start, self._minutes)):
                del self._minutes[minute_ns]
                self._digests.pop(minute_ns, None)
                self._unhashed.discard(minute_ns)
                self._stale_bars.discard(minute_ns)
            self._bars = self._bars[int(np.searchsorted(self._bars[:, 0], start)) :]
            self._dropped_ns = start
            if self._last_trade is not None and self._last_trade[2] < start:
                self._last_trade = max((_last_of(m, minute) for m, minute in self._minutes.items()), default=None)

    def _fold_rows(self, rows: Rows) -> None:
        times, ids, prices, quantities, sold = (rows[name] for name in COLUMNS)
        groups = group_trades(times, ids, prices, quantities, sold, self.level_e8)
        newest, in_order = next(reversed(self._minutes), 0), True
        for minute_ns, minute in _minutes_of(*groups):
            if minute_ns < self._dropped_ns:
                continue
            self._changes.append(minute_ns)
            self._unhashed.add(minute_ns)
            self._stale_bars.add(minute_ns)
            existing = self._minutes.get(minute_ns)
            in_order = in_order and (existing is not None or minute_ns >= newest)
            self._minutes[minute_ns] = minute if existing is None else existing.merge(minute)
            last = _last_of(minute_ns, minute)
            if self._last_trade is None or last > self._last_trade:
                self._last_trade = last
        if not in_order:
            self._minutes = dict(sorted(self._minutes.items()))
            self._unhashed.update(self._minutes)
            self._digests.clear()  # rare: a late trade in a minute without trades


def _digest_of(minute_ns: int, minute: Minute) -> bytes:
    stamp = np.array([minute_ns], np.int64)
    return digest.of_columns(stamp, minute.level_e8, minute.buy_e8, minute.sell_e8, minute.count, minute.bar)


def _last_of(minute_ns: int, minute: Minute) -> tuple[int, int, int]:
    return int(minute.bar[5]), int(minute.bar[3]), minute_ns


def _minutes_of(minutes: I64, buckets: I64, starts: I64, bars: I64) -> Iterator[tuple[int, Minute]]:
    """The groups of one call, one object per minute, sharing memory."""
    for i, minute_ns in enumerate(minutes.tolist()):
        part = buckets[:, starts[i] : starts[i + 1]]
        yield minute_ns, Minute(part[0], part[1], part[2], part[3], bars[i])
