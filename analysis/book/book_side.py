"""
One side of a book in bins of equal width, from the best price outwards.
"""

from typing import Literal

import msgspec
import numpy as np

from analysis.grid import count_bins
from analysis.parameters import Parameters
from market.arrays import F64, I64
from market.errors import SumOverflow
from market.fixed_point import LARGEST_E8
from projections.book.snapshot_window import Snapshot

Side = Literal["bid", "ask"]
SIDES: tuple[Side, Side] = ("bid", "ask")

_FARTHEST_BP = 1000.0  # one order at a thousand times the price must not make a billion bins
_MAX_BINS = 200_000  # bounds memory where the tick is small beside the price


class BookSide(msgspec.Struct, frozen=True):
    """
    One side of a book in n bins of equal width.

    Attributes:
        low_e8: lower price edge of bin 0, 1e-8 quote; bin i of the bids lies i widths below it, of the asks above it.
        quantity_e8: (n,) quantity of each bin, zeros included, as far as the side was seen, at most 10 % of price.
        corridor: number of bins in the corridor.
        mid_e8: the mid of the book. reach_bp: how far from the mid the side was seen, basis points.
        distance_bp: (n,) distance of each bin's middle from the mid, basis points, at least a thousandth.
    """

    side: Side
    low_e8: int
    width_e8: int
    quantity_e8: I64
    corridor: int
    mid_e8: float
    reach_bp: float
    distance_bp: F64

    def price_e8(self, index: int) -> int:
        """The lower price edge of a bin."""
        return self.low_e8 + (index if self.side == "ask" else -index) * self.width_e8

    def index(self, price_e8: int) -> int:
        """The bin that contains a price; below 0 or at least n for a price outside of what was seen."""
        offset = (price_e8 // self.width_e8 * self.width_e8 - self.low_e8) // self.width_e8
        return offset if self.side == "ask" else -offset

    def quantity_at(self, index: int) -> int:
        """The quantity of a bin, 0 outside of what was seen."""
        return int(self.quantity_e8[index]) if 0 <= index < len(self.quantity_e8) else 0

    def quantities_from(self, price_e8: int, count: int) -> I64:
        """
        The quantities of `count` bins outwards from the one that contains a price, zeros outside of what was seen.
        """
        start = self.index(price_e8)
        quantities = np.zeros(count, np.int64)
        inside = self.quantity_e8[max(0, start) : max(0, start + count)]
        quantities[max(0, -start) : max(0, -start) + len(inside)] = inside
        return quantities

    @property
    def corridor_depth_e8(self) -> int:
        """The total quantity of the corridor."""
        return int(self.quantity_e8[: self.corridor].sum())


def build_book_side(snapshot: Snapshot, side: Side, width_e8: int, parameters: Parameters) -> BookSide | None:
    """
    Sum one side of a snapshot into bins.

    Args:
        snapshot: one book.
        side: bid or ask.
        width_e8: width of a bin, 1e-8 quote.
        parameters: the corridor's width.

    Returns:
        None where either side of the snapshot is empty.

    Raises:
        SumOverflow: the side's quantities add up to more than 2^62.
    """
    mid = snapshot.mid_e8
    if mid is None:
        return None
    prices = snapshot.bid_price_e8 if side == "bid" else snapshot.ask_price_e8
    quantities = snapshot.bid_quantity_e8 if side == "bid" else snapshot.ask_quantity_e8
    index = prices // width_e8
    offset = np.abs(index - index[0])
    corridor = count_bins(mid, parameters.corridor_bp, width_e8, parameters.corridor_bins)
    max_bins = min(count_bins(mid, _FARTHEST_BP, width_e8, 2 * corridor), max(_MAX_BINS, 2 * corridor))
    totals = np.zeros(min(int(offset[-1]) + 1, max_bins), np.int64)
    in_range = offset < len(totals)
    if float(quantities.astype(np.float64).sum()) > LARGEST_E8:
        raise SumOverflow("a side of the book")
    np.add.at(totals, offset[in_range], quantities[in_range])
    reach_bp = round(abs(float(prices[-1]) - mid) / mid * 1e4, 2)
    low = int(index[0]) * width_e8
    middle = low + width_e8 / 2 + np.arange(len(totals)) * float(width_e8 if side == "ask" else -width_e8)
    distance = np.maximum(np.abs(middle - mid) / mid * 1e4, 1e-3)
    return BookSide(side, low, width_e8, totals, min(corridor, len(totals)), mid, reach_bp, distance)


def find_heaviest_price(snapshot: Snapshot, side: Side, low_e8: int, high_e8: int) -> tuple[int, float] | None:
    """
    Find the price of an interval with the largest quantity.

    Args:
        snapshot: one book.
        side: bid or ask.
        low_e8, high_e8: the interval, 1e-8 quote, the upper edge exclusive.

    Returns:
        The price, 1e-8 quote, and its part of the interval's quantity to 4 decimals; None where the interval is empty.
    """
    prices = snapshot.bid_price_e8 if side == "bid" else snapshot.ask_price_e8
    quantities = snapshot.bid_quantity_e8 if side == "bid" else snapshot.ask_quantity_e8
    inside = (prices >= low_e8) & (prices < high_e8)
    inside_quantity = quantities[inside]
    if len(inside_quantity) == 0:
        return None
    top = int(np.argmax(inside_quantity))
    return int(prices[inside][top]), round(float(inside_quantity[top] / inside_quantity.sum()), 4)
