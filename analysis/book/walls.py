"""
Walls: single bins of the book that hold far more than their neighbourhood (docs/measures.md §2).
"""

from collections.abc import Sequence
from functools import partial

import msgspec
import numpy as np

from analysis.book.book_side import BookSide, Side, find_heaviest_price
from analysis.book.book_window import BookWindow
from analysis.grid import count_bins
from analysis.parameters import Parameters
from market.compiled import compiled
from market.fixed_point import DECIMALS
from market.timestamps import MINUTE_NS
from projections.book.snapshot_window import Snapshot


class WallBin(msgspec.Struct, frozen=True):
    """
    A bin that holds far more than its neighbourhood in one snapshot.

    Attributes:
        share: its part of the corridor's depth, 0 to 1.
        contrast: its quantity over the 80th percentile of its neighbourhood, None where that is zero.
    """

    price_e8: int
    quantity_e8: int
    share: float
    contrast: float | None


class Wall(msgspec.Struct, frozen=True):
    """
    A wall: its bin stands out now and did in most of the last snapshots.

    Attributes:
        heavy_price_e8, heavy_share: the price in the bin with the largest quantity, and its part of the bin.
        appearances: number of the last snapshots in which it stands out. age_min: minutes without a break.
        censored: it already stood in the oldest snapshot, so it is at least that old.
    """

    bin: WallBin
    heavy_price_e8: int
    heavy_share: float
    appearances: int
    age_min: int
    censored: bool
    major: bool


def min_wall_quantity(parameters: Parameters, decimals: int) -> float:
    """The least quantity of a wall, in counts of a market whose quantities have this number of decimals."""
    return parameters.min_wall_e8 / 10 ** (DECIMALS - decimals)


def find_wall_bins(book: BookSide, mid_e8: float, parameters: Parameters, decimals: int = DECIMALS) -> list[WallBin]:
    """
    Find the bins of one side that stand out in one snapshot, nearest first.

    Args:
        book: the side in bins.
        mid_e8: the book's mid; the neighbourhood is measured in basis points of it.
        parameters: thresholds `wall_*` and `neighbourhood_*`.
        decimals: decimals of the market's quantities.
    """
    depth = book.corridor_depth_e8
    if depth == 0:
        return []
    min_quantity = max(parameters.wall_share * depth, min_wall_quantity(parameters, decimals))
    half_width = count_bins(mid_e8, parameters.neighbourhood_bp, book.width_e8, parameters.neighbourhood_bins)
    indices, usual = _stand_out(
        book.quantity_e8,
        book.corridor,
        min_quantity,
        half_width,
        parameters.wall_percentile / 100,
        parameters.wall_contrast,
    )
    return [
        WallBin(
            book.price_e8(i), quantity := int(book.quantity_e8[i]), round(quantity / depth, 4),
            round(quantity / neighbour_level, 2) if neighbour_level > 0 else None,
        )
        for i, neighbour_level in zip(indices.tolist(), usual.tolist(), strict=True)
    ]  # fmt: skip


class WallFinder:
    """
    Finds walls over a window of snapshots.

    Args:
        books: the cache of results per snapshot; None makes one.
        decimals: decimals of the market's quantities.
    """

    def __init__(self, parameters: Parameters, books: BookWindow | None = None, decimals: int = DECIMALS) -> None:
        self._parameters = parameters
        self._decimals = decimals
        self._books = books or BookWindow(parameters)

    def find_walls(self, snapshots: Sequence[Snapshot], side: Side, width_e8: int) -> list[Wall]:
        """
        The walls of a side at the last snapshot, heaviest share first.

        Args:
            snapshots: the window, oldest first; an empty one gives no walls.
            side: bid or ask.
            width_e8: width of a bin, 1e-8 quote.
        """
        if not snapshots:
            return []
        bins = self.find_bins(snapshots, side, width_e8)
        walls = []
        for price, wall_bin in bins[-1].items():
            appearances = sum(price in b for b in bins[-self._parameters.wall_of_last :])
            if appearances < self._parameters.wall_seen:
                continue
            standing = next((i for i, b in enumerate(reversed(bins)) if price not in b), len(bins))
            age = (snapshots[-1].minute_ns - snapshots[-standing].minute_ns) // MINUTE_NS
            heavy = find_heaviest_price(snapshots[-1], side, price, price + width_e8)
            if heavy is not None:
                major = wall_bin.share >= self._parameters.major_share
                walls.append(Wall(wall_bin, *heavy, appearances, age, standing == len(bins), major))
        return sorted(walls, key=lambda w: (-w.bin.share, w.bin.price_e8))

    def find_bins(self, snapshots: Sequence[Snapshot], side: Side, width_e8: int) -> list[dict[int, WallBin]]:
        """
        The bins of a side that stand out in each snapshot, by lower price edge.

        Args:
            snapshots: any number of them.
            side: bid or ask.
            width_e8: width of a bin, 1e-8 quote.
        """
        return [
            self._books.get_or_compute("walls", s, width_e8, partial(self._find_snapshot_bins, s, width_e8))[side]
            for s in snapshots
        ]

    def _find_snapshot_bins(self, snapshot: Snapshot, width_e8: int) -> dict[Side, dict[int, WallBin]]:
        bins: dict[Side, dict[int, WallBin]] = {"bid": {}, "ask": {}}
        for side, book in self._books.sides(snapshot, width_e8).items():
            bins[side] = {w.price_e8: w for w in find_wall_bins(book, book.mid_e8, self._parameters, self._decimals)}
        return bins


@compiled
def _sort(values):  # type: ignore[no-untyped-def]
    """Sort a few values in place, rising: numba's own sorts clash when several come from its cache."""
    for i in range(1, len(values)):
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@compiled
def _stand_out(quantity, corridor, min_quantity, half_width, percentile, contrast):  # type: ignore[no-untyped-def]
    """Bins of at least some quantity and some multiple of their neighbours' percentile (linear between ranks)."""
    bins = np.empty(corridor, np.int64)
    usual = np.empty(corridor, np.float64)
    count = 0
    for i in range(corridor):
        if quantity[i] == 0 or quantity[i] < min_quantity:
            continue
        low, high = max(0, i - half_width), min(len(quantity), i + half_width + 1)
        neighbours = np.append(quantity[low:i], quantity[i + 1 : high])
        _sort(neighbours)
        level = 0.0
        if len(neighbours):
            place = percentile * (len(neighbours) - 1)
            below = int(place)
            above = min(below + 1, len(neighbours) - 1)
            level = neighbours[below] + (neighbours[above] - neighbours[below]) * (place - below)
        if quantity[i] >= contrast * level:
            bins[count] = i
            usual[count] = level
            count += 1
    return bins[:count], usual[:count]
