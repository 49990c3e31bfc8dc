"""
Trades as columns in agg_id order, with the extremes of every block of them, so that a search can skip.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from market.arrays import I64
from market.compiled import compiled

BLOCK = 256
"""Number of trades that share one pair of extremes."""


class Trades(msgspec.Struct, frozen=True):
    """
    n trades, agg ids rising; arrays are views and must not be written.

    Attributes:
        sign: +1 where the buyer was the aggressor, −1 where the seller was.
        block_high_e8, block_low_e8: of the trades −block_offset + BLOCK·b and the BLOCK − 1 after it; they may be
            wider than the trades seen here.
        ordered: whether times never fall from one trade to the next.
    """

    time_ns: I64
    agg_id: I64
    price_e8: I64
    quantity_e8: I64
    sign: I64
    block_high_e8: I64
    block_low_e8: I64
    block_offset: int
    ordered: bool

    @classmethod
    def from_columns(cls, time_ns: I64, agg_id: I64, price_e8: I64, quantity_e8: I64, sign: I64) -> "Trades":
        """
        Build from columns that are in agg_id order already.

        Args:
            time_ns, agg_id: (n,) the venue's time, and rising ids.
            price_e8, quantity_e8: (n,) 1e-8 quote and counts of quantity.
            sign: (n,) +1 where the buyer was the aggressor, −1 where the seller was.
        """
        blocks = np.empty((2, -(-len(price_e8) // BLOCK)), np.int64)
        extend_blocks(price_e8, blocks, 0, len(price_e8))
        ordered = last_fall(time_ns, 1, len(time_ns)) == 0
        return cls(time_ns, agg_id, price_e8, quantity_e8, sign, blocks[0], blocks[1], 0, ordered)

    @classmethod
    def empty(cls) -> "Trades":
        """No trades."""
        empty = np.empty(0, np.int64)
        return cls(empty, empty, empty, empty, empty, empty, empty, 0, True)

    def __len__(self) -> int:
        return len(self.time_ns)

    def between(self, start_ns: int, stop_ns: int) -> "Trades":
        """The trades of a span of time, its start included; none where it is empty."""
        if not self.ordered:
            inside = (self.time_ns >= start_ns) & (self.time_ns < stop_ns)
            return self if inside.all() else self._where(inside)
        start, stop = np.searchsorted(self.time_ns, (start_ns, stop_ns)).tolist()
        return self.part(start, max(start, stop))

    def part(self, start: int, stop: int) -> "Trades":
        """The trades from one index up to another."""
        first = (self.block_offset + start) // BLOCK
        last = -(-(self.block_offset + stop) // BLOCK)
        return Trades(
            self.time_ns[start:stop],
            self.agg_id[start:stop],
            self.price_e8[start:stop],
            self.quantity_e8[start:stop],
            self.sign[start:stop],
            self.block_high_e8[first:last],
            self.block_low_e8[first:last],
            self.block_offset + start - first * BLOCK,
            self.ordered,
        )

    def _where(self, mask: npt.NDArray[np.bool_]) -> "Trades":
        return Trades.from_columns(
            self.time_ns[mask], self.agg_id[mask], self.price_e8[mask], self.quantity_e8[mask], self.sign[mask]
        )


@compiled
def extend_blocks(prices, blocks, first, size):  # type: ignore[no-untyped-def]
    """
    Write the high and low of every block that contains one of the rows from `first` up to `size`.

    Args:
        prices: at least `size` prices.
        blocks: (2, b) highs and lows of blocks; changed.
        first: the first row that is new.
        size: number of rows.
    """
    for block in range(first // BLOCK, -(-size // BLOCK)):
        start = max(first, block * BLOCK)
        high, low = prices[start], prices[start]
        if start > block * BLOCK:
            high, low = blocks[0, block], blocks[1, block]
        for i in range(start, min((block + 1) * BLOCK, size)):
            high = max(high, prices[i])
            low = min(low, prices[i])
        blocks[0, block], blocks[1, block] = high, low


@compiled
def last_fall(times, first, stop):  # type: ignore[no-untyped-def]
    """
    The last row in first..stop−1 whose time lies before that of the row above it; 0 for none.

    Args:
        times: at least `stop` times, ns.
        first, stop: the rows that are compared with the ones above them, stop exclusive.
    """
    for i in range(stop - 1, max(first, 1) - 1, -1):
        if times[i] < times[i - 1]:
            return i
    return 0


@compiled
def first_outside(prices, block_high, block_low, offset, start, stop, below, above):  # type: ignore[no-untyped-def]
    """
    The first trade in start..stop−1 at or below one price or at or above another; stop where there is none.

    Args:
        prices: n prices, 1e-8 quote.
        block_high, block_low: extremes of blocks, see `Trades`.
        offset: place of the first trade in its block.
        start, stop: indices of trades, stop exclusive.
        below, above: the prices, 1e-8 quote.
    """
    i = start
    while i < stop:
        block = (i + offset) // BLOCK
        end = min((block + 1) * BLOCK - offset, stop)
        if block_low[block] <= below or block_high[block] >= above:
            while i < end:
                if prices[i] <= below or prices[i] >= above:
                    return i
                i += 1
        i = end
    return stop
