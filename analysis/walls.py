"""
Walls: single bins of the book that hold far more than their neighbourhood (ANALYSIS §2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.grid import bins_for
from analysis.parameters import Parameters
from market.fixed_point import I64
from projections.snapshot_window import Snapshot

Side = Literal["bid", "ask"]


@dataclass(frozen=True, slots=True)
class BookSide:
    """
    One side of a book in bins of one width, from the mid outwards.

    Attributes:
        low_e8: lower price edge of bin 0; bin i of the bids lies i widths below it, of the asks above it.
        quantity_e8: what each bin holds, zeros included, as far as the side was seen and a corridor with its last bin's
            neighbourhood goes.
        corridor: how many bins count as the corridor.
        reach_bp: how far from the mid the side was seen.
    """

    side: Side
    low_e8: int
    width_e8: int
    quantity_e8: I64
    corridor: int
    reach_bp: float

    def price_e8(self, index: int) -> int:
        """The lower price edge of a bin."""
        return self.low_e8 + (index if self.side == "ask" else -index) * self.width_e8

    @property
    def corridor_depth_e8(self) -> int:
        """What the corridor holds."""
        return int(self.quantity_e8[: self.corridor].sum())


@dataclass(frozen=True, slots=True)
class WallBin:
    """
    A bin that stands out in one snapshot.

    Attributes:
        contrast: its quantity over the 80th percentile of its neighbourhood, None where that is zero.
    """

    price_e8: int
    quantity_e8: int
    share: float
    contrast: float | None


@dataclass(frozen=True, slots=True)
class Wall:
    """
    A wall: it stands out now and did in most of the last snapshots.

    Attributes:
        heavy_price_e8, heavy_share: the price in the bin that holds most, and how much of the bin it holds.
        seen: in how many of the last snapshots. age_min: since how many minutes without a break.
        censored: it already stood in the oldest snapshot, so it is at least that old.
    """

    bin: WallBin
    heavy_price_e8: int
    heavy_share: float
    seen: int
    age_min: int
    censored: bool
    major: bool


def book_side(snapshot: Snapshot, side: Side, width_e8: int, parameters: Parameters) -> BookSide | None:
    """One side of a snapshot in bins; None where either side is empty."""
    mid = snapshot.mid_e8
    if mid is None:
        return None
    prices = snapshot.bid_price_e8 if side == "bid" else snapshot.ask_price_e8
    quantities = snapshot.bid_quantity_e8 if side == "bid" else snapshot.ask_quantity_e8
    index = prices // width_e8
    away = np.abs(index - index[0])
    corridor = bins_for(mid, parameters.corridor_bp, width_e8, parameters.corridor_bins)
    around = bins_for(mid, parameters.neighbourhood_bp, width_e8, parameters.neighbourhood_bins)
    # no further than that: one order at a thousand times the price must not make a billion bins
    totals = np.zeros(min(int(away[-1]) + 1, corridor + around), np.int64)
    kept = away < len(totals)
    np.add.at(totals, away[kept], quantities[kept])
    corridor = min(corridor, len(totals))
    reach_bp = round(abs(float(prices[-1]) - mid) / mid * 1e4, 2)
    return BookSide(side, int(index[0]) * width_e8, width_e8, totals, corridor, reach_bp)


def wall_bins(book: BookSide, mid_e8: float, parameters: Parameters) -> list[WallBin]:
    """The bins of one side that stand out in one snapshot, nearest first."""
    depth = book.corridor_depth_e8
    if depth == 0:
        return []
    least = max(parameters.wall_share * depth, parameters.min_wall_e8)
    reach = bins_for(mid_e8, parameters.neighbourhood_bp, book.width_e8, parameters.neighbourhood_bins)
    found = []
    for i in np.flatnonzero(book.quantity_e8[: book.corridor] >= least).tolist():
        around = np.delete(book.quantity_e8[max(0, i - reach) : i + reach + 1], min(i, reach))
        usual = float(np.percentile(around, parameters.wall_percentile)) if len(around) else 0.0
        quantity = int(book.quantity_e8[i])
        if quantity >= parameters.wall_contrast * usual:
            contrast = round(quantity / usual, 2) if usual > 0 else None
            found.append(WallBin(book.price_e8(i), quantity, round(quantity / depth, 4), contrast))
    return found


class WallFinder:
    """
    Finds walls over a window of snapshots; what was seen in a snapshot is remembered while it is in the window.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._seen: dict[tuple[int, Side, int], dict[int, WallBin]] = {}

    def walls(self, snapshots: Sequence[Snapshot], side: Side, width_e8: int) -> list[Wall]:
        """
        The walls of a side at the last snapshot, heaviest share first.

        Args:
            snapshots: the window, oldest first; none gives no walls.
        """
        if not snapshots:
            return []
        bins = [self._bins(s, side, width_e8) for s in snapshots]
        self._forget(snapshots)
        found = []
        for price, wall_bin in bins[-1].items():
            seen = sum(price in b for b in bins[-self._parameters.wall_of_last :])
            if seen < self._parameters.wall_seen:
                continue
            standing = next((i for i, b in enumerate(reversed(bins)) if price not in b), len(bins))
            since = snapshots[-standing]
            age = (snapshots[-1].minute_ns - since.minute_ns) // 60_000_000_000
            heavy_price, heavy_share = _heaviest(snapshots[-1], side, price, width_e8)
            major = wall_bin.share >= self._parameters.major_share
            found.append(Wall(wall_bin, heavy_price, heavy_share, seen, age, standing == len(bins), major))
        return sorted(found, key=lambda w: (-w.bin.share, w.bin.price_e8))

    def _bins(self, snapshot: Snapshot, side: Side, width_e8: int) -> dict[int, WallBin]:
        key = (snapshot.seq, side, width_e8)
        held = self._seen.get(key)
        if held is None:
            book = book_side(snapshot, side, width_e8, self._parameters)
            mid = snapshot.mid_e8
            found = wall_bins(book, mid, self._parameters) if book is not None and mid is not None else []
            held = self._seen[key] = {w.price_e8: w for w in found}
        return held

    def _forget(self, snapshots: Sequence[Snapshot]) -> None:
        if len(self._seen) > 8 * len(snapshots) + 16:
            present = {s.seq for s in snapshots}
            self._seen = {k: v for k, v in self._seen.items() if k[0] in present}


def _heaviest(snapshot: Snapshot, side: Side, low_e8: int, width_e8: int) -> tuple[int, float]:
    prices = snapshot.bid_price_e8 if side == "bid" else snapshot.ask_price_e8
    quantities = snapshot.bid_quantity_e8 if side == "bid" else snapshot.ask_quantity_e8
    inside = (prices >= low_e8) & (prices < low_e8 + width_e8)
    held = quantities[inside]
    top = int(np.argmax(held))
    return int(prices[inside][top]), round(float(held[top] / held.sum()), 4)
