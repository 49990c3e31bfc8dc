"""
Book flow: order flow imbalance, traded volume and the last quote of every second.

Diffs count in the second of their event time, trades in that of their trade time; seconds [end − window, end) are
returned, later ones wait, and only a tick moves the end. Sums are exact integers, so the order within a second does not
matter, and trades wait until a figure is read. No flow is formed across a gap in the book. The digest is one of digests
by minute: a minute is hashed again only where its rows changed. The hot loops are in `flow_rows`.
"""

from collections.abc import Sequence
from itertools import pairwise, takewhile

import msgspec
import numpy as np

from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch
from market.arrays import I64
from market.errors import SumOverflow
from market.timestamps import MINUTE_NS, SECOND_NS
from projections import digest
from projections.book.book_levels import DEPTH, read_only
from projections.book.order_book import Steps
from projections.flow.flow_rows import UPDATE_ID, WIDTH, merge_rows, sum_steps, sum_trades
from projections.pending_rows import PendingRows

COLUMNS = ("trade_time_ns", "quantity_e8", "buyer_is_maker")
"""The columns of a trade that this fold reads."""

_MAX_PENDING = 1 << 13  # bounds the memory of pending rows, and of pending trades
_MAX_TRADES = 1 << 18  # the same for trades


class FlowSeconds(msgspec.Struct, frozen=True):
    """
    The k seconds of a window with an event in them, oldest first; quantities are 1e-8 base.

    Attributes:
        start_ns, end_ns: the window.
        second_ns: (k,) where each second begins.
        ofi_e8: (k, DEPTH) order flow imbalance of each populated level, best first.
        size_change_x20: (k,) sizes differenced by level index, weighted 8, 5, 4, 2, 1 and not yet divided by 20.
        buy_e8, sell_e8: (k,) traded by aggressors. trades: (k,) number of trades.
        updates: (k,) number of diffs applied between two good quotes; only these form flow.
        unread: (k,) number of diffs that could not be used: no book, a gap, a crossed or one-sided book, a snapshot
            that contains part of them, a quantity above 2^56.
        resets: (k,) of those, the ones with a gap before them.
        last_update_id: (k,) the newest update that left a good quote, −1 where there was none.
        bid_e8, bid_quantity_e8, ask_e8, ask_quantity_e8: (k,) that quote, 0 without one.
    """

    start_ns: int
    end_ns: int
    second_ns: I64
    ofi_e8: I64
    size_change_x20: I64
    buy_e8: I64
    sell_e8: I64
    trades: I64
    updates: I64
    unread: I64
    resets: I64
    last_update_id: I64
    bid_e8: I64
    bid_quantity_e8: I64
    ask_e8: I64
    ask_quantity_e8: I64


class BookFlow:
    """
    The fold of book flow.

    Args:
        window_seconds: number of seconds that are returned, ending with the boundary of the last tick.
    """

    def __init__(self, window_seconds: int = 3600) -> None:
        self.window_seconds = window_seconds
        self.end_ns = 0
        self._columns = np.empty((WIDTH, 0), np.int64)  # the rows of `flow_rows`, column by column
        self._pending: list[I64] = []
        self._pending_count = 0
        self._trades = PendingRows()
        self._digests: dict[int, bytes] = {}  # oldest first
        self._hashed_ns = 0  # rows before this are in the digests

    def apply(self, batch: Batch, steps: Sequence[Steps]) -> None:
        """Apply a batch's trades, and the effect of its diffs on the book."""
        for step in steps:
            self._add(sum_steps(step.recv_ns, step.event_time_ns, step.last_update_id, step.outcome, step.tops))
        rows = batch.rows.get(AGG_TRADE)
        if rows is not None:
            self._trades.add(rows)
        if self._pending_count > _MAX_PENDING or len(self._trades) > _MAX_TRADES:
            self._fold()

    def close(self, boundary_ns: int) -> None:
        """Close the window at a tick: it now ends at its boundary."""
        self.end_ns = max(self.end_ns, boundary_ns - boundary_ns % SECOND_NS)

    @property
    def start_ns(self) -> int:
        """The first second of the window."""
        return self.end_ns - self.window_seconds * SECOND_NS

    def seconds(self) -> FlowSeconds:
        """The closed seconds of the window."""
        self._fold()
        columns = self._columns[:, : int(np.searchsorted(self._columns[0], self.end_ns))]
        ofi, rest = columns[1 : 1 + DEPTH].T, columns[1 + DEPTH :]
        return FlowSeconds(self.start_ns, self.end_ns, columns[0], ofi, *rest)

    def digest(self) -> str:
        """The digest of the state, pending seconds included."""
        self._fold()
        first = -(-self.start_ns // MINUTE_NS) * MINUTE_NS  # a minute that the window cuts is hashed every time
        for minute_ns in list(takewhile(lambda m: m < first, self._digests)):
            del self._digests[minute_ns]
        seconds = self._columns[0]
        opening_stop, hashed_stop = np.searchsorted(seconds, (first, max(first, self._hashed_ns))).tolist()
        minutes = seconds[hashed_stop:] // MINUTE_NS
        starts = [hashed_stop, *(np.flatnonzero(np.diff(minutes)) + hashed_stop + 1).tolist(), len(seconds)]
        for start, stop in pairwise(starts if len(minutes) else ()):
            minute_ns = int(minutes[start - hashed_stop]) * MINUTE_NS
            self._digests[minute_ns] = self._digest_of(start, stop)
            self._hashed_ns = minute_ns + MINUTE_NS
        head = np.array([self.window_seconds, self.end_ns], "<i8").tobytes()
        opening = self._digest_of(0, opening_stop)
        return digest.of_digests([head, opening, *self._digests.values()]).hex()

    def _digest_of(self, start: int, stop: int) -> bytes:
        return digest.of_columns(self._columns[:, start:stop].T.ravel())

    def _unhash(self, from_ns: int) -> None:
        """Drop the digests of rows from here on."""
        for minute_ns in list(takewhile(lambda m: m >= from_ns, reversed(self._digests))):
            del self._digests[minute_ns]
        self._hashed_ns = min(self._hashed_ns, from_ns)

    def _add(self, rows: I64 | None) -> None:
        if rows is None:
            raise SumOverflow("a second's book flow")
        if len(rows):
            self._pending.append(rows)
            self._pending_count += len(rows)

    def _fold(self) -> None:
        """Fold pending rows, then drop rows that have left the window."""
        oldest = self.start_ns if self.end_ns else 0
        for trades in self._trades.take():
            times, quantities, sold = (read_only(trades[name]) for name in COLUMNS)
            self._add(sum_trades(times, quantities, sold, oldest))
        if self._pending:
            new_rows = np.concatenate(self._pending)
            first = int(new_rows[:, 0].min())
            self._unhash(first - first % MINUTE_NS)
            old, changed = np.split(self._columns, [int(np.searchsorted(self._columns[0], first))], axis=1)
            self._pending, self._pending_count = [], 0
            self._columns = np.empty((WIDTH, 0), np.int64)
            rows = np.concatenate((changed.T, new_rows))
            merged_rows = merge_rows(rows[np.lexsort((rows[:, UPDATE_ID], rows[:, 0]))])
            if merged_rows is None:
                raise SumOverflow("a second's book flow")
            self._columns = np.concatenate((old[:, _count_before(old, oldest) :], merged_rows.T), axis=1)
        drop_count = _count_before(self._columns, oldest)
        if drop_count:
            self._columns = self._columns[:, drop_count:].copy()


def _count_before(columns: I64, oldest_ns: int) -> int:
    return int(np.searchsorted(columns[0], oldest_ns))
