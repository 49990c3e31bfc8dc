"""
Liquidity voids: distances from the mid at which the book holds far less than it did (docs/measures.md §2).
"""

import msgspec
import numpy as np

from analysis.book.book_side import BookSide, Side
from analysis.parameters import Parameters
from market.arrays import F64, I64
from market.compiled import compiled
from market.fixed_point import DECIMALS, ONE_E8

NEAREST_BP = 2.0  # cells begin here, and a void begins further out: never at the touch
_GROWTH = 2**0.5  # of the cells' distance from the mid
MIN_BINS = 10  # the least width of a cell and of a void
_LARGE_COST = 1e4  # from here on two decimals; smaller costs (coins at a fraction of a cent) keep eight


class LiquidityVoid(msgspec.Struct, frozen=True):
    """
    A thin stretch of one side; `vacuum` in JSON and in settings.

    Attributes:
        low_e8, high_e8: its price edges, whole bins, 1e-8 quote. far_e8: the edge away from the mid.
        quantity_e8: the quantity of its cells now. median_e8: their median quantity in the earlier books.
        cost: Σ quantity × price between its edges, counts of quantity times quote: what crossing it takes.
        near_bp, far_bp: distance of its edges from the mid.
        censored: it reaches as far as the side was seen, so its far edge is not known.
    """

    side: Side
    low_e8: int
    high_e8: int
    far_e8: int
    quantity_e8: int
    cost: float
    median_e8: float
    near_bp: float
    far_bp: float
    censored: bool


def cell_edges(mid_e8: float, width_e8: int, reach_bp: float, shifted: bool = False) -> F64:
    """
    Edges of k cells of distance, basis points: from 2 bp on each √2 times as far as the last, and at least ten bins
    wide.

    Args:
        mid_e8: the book's mid.
        width_e8: width of a bin, 1e-8 quote.
        reach_bp: how far the side was seen.
        shifted: whether the first begins half a cell further out, so that what lies across an edge is inside a cell.

    Returns:
        (k + 1,) rising edges, none beyond the reach; fewer than two where no cell fits.
    """
    min_width = MIN_BINS * width_e8 / mid_e8 * 1e4
    edges = [NEAREST_BP * (_GROWTH**0.5 if shifted else 1.0)]
    while (following := max(edges[-1] * _GROWTH, edges[-1] + min_width)) <= reach_bp:
        edges.append(following)
    return np.array(edges)


def measure_depths(book: BookSide, edges: F64) -> F64:
    """The quantity of each of k cells of one side; NaN for a cell beyond the reach."""
    return _depths(book.distance_bp, book.quantity_e8, edges, book.reach_bp)


@compiled
def _depths(distance_bp, quantity_e8, edges, reach_bp):  # type: ignore[no-untyped-def]
    depths = np.full(max(0, len(edges) - 1), np.nan)
    bounds = np.searchsorted(distance_bp, edges)
    for cell in range(len(depths)):
        if edges[cell + 1] <= reach_bp:
            depths[cell] = quantity_e8[bounds[cell] : bounds[cell + 1]].sum()
    return depths


def usual_depths(earlier_depths: F64, parameters: Parameters) -> F64 | None:
    """
    The median quantity of each of k cells in earlier books.

    Args:
        earlier_depths: (n, k) depths of the window's earlier books.
        parameters: `vacuum_least_books`.

    Returns:
        0 for a cell that was seen in too few of them; None where all books together are too few.
    """
    if len(earlier_depths) < parameters.vacuum_least_books or earlier_depths.shape[1] == 0:
        return None
    counts = (~np.isnan(earlier_depths)).sum(axis=0)
    sorted_depths = np.sort(earlier_depths, axis=0)  # what was not seen comes last
    cell = np.arange(earlier_depths.shape[1])
    middle = (sorted_depths[np.maximum(counts - 1, 0) // 2, cell] + sorted_depths[counts // 2, cell]) / 2
    return np.where(counts >= parameters.vacuum_least_books, middle, 0.0)


def find_voids(
    book: BookSide, cells: F64, usual: F64 | None, last_depths: F64, parameters: Parameters
) -> list[LiquidityVoid] | None:
    """
    Find the thin stretches of one side of the last book.

    Args:
        book: the side in bins.
        cells: (k + 1,) edges, see `cell_edges`.
        usual: (k,) see `usual_depths`; None with too few books.
        last_depths: (m, k) depths of the last books, the newest last.
        parameters: thresholds `vacuum_*`.

    Returns:
        Nearest first; None with too few books to tell.
    """
    if usual is None:
        return None
    thin = ((last_depths <= usual * parameters.vacuum_part) & (usual > 0)).sum(axis=0) >= parameters.vacuum_seen
    turns = np.flatnonzero(np.diff(np.concatenate(([False], thin, [False])).astype(np.int8)))
    return [
        _build_void(book, cells, usual, first, stop)
        for first, stop in zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True)
    ]


def crossing_cost(quantity_e8: I64, price_e8: F64) -> float:
    """The cost of consuming some bins at their middle prices, counts of quantity times quote."""
    cost = float((quantity_e8 * (price_e8 / ONE_E8)).sum())
    return round(cost, 2 if cost >= _LARGE_COST else DECIMALS)


def _build_void(book: BookSide, edges: F64, usual: F64, first: int, stop: int) -> LiquidityVoid:
    start, end = np.searchsorted(book.distance_bp, [edges[first], edges[stop]]).tolist()
    quantity = book.quantity_e8[start:end]
    prices = (
        book.low_e8
        + book.width_e8 / 2
        + np.arange(start, end) * (float(book.width_e8) if book.side == "ask" else -float(book.width_e8))
    )
    near, far = book.price_e8(start), book.price_e8(max(start, end - 1))
    low, high = min(near, far), max(near, far) + book.width_e8
    return LiquidityVoid(
        side=book.side,
        low_e8=low,
        high_e8=high,
        far_e8=low if book.side == "bid" else high,
        quantity_e8=int(quantity.sum()),
        cost=crossing_cost(quantity, prices),
        median_e8=round(float(usual[first:stop].sum()), 1),
        near_bp=round(float(edges[first]), 2),
        far_bp=round(float(edges[stop]), 2),
        censored=stop == len(edges) - 1,
    )
