"""
Recent trades: every trade of the last minutes as columns in agg_id order.

Only a tick moves the window; trades of the open minute wait. Late trades are inserted by agg_id, and batches of any
size give the same state. Rows are folded on first read. One buffer grows at its end while a pointer moves its start,
and is never written below its end: views that were returned stay as they were.
"""

import numpy as np

from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch, Rows
from market.arrays import I64
from market.timestamps import MINUTE_NS
from projections import digest
from projections.pending_rows import PendingRows
from projections.trades.trade_columns import BLOCK, Trades, extend_blocks, last_fall

COLUMNS = ("trade_time_ns", "agg_id", "price_e8", "quantity_e8", "buyer_is_maker")
"""The columns of a trade that this fold reads."""

_MAX_PENDING = 1 << 18  # bounds the memory of pending trades
_MIN_CAPACITY = 4 * BLOCK  # of the buffer before the first trade


class RecentTrades:
    """
    The fold of recent trades.

    Args:
        trade_minutes: number of closed minutes that are kept, ending with the minute of the last tick.
    """

    def __init__(self, trade_minutes: int = 240) -> None:
        self.trade_minutes = trade_minutes
        self.end_ns = 0
        self._columns = np.empty((5, _MIN_CAPACITY), np.int64)  # time, agg id, price, quantity, sign
        self._blocks = np.empty((2, _MIN_CAPACITY // BLOCK + 1), np.int64)  # high, low
        self._start = 0
        self._size = 0
        self._rising_from = 0  # from this row on times never fall
        self._dropped_ns = 0  # every trade before this time has been dropped
        self._pending = PendingRows()
        self._view: Trades | None = None
        self._digests: dict[int, bytes] = {}  # oldest first
        self._unhashed: set[int] = set()

    def apply(self, batch: Batch) -> None:
        """Apply a batch's trades."""
        rows = batch.rows.get(AGG_TRADE)
        if rows is not None:
            self._pending.add(rows)
            if len(self._pending) > _MAX_PENDING:
                self._fold()

    def close(self, boundary_ns: int) -> None:
        """Close the window at a tick: it now ends at its boundary."""
        end_ns = max(self.end_ns, boundary_ns - boundary_ns % MINUTE_NS)
        if end_ns != self.end_ns:
            self.end_ns = end_ns
            self._view = None

    @property
    def start_ns(self) -> int:
        """The first minute of the window."""
        return self.end_ns - self.trade_minutes * MINUTE_NS

    def columns(self) -> Trades:
        """The trades of the window's closed minutes, in agg_id order."""
        self._fold()
        if self._view is None:
            blocks = self._start // BLOCK
            window_columns = self._columns[:, self._start : self._size]
            ordered = self._rising_from <= self._start
            high, low = self._blocks[:, blocks : -(-self._size // BLOCK)]
            all_trades = Trades(
                window_columns[0],
                window_columns[1],
                window_columns[2],
                window_columns[3],
                window_columns[4],
                high,
                low,
                self._start - blocks * BLOCK,
                ordered,
            )
            self._view = all_trades.between(self.start_ns, self.end_ns)
        return self._view

    def between(self, start_ns: int, stop_ns: int) -> Trades:
        """The window's trades of a span of time, its start included, in agg_id order."""
        return self.columns().between(start_ns, stop_ns)

    def digest(self) -> str:
        """The digest of the state."""
        trades = self.columns()
        start = self.start_ns
        while self._digests and (oldest := next(iter(self._digests))) < start:
            del self._digests[oldest]
        in_order = True
        for minute_ns in sorted(m for m in self._unhashed if m < self.end_ns):
            self._unhashed.remove(minute_ns)
            if minute_ns >= start:
                in_order = in_order and (minute_ns in self._digests or minute_ns >= next(reversed(self._digests), 0))
                part = trades.between(minute_ns, minute_ns + MINUTE_NS)
                self._digests[minute_ns] = digest.of_columns(
                    part.time_ns, part.agg_id, part.price_e8, part.quantity_e8, part.sign
                )
        if not in_order:
            self._digests = dict(sorted(self._digests.items()))
        head = np.array([self.trade_minutes, self.end_ns], "<i8").tobytes()
        return digest.of_digests([head, *self._digests.values()]).hex()

    def _fold(self) -> None:
        """Fold pending rows, then drop trades that have left the window."""
        for rows in self._pending.take():
            self._fold_rows(rows)
        if self.end_ns and self._dropped_ns < self.start_ns:
            self._drop_before(self.start_ns)

    def _fold_rows(self, rows: Rows) -> None:
        inside = rows["trade_time_ns"] >= max(self._dropped_ns, self.start_ns)  # the rest would be dropped at once
        if not inside.any():
            return
        first = int(np.argmax(inside))
        selection = slice(first, None) if inside[first:].all() else inside
        times, ids, prices, quantities, sold = (rows[name][selection] for name in COLUMNS)
        new_columns = times, ids, prices, quantities, np.where(sold, -1, 1)
        self._view = None
        minutes = times // MINUTE_NS * MINUTE_NS
        self._unhashed.update((int(minutes[0]), *minutes[1:][minutes[1:] != minutes[:-1]].tolist()))
        follows = self._size == self._start or int(ids[0]) > int(self._columns[1, self._size - 1])
        if follows and bool((ids[1:] > ids[:-1]).all()):
            self._append(new_columns)
        else:
            all_columns = np.concatenate((self._columns[:, self._start : self._size], np.stack(new_columns)), axis=1)
            self._replace(all_columns[:, np.argsort(all_columns[1], kind="stable")])

    def _append(self, new_columns: tuple[I64, ...]) -> None:
        count = len(new_columns[0])
        if self._size + count > self._columns.shape[1]:
            self._replace(self._columns[:, self._start : self._size], extra_rows=count)
        first = self._size
        self._size += count
        for buffer, column in zip(self._columns, new_columns, strict=True):
            buffer[first : self._size] = column
        self._index_from(first)

    def _replace(self, columns: I64, extra_rows: int = 0) -> None:
        """Copy columns into a new buffer of twice the size that is needed now."""
        self._size = columns.shape[1]
        capacity = max(_MIN_CAPACITY, 2 * (self._size + extra_rows))
        self._columns = np.empty((5, capacity), np.int64)
        self._columns[:, : self._size] = columns
        self._blocks = np.empty((2, capacity // BLOCK + 1), np.int64)
        self._start = self._rising_from = 0
        self._index_from(0)

    def _index_from(self, first: int) -> None:
        extend_blocks(self._columns[2], self._blocks, first, self._size)
        self._rising_from = max(self._rising_from, last_fall(self._columns[0], max(first, self._start + 1), self._size))

    def _drop_before(self, start_ns: int) -> None:
        self._dropped_ns = start_ns
        times = self._columns[0, self._start : self._size]
        if self._rising_from <= self._start:
            self._start += int(np.searchsorted(times, start_ns))
            self._view = None
        elif len(times) and int(times.min()) < start_ns:
            self._view = None
            self._replace(self._columns[:, self._start : self._size][:, times >= start_ns])
        self._unhashed = {m for m in self._unhashed if m >= start_ns}
