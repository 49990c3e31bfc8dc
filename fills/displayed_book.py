"""
The displayed book as an order meets it: the size of each level over time, and where it is known.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from market.arrays import I64, Bools
from market.compiled import compiled
from projections.book.book_levels import Sides

NO_BID, NO_ASK = 0, 2**63 - 1
"""The best prices of a side without a level: no order is marketable against it."""

UNKNOWN_NS = 2**63 - 1
"""Stands for the time since which a size is known, where it is not: later than every row."""


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
        quote_ns, quote_bid_e8, quote_ask_e8: best prices after each change; empty where the book is of snapshots.
        sampled: whether the book is of snapshots: each names every level that is not empty, and changes between two
            of them are seen late.
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
        rows = [_differences(books[n - 1] if n else None, book) for n, book in enumerate(books)]
        times = np.repeat(at_ns, [len(row[0]) for row in rows]) if rows else np.empty(0, np.int64)
        columns = [np.concatenate([row[column] for row in rows] or [np.empty(0, np.int64)]) for column in range(3)]
        until = np.minimum(at_ns + stale_ns, np.append(at_ns[1:], 2**62)) if len(at_ns) else at_ns
        prices = [np.concatenate((book.bid_price_e8, book.ask_price_e8)) for book in books]
        low = np.array([p.min() if len(p) else NO_ASK for p in prices], np.int64)
        high = np.array([p.max() if len(p) else NO_BID for p in prices], np.int64)
        none = np.empty(0, np.int64)
        return cls(
            *_levels(times, columns[0].astype(np.bool_), columns[1], columns[2]), at_ns, until, low, high,
            none, none, none, True,
        )  # fmt: skip

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

    def known_since(self, price_e8: I64, times_ns: I64) -> I64:
        """
        From when on rows tell the size at each of n prices at each of n moments.

        Returns:
            n times, ns: −1 where every row does; the snapshot's where the book is of snapshots; UNKNOWN_NS where the
            size is not known.
        """
        if not len(self.from_ns):
            return np.full(len(price_e8), UNKNOWN_NS, np.int64)
        span = np.searchsorted(self.from_ns, times_ns, side="right") - 1
        place = np.maximum(span, 0)
        is_known = (span >= 0) & (times_ns < self.until_ns[place])
        is_known &= (self.low_e8[place] <= price_e8) & (price_e8 <= self.high_e8[place])
        return np.where(is_known, self.from_ns[place] if self.sampled else np.int64(-1), UNKNOWN_NS)


def _levels(times: I64, is_bid: Bools, prices: I64, sizes: I64) -> tuple[I64, I64, I64, I64, I64]:
    order = np.lexsort((np.arange(len(times)), prices, ~is_bid))
    bids, asks = np.unique(prices[is_bid]), np.unique(prices[~is_bid])
    side, price = is_bid[order], prices[order]
    starts = np.flatnonzero(np.append(True, (np.diff(price) != 0) | (side[1:] != side[:-1]))) if len(order) else order
    offsets = np.append(starts, len(order)).astype(np.int64)
    return bids, asks, offsets, times[order], sizes[order]


def _differences(before: Sides | None, book: Sides) -> tuple[I64, I64, I64]:
    """Rows of is bid, price and size: every level of a snapshot, and those of the one before that it shows empty."""
    prices = np.concatenate((book.bid_price_e8, book.ask_price_e8))
    is_bid, price, size = [], [], []
    for side in (0, 1):
        named, sizes = book.side_levels(side)
        if before is not None and len(prices):
            gone = np.setdiff1d(before.side_levels(side)[0], named)
            gone = gone[(gone >= prices.min()) & (gone <= prices.max())]
            named, sizes = np.append(named, gone), np.append(sizes, np.zeros(len(gone), np.int64))
        is_bid.append(np.full(len(named), 1 - side, np.int64))
        price.append(named)
        size.append(sizes)
    return np.concatenate(is_bid), np.concatenate(price), np.concatenate(size)


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
