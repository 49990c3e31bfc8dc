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
_MAX_TRADES = 1 << 18


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
        self._rows = np.empty((0, WIDTH), np.int64)
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
        rows = self._rows[: int(np.searchsorted(self._rows[:, 0], self.end_ns))]
        ofi, rest = rows[:, 1 : 1 + DEPTH], rows[:, 1 + DEPTH :].T
        return FlowSeconds(self.start_ns, self.end_ns, rows[:, 0], ofi, *rest)

    def digest(self) -> str:
        """The digest of the state, pending seconds included."""
        self._fold()
        first = -(-self.start_ns // MINUTE_NS) * MINUTE_NS  # a minute that the window cuts is hashed every time
        for minute_ns in list(takewhile(lambda m: m < first, self._digests)):
            del self._digests[minute_ns]
        seconds = self._rows[:, 0]
        opening_stop, hashed_stop = np.searchsorted(seconds, (first, max(first, self._hashed_ns))).tolist()
        minutes = seconds[hashed_stop:] // MINUTE_NS
        starts = [hashed_stop, *(np.flatnonzero(np.diff(minutes)) + hashed_stop + 1).tolist(), len(seconds)]
        for start, stop in pairwise(starts if len(minutes) else ()):
            minute_ns = int(minutes[start - hashed_stop]) * MINUTE_NS
            self._digests[minute_ns] = digest.of_columns(self._rows[start:stop].ravel())
            self._hashed_ns = minute_ns + MINUTE_NS
        head = np.array([self.window_seconds, self.end_ns], "<i8").tobytes()
        opening = digest.of_columns(self._rows[:opening_stop].ravel())
        return digest.of_digests([head, opening, *self._digests.values()]).hex()

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
            old_rows, changed_rows = np.split(self._rows, [int(np.searchsorted(self._rows[:, 0], first))])
            self._pending, self._pending_count = [], 0
            self._rows = np.empty((0, WIDTH), np.int64)
            rows = np.concatenate((changed_rows, new_rows))
            merged_rows = merge_rows(rows[np.lexsort((rows[:, UPDATE_ID], rows[:, 0]))])
            if merged_rows is None:
                raise SumOverflow("a second's book flow")
            self._rows = np.concatenate((old_rows[_count_before(old_rows, oldest) :], merged_rows))
        drop_count = _count_before(self._rows, oldest)
        if drop_count:
            self._rows = self._rows[drop_count:].copy()


def _count_before(rows: I64, oldest_ns: int) -> int:
    return int(np.searchsorted(rows[:, 0], oldest_ns))
