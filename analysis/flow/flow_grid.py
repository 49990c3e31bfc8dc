"""
Book flow on an even grid of seconds, and which of them can be trusted.
"""

import msgspec
import numpy as np

from market.arrays import I64, Bools
from market.errors import SumOverflow
from market.fixed_point import LARGEST_E8
from market.timestamps import SECOND_NS
from projections.book.book_levels import DEPTH
from projections.flow.book_flow import FlowSeconds


class FlowGrid(msgspec.Struct, frozen=True):
    """
    The n seconds of a window, silent ones included.

    Attributes:
        start_ns: where the first second begins.
        quoted: (n,) whether the quote at the end of the second is known.
        complete: (n,) whether the book was known from the end of the second before to the end of this one.
        ofi_e8: (n, DEPTH) a level's flow. size_change_x20: (n,) as in `FlowSeconds`. Both count where `complete`.
        signed_e8: (n,) bought minus sold. volume_e8: (n,) both. trades: (n,) number of trades.
        updates: (n,) number of diffs that formed flow.
        quote_e8: (4, n) bid, its quantity, ask, its quantity at the end of the second, where `quoted`.
        first: the first second with an event, n where there is none.
    """

    start_ns: int
    quoted: Bools
    complete: Bools
    ofi_e8: I64
    size_change_x20: I64
    signed_e8: I64
    volume_e8: I64
    trades: I64
    updates: I64
    quote_e8: I64
    first: int

    @property
    def mid_x2(self) -> I64:
        """(n,) twice the mid, 1e-8 quote, where `quoted`."""
        return self.quote_e8[0] + self.quote_e8[2]

    @property
    def silent_s(self) -> int:
        """The number of seconds at the end without an update of the book; n where none had one."""
        return len(self.updates) - 1 - int(np.max(np.flatnonzero(self.updates), initial=-1))


def build_grid(seconds: FlowSeconds) -> FlowGrid:
    """
    Spread a window's seconds over an even grid.

    A quote lasts until the next one, but not across a gap in the book: nothing is known in the second of a gap, nor in
    the silence before it, which was the stream's and not the market's.

    Raises:
        SumOverflow: a sum over the window could pass 2^62.
    """
    volumes = seconds.buy_e8, seconds.sell_e8
    if not (seconds.updates.any() or seconds.unread.any()):
        _expect_to_fit(volumes)
        return _without_book(seconds)
    _expect_to_fit((seconds.ofi_e8,), (seconds.size_change_x20,), volumes)
    n = (seconds.end_ns - seconds.start_ns) // SECOND_NS
    rows = (seconds.second_ns - seconds.start_ns) // SECOND_NS
    unread, updates = _spread(n, rows, seconds.unread), _spread(n, rows, seconds.updates)
    index = np.arange(n)
    newest = np.maximum.accumulate(np.where(_spread(n, rows, seconds.last_update_id + 1) > 0, index, -1))
    last_gap = np.maximum.accumulate(np.where(unread > 0, index, -1))
    events = np.where((unread > 0) | (updates > 0), index, n)
    next_event = np.minimum.accumulate(events[::-1])[::-1]
    ends_in_gap = np.append(unread, 0)[next_event] > 0
    quoted = (newest > last_gap) & ~ends_in_gap
    before = np.concatenate(([False], quoted[:-1]))
    columns = (seconds.bid_e8, seconds.bid_quantity_e8, seconds.ask_e8, seconds.ask_quantity_e8)
    ofi = np.zeros((n, DEPTH), np.int64)
    ofi[rows] = seconds.ofi_e8
    return FlowGrid(
        start_ns=seconds.start_ns,
        quoted=quoted,
        complete=quoted & before,
        ofi_e8=ofi,
        size_change_x20=_spread(n, rows, seconds.size_change_x20),
        signed_e8=_spread(n, rows, seconds.buy_e8 - seconds.sell_e8),
        volume_e8=_spread(n, rows, seconds.buy_e8 + seconds.sell_e8),
        trades=_spread(n, rows, seconds.trades),
        updates=updates,
        quote_e8=np.array([_spread(n, rows, column)[newest] for column in columns], np.int64),
        first=int(rows[0]) if len(rows) else n,
    )


def _without_book(seconds: FlowSeconds) -> FlowGrid:
    """The grid of a window without any update of the book: trades alone."""
    n = (seconds.end_ns - seconds.start_ns) // SECOND_NS
    rows = (seconds.second_ns - seconds.start_ns) // SECOND_NS
    zero = np.int64(0)
    zeros, no_second = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    return FlowGrid(
        start_ns=seconds.start_ns,
        quoted=no_second,
        complete=no_second,
        ofi_e8=np.broadcast_to(zero, (n, DEPTH)),
        size_change_x20=zeros,
        signed_e8=_spread(n, rows, seconds.buy_e8 - seconds.sell_e8),
        volume_e8=_spread(n, rows, seconds.buy_e8 + seconds.sell_e8),
        trades=_spread(n, rows, seconds.trades),
        updates=zeros,
        quote_e8=np.broadcast_to(zero, (4, n)),
        first=int(rows[0]) if len(rows) else n,
    )


def _expect_to_fit(*groups: tuple[I64, ...]) -> None:
    """
    Check in floats, which cannot wrap; values are summed only where their number times the largest might pass the
    limit.
    """
    for columns in groups:
        bound = sum(c.size * max(int(c.max(initial=0)), -int(c.min(initial=0))) for c in columns)
        if bound > LARGEST_E8 and sum(float(np.abs(c.astype(np.float64)).sum()) for c in columns) > LARGEST_E8:
            raise SumOverflow("a window's flow")


def _spread(n: int, rows: I64, values: I64) -> I64:
    spread = np.zeros(n, np.int64)
    spread[rows] = values
    return spread
