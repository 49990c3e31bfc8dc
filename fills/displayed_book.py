"""
The displayed book as an order meets it: the size of each level over time, and where it is known.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from fills.level_rows import LevelRows
from market.arrays import I64, Bools
from market.compiled import compiled
from projections.book.book_levels import Sides

NO_BID, NO_ASK = 0, 2**63 - 1
"""The best prices of a side without a level: no order is marketable against it."""


class DisplayedBook(msgspec.Struct, frozen=True):
    """
    Sizes of levels, by side, price and time.

    Attributes:
        bid_price_e8, ask_price_e8: the levels that are ever named, rising, 1e-8 quote.
        offsets: where the rows of each level begin, bids first, then asks; one more than there are levels.
        at_ns, size_e8: the rows: from when on a level shows which size, counts; by time within a level.
        from_ns, until_ns: m spans, rising and apart, in which the book is known: each from its start up to, without,
            its end.
        low_e8, high_e8: the prices known in each span: a level between them that is not named is empty.
        quote_ns, quote_bid_e8, quote_ask_e8: best prices after each change; empty where they are not known.
        sampled: whether the book is of snapshots: changes between two of them are seen late.
    """

    bid_price_e8: I64
    ask_price_e8: I64
    offsets: I64
    at_ns: I64
    size_e8: I64
    from_ns: I64
    until_ns: I64
    low_e8: I64
    high_e8: I64
    quote_ns: I64
    quote_bid_e8: I64
    quote_ask_e8: I64
    sampled: bool

    @classmethod
    def empty(cls) -> "DisplayedBook":
        """No book: nothing is known of any queue."""
        none = np.empty(0, np.int64)
        spans = none, none, none, none
        return cls(none, none, np.zeros(1, np.int64), none, none, *spans, none, none, none, False)

    @classmethod
    def from_changes(
        cls, at_ns: I64, is_bid: Bools, price_e8: I64, size_e8: I64, spans: tuple[I64, I64, I64, I64]
    ) -> "DisplayedBook":
        """
        Build from a snapshot's levels and the changes that followed, every one of them.

        Args:
            at_ns: n times at the exchange, in the order of the changes; where they fall back, the latest so far counts.
            is_bid, price_e8, size_e8: the level and the size it then shows, 0 for none.
            spans: start, end, lowest and highest price of each span in which the book is known.
        """
        times = np.maximum.accumulate(at_ns) if len(at_ns) else at_ns
        prices = np.unique(price_e8)
        rank = np.searchsorted(prices, price_e8)
        quote_ns, bid_e8, ask_e8 = _quotes(times, is_bid, rank, size_e8, prices)
        return cls(*_levels(times, is_bid, price_e8, size_e8), *spans, quote_ns, bid_e8, ask_e8, False)

    @classmethod
    def from_snapshots(cls, at_ns: I64, books: Sequence[Sides], stale_ns: int) -> "DisplayedBook":
        """
        Build from snapshots alone, e.g. one a minute: a level changes when the next snapshot shows it changed.

        Args:
            at_ns: when each snapshot was true, rising.
            books: a snapshot each; what lies outside its own levels is unknown.
            stale_ns: how long a snapshot stands for the book where none follows.
        """
        named = [np.concatenate((book.bid_price_e8, book.ask_price_e8)) for book in books]
        rows = LevelRows(np.unique(np.concatenate(named or [np.empty(0, np.int64)])))
        low = np.array([p.min() if len(p) else NO_ASK for p in named], np.int64)
        high = np.array([p.max() if len(p) else NO_BID for p in named], np.int64)
        for n, book in enumerate(books):
            rows.add_snapshot(int(at_ns[n]), (book[:2], book[2:]), (int(low[n]), int(high[n])))
        until = np.minimum(at_ns + stale_ns, np.append(at_ns[1:], 2**62)) if len(at_ns) else at_ns
        return cls.from_level_rows(rows, (at_ns, until, low, high), sampled=True)

    @classmethod
    def from_level_rows(cls, rows: LevelRows, spans: tuple[I64, I64, I64, I64], *, sampled: bool) -> "DisplayedBook":
        """
        Build from the rows of some levels; best prices are not known then.

        Args:
            rows: of the levels that matter; within the spans they say every size.
            spans: start, end, lowest and highest price of each span in which the book is known.
            sampled: whether they are of snapshots alone.
        """
        at_ns, is_bid, price_e8, size_e8 = rows.rows()
        none = np.empty(0, np.int64)
        levels = _levels(at_ns, is_bid.astype(np.bool_), price_e8, size_e8)
        return cls(*levels, *spans, none, none, none, sampled)

    def levels_of(self, is_buy: Bools, price_e8: I64) -> I64:
        """The level each order would join, as an index into `offsets`; −1 where it is never named."""
        level = np.full(len(price_e8), -1, np.int64)
        for side, prices, base in (
            (is_buy, self.bid_price_e8, 0),
            (~is_buy, self.ask_price_e8, len(self.bid_price_e8)),
        ):
            if len(prices):
                place = np.minimum(np.searchsorted(prices, price_e8), len(prices) - 1)
                level = np.where(side & (prices[place] == price_e8), base + place, level)
        return level

    def knows(self, price_e8: I64, times_ns: I64) -> Bools:
        """Whether the size at each of n prices is known at each of n moments; rows before then tell it."""
        if not len(self.from_ns):
            return np.zeros(len(price_e8), np.bool_)
        span = np.searchsorted(self.from_ns, times_ns, side="right") - 1
        place = np.maximum(span, 0)
        is_known = (span >= 0) & (times_ns < self.until_ns[place])
        return is_known & (self.low_e8[place] <= price_e8) & (price_e8 <= self.high_e8[place])


def _levels(times: I64, is_bid: Bools, prices: I64, sizes: I64) -> tuple[I64, I64, I64, I64, I64]:
    order = np.lexsort((np.arange(len(times)), prices, ~is_bid))
    bids, asks = np.unique(prices[is_bid]), np.unique(prices[~is_bid])
    side, price = is_bid[order], prices[order]
    starts = np.flatnonzero(np.append(True, (np.diff(price) != 0) | (side[1:] != side[:-1]))) if len(order) else order
    offsets = np.append(starts, len(order)).astype(np.int64)
    return bids, asks, offsets, times[order], sizes[order]


@compiled
def _quotes(times, is_bid, rank, sizes, prices):  # type: ignore[no-untyped-def]
    """Best bid and ask after the last change of each moment, where one of them changed."""
    n, width = len(times), len(prices)
    near = np.zeros((2, width), np.bool_)
    best = np.array([-1, width], np.int64)
    at_ns, bid, ask = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    count = 0
    for i in range(n):
        side = 0 if is_bid[i] else 1
        near[side, rank[i]] = sizes[i] > 0
        if sizes[i] > 0:
            best[side] = max(best[0], rank[i]) if side == 0 else min(best[1], rank[i])
        elif rank[i] == best[side]:
            step = -1 if side == 0 else 1
            while 0 <= best[side] < width and not near[side, best[side]]:
                best[side] += step
        if i + 1 < n and times[i + 1] == times[i]:
            continue
        best_bid = prices[best[0]] if best[0] >= 0 else NO_BID
        best_ask = prices[best[1]] if best[1] < width else NO_ASK
        if count == 0 or bid[count - 1] != best_bid or ask[count - 1] != best_ask:
            at_ns[count], bid[count], ask[count] = times[i], best_bid, best_ask
            count += 1
    return at_ns[:count].copy(), bid[:count].copy(), ask[:count].copy()
