"""
Book flow on an even grid of seconds, and which of them can be trusted.
"""

from dataclasses import dataclass

import numpy as np

from market.arrays import I64, Bools
from market.errors import SumOverflow
from market.fixed_point import LARGEST_E8
from market.timestamps import SECOND_NS
from projections.book.book_levels import DEPTH
from projections.flow.book_flow import FlowSeconds


@dataclass(frozen=True, slots=True)
class FlowGrid:
    """
    The n seconds of a window, silent ones included.

    Attributes:
        start_ns: where the first second begins.
        quoted: (n,) whether the quote at the end of the second is known.
        known: (n,) whether the book was whole from the end of the second before to the end of this one.
        ofi_e8: (n, DEPTH) a level's flow. size_change_x20: (n,) as in `FlowSeconds`. Both count where `known`.
        signed_e8: (n,) bought minus sold. volume_e8: (n,) both. trades: (n,) how many.
        updates: (n,) diffs that formed flow.
        quote_e8: (4, n) bid, its quantity, ask, its quantity at the end of the second, where `quoted`.
        first: the first second in which anything happened, n where nothing did.
    """

    start_ns: int
    quoted: Bools
    known: Bools
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
        """How many seconds at the end had no update of the book; n where none had one."""
        return len(self.updates) - 1 - int(np.max(np.flatnonzero(self.updates), initial=-1))


def grid_of(seconds: FlowSeconds) -> FlowGrid:
    """
    Spread a window's seconds over its grid.

    A quote lasts until the next one, but not across a hole in the book: nothing is known in the second of a hole, nor
    in the silence before it, which was the stream's and not the market's.

    Raises:
        SumOverflow: a sum over the window could pass 2^62.
    """
    traded = seconds.buy_e8, seconds.sell_e8
    if not (seconds.updates.any() or seconds.unread.any()):
        _expect_to_fit(traded)
        return _without_book(seconds)
    _expect_to_fit((seconds.ofi_e8,), (seconds.size_change_x20,), traded)
    n = (seconds.end_ns - seconds.start_ns) // SECOND_NS
    at = (seconds.second_ns - seconds.start_ns) // SECOND_NS
    unread, updates = _spread(n, at, seconds.unread), _spread(n, at, seconds.updates)
    place = np.arange(n)
    newest = np.maximum.accumulate(np.where(_spread(n, at, seconds.last_update_id + 1) > 0, place, -1))
    hole = np.maximum.accumulate(np.where(unread > 0, place, -1))
    heard = np.where((unread > 0) | (updates > 0), place, n)
    next_heard = np.minimum.accumulate(heard[::-1])[::-1]
    ends_in_hole = np.append(unread, 0)[next_heard] > 0
    quoted = (newest > hole) & ~ends_in_hole
    before = np.concatenate(([False], quoted[:-1]))
    columns = (seconds.bid_e8, seconds.bid_quantity_e8, seconds.ask_e8, seconds.ask_quantity_e8)
    ofi = np.zeros((n, DEPTH), np.int64)
    ofi[at] = seconds.ofi_e8
    return FlowGrid(
        start_ns=seconds.start_ns,
        quoted=quoted,
        known=quoted & before,
        ofi_e8=ofi,
        size_change_x20=_spread(n, at, seconds.size_change_x20),
        signed_e8=_spread(n, at, seconds.buy_e8 - seconds.sell_e8),
        volume_e8=_spread(n, at, seconds.buy_e8 + seconds.sell_e8),
        trades=_spread(n, at, seconds.trades),
        updates=updates,
        quote_e8=np.array([_spread(n, at, column)[newest] for column in columns], np.int64),
        first=int(at[0]) if len(at) else n,
    )


def _without_book(seconds: FlowSeconds) -> FlowGrid:
    """The grid of a window in which no update came: trades alone."""
    n = (seconds.end_ns - seconds.start_ns) // SECOND_NS
    at = (seconds.second_ns - seconds.start_ns) // SECOND_NS
    nothing, never = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    return FlowGrid(
        start_ns=seconds.start_ns,
        quoted=never,
        known=never,
        ofi_e8=np.zeros((n, DEPTH), np.int64),
        size_change_x20=nothing,
        signed_e8=_spread(n, at, seconds.buy_e8 - seconds.sell_e8),
        volume_e8=_spread(n, at, seconds.buy_e8 + seconds.sell_e8),
        trades=_spread(n, at, seconds.trades),
        updates=nothing,
        quote_e8=np.zeros((4, n), np.int64),
        first=int(at[0]) if len(at) else n,
    )


def _expect_to_fit(*together: tuple[I64, ...]) -> None:
    """In floats, which cannot wrap; summed only where the largest as often as there are values might pass the limit."""
    for columns in together:
        most = sum(c.size * max(int(c.max(initial=0)), -int(c.min(initial=0))) for c in columns)
        if most > LARGEST_E8 and sum(float(np.abs(c.astype(np.float64)).sum()) for c in columns) > LARGEST_E8:
            raise SumOverflow("a window's flow")


def _spread(n: int, at: I64, values: I64) -> I64:
    spread = np.zeros(n, np.int64)
    spread[at] = values
    return spread
