"""
Vacuums: distances from the mid at which the book holds far less than it did (ANALYSIS §2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.book_side import F64, BookSide, Side
from analysis.grid import heaviest_run
from analysis.parameters import Parameters
from market.fixed_point import I64

_NEAREST_BP = 2.0
_GROWTH = 2**0.5
_LEAST_BINS = 10


@dataclass(frozen=True, slots=True)
class Vacuum:
    """
    A thin stretch.

    Attributes:
        low_e8, high_e8: its price edges, whole bins. far_e8: the edge away from the mid.
        quantity_e8: what it holds now; cost: that times its prices, 1e-8 quote: what crossing it takes.
        median_e8: what the same distances held before, in the middle of the window's earlier books.
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


def cell_edges(mid_e8: float, width_e8: int, reach_bp: float) -> F64:
    """
    Edges of k cells of distance, basis points: from 2 bp on each √2 times as far as the last, and ten bins at least.

    Returns:
        k + 1 rising edges, none beyond the reach; fewer than two where nothing fits.
    """
    least = _LEAST_BINS * width_e8 / mid_e8 * 1e4
    edges = [_NEAREST_BP]
    while (following := max(edges[-1] * _GROWTH, edges[-1] + least)) <= reach_bp:
        edges.append(following)
    return np.array(edges)


def depths(book: BookSide, edges: F64) -> F64:
    """What each cell of one side holds; NaN where the side was not seen so far."""
    distance = book.distance_bp
    total = np.concatenate(([0], np.cumsum(book.quantity_e8)))
    held = np.diff(total[np.searchsorted(distance, edges)]).astype(np.float64)
    held[edges[1:] > book.reach_bp] = np.nan
    return held


def usual_depths(before: F64, parameters: Parameters) -> F64 | None:
    """
    The median each of k cells held before.

    Args:
        before: (n, k) depths of the window's earlier books.

    Returns:
        0 for a cell that was seen in too few of them; None where all books together are too few.
    """
    if len(before) < parameters.vacuum_least_books or before.shape[1] == 0:
        return None
    seen = (~np.isnan(before)).sum(axis=0)
    ranked = np.sort(before, axis=0)  # what was not seen comes last
    cell = np.arange(before.shape[1])
    middle = (ranked[np.maximum(seen - 1, 0) // 2, cell] + ranked[seen // 2, cell]) / 2
    return np.where(seen >= parameters.vacuum_least_books, middle, 0.0)


def vacuums(book: BookSide, cells: F64, usual: F64 | None, last: F64, parameters: Parameters) -> list[Vacuum] | None:
    """
    The thin stretches of one side of the last book, nearest first; None with too few books to tell.

    Args:
        cells: k + 1 edges, see `cell_edges`. usual: see `usual_depths`. last: (m, k) depths of the last books.
    """
    if usual is None:
        return None
    thin = ((last <= usual * parameters.vacuum_part) & (usual > 0)).sum(axis=0) >= parameters.vacuum_seen
    turns = np.flatnonzero(np.diff(np.concatenate(([False], thin, [False])).astype(np.int8)))
    return [
        _vacuum(book, cells, usual, first, stop)
        for first, stop in zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True)
    ]


def confirmed(found: Vacuum, book: BookSide, before: Sequence[BookSide], parameters: Parameters) -> Vacuum | None:
    """
    The same with edges to the bin, or None where no ten neighbouring prices hold less than they did.

    Cells are distances from a mid that moves: they say roughly where a vacuum lies, and also thin out where a wall has
    gone. Each price's own median in earlier books says what it usually holds. Of all stretches within a cell's width of
    the one found, the one is taken that misses most below half of that.
    """
    bins = max(1, (found.high_e8 - found.low_e8) // book.width_e8)
    margin = max(_LEAST_BINS, round(bins * (1 - 1 / _GROWTH)))
    near = book.index(found.low_e8 if book.side == "ask" else found.high_e8 - book.width_e8)
    first, stop = max(0, near - margin), min(len(book.quantity_e8), near + bins + margin)
    prices = [book.price_e8(i) for i in range(first, stop)]
    held = np.array([[b.held_e8(b.index(p)) for p in prices] for b in before], np.float64)
    usual, now = np.median(held, axis=0), book.quantity_e8[first:stop]
    start, end = heaviest_run(usual / 2 - now)
    if end - start < _LEAST_BINS or now[start:end].sum() > usual[start:end].sum() * parameters.vacuum_part:
        return None
    edges = sorted((prices[start], prices[end - 1]))
    low, high = edges[0], edges[1] + book.width_e8
    return replace(
        found,
        low_e8=low,
        high_e8=high,
        far_e8=low if book.side == "bid" else high,
        quantity_e8=int(now[start:end].sum()),
        median_e8=round(float(usual[start:end].sum()), 1),
        cost=_cost(now[start:end], np.array(prices[start:end]) + book.width_e8 / 2),
        near_bp=round(float(book.distance_bp[first + start]), 2),
        far_bp=round(float(book.distance_bp[first + end - 1]), 2),
    )


def _cost(held: I64, price_e8: F64) -> float:
    return round(float((held * (price_e8 / 1e8)).sum()), 2)


def _vacuum(book: BookSide, edges: F64, usual: F64, first: int, stop: int) -> Vacuum:
    start, end = np.searchsorted(book.distance_bp, [edges[first], edges[stop]]).tolist()
    held = book.quantity_e8[start:end]
    prices = (
        book.low_e8
        + book.width_e8 / 2
        + np.arange(start, end) * (float(book.width_e8) if book.side == "ask" else -float(book.width_e8))
    )
    near, far = book.price_e8(start), book.price_e8(max(start, end - 1))
    low, high = min(near, far), max(near, far) + book.width_e8
    return Vacuum(
        side=book.side,
        low_e8=low,
        high_e8=high,
        far_e8=low if book.side == "bid" else high,
        quantity_e8=int(held.sum()),
        cost=_cost(held, prices),
        median_e8=round(float(usual[first:stop].sum()), 1),
        near_bp=round(float(edges[first]), 2),
        far_bp=round(float(edges[stop]), 2),
        censored=stop == len(edges) - 1,
    )
