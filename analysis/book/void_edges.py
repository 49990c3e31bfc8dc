"""
Where a void that thin cells show begins and ends, price by price, and whether its bins confirm it (docs/measures.md
§2).
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from analysis.book.bands import smooth_triangle
from analysis.book.book_side import BookSide
from analysis.book.change_points import find_stretch, likelihood_ratios, mark_sixths
from analysis.book.voids import MIN_BINS, NEAREST_BP, LiquidityVoid, crossing_cost
from analysis.grid import count_bins
from analysis.parameters import Parameters
from market.arrays import F64, I64, Bools

_SHORT_PART = 0.6  # of a confirmed void's bins are short
_LASTS_PART = 0.5  # of its bins are short in a book that it has lasted in
_MAX_BOOKS = 15  # bounds how far back that is counted
_SEARCH_WIDTHS = 2  # its edges are searched this many of its widths to either side


def usual_quantities(earlier_books: Sequence[BookSide], count: int, parameters: Parameters) -> F64:
    """
    The usual quantity of a bin at each distance, counted in bins from the best price.

    Args:
        earlier_books: one side of at least one book, oldest first.
        count: number of distances, n.
        parameters: cap and kernel of bands.

    Returns:
        (n,) medians over the earlier books, capped and smoothed as for bands; at least 1e-8.
    """
    quantities = np.zeros((count, len(earlier_books)), np.int64)
    for number, book in enumerate(earlier_books):
        quantity = book.quantity_e8[:count]
        quantities[: len(quantity), number] = np.minimum(quantity, int(parameters.band_cap * book.corridor_depth_e8))
    half = count_bins(
        earlier_books[-1].mid_e8, parameters.band_kernel_bp, earlier_books[-1].width_e8, parameters.band_kernel_bins
    )
    return np.maximum(np.round(smooth_triangle(np.median(quantities, axis=1), half), 2), 1.0)


def confirm_voids(
    voids: Sequence[LiquidityVoid], books: Sequence[BookSide], parameters: Parameters
) -> list[LiquidityVoid]:
    """
    Confirm voids bin by bin, with their edges to the bin; see `confirm_void`.

    Args:
        voids: found by cells, on one side.
        books: that side of the window's books, newest last.
        parameters: thresholds `vacuum_*`.

    Returns:
        The confirmed ones, nearest first; of two that overlap the wider one.
    """
    if not voids:
        return []
    usual = usual_quantities(books[: -parameters.vacuum_of_last], len(books[-1].quantity_e8), parameters)
    exact = [v for void in voids if (v := confirm_void(void, books, usual, parameters)) is not None]
    exact.sort(key=lambda void: (void.low_e8 - void.high_e8, void.near_bp))
    separate_voids: list[LiquidityVoid] = []
    for void in exact:
        if not any(void.low_e8 < other.high_e8 and other.low_e8 < void.high_e8 for other in separate_voids):
            separate_voids.append(void)
    return sorted(separate_voids, key=lambda void: void.near_bp)


def confirm_void(
    void: LiquidityVoid, books: Sequence[BookSide], usual: F64, parameters: Parameters
) -> LiquidityVoid | None:
    """
    The same void with edges to the bin, or None where its bins do not confirm it.

    Cells are distances from a mid that moves: they say roughly where a void lies, and also thin out where one large
    order has gone. A bin is short that holds at most two fifths of what is usual at its distance. Around the middle of
    the void, short bins of the last books outline a stretch; it has lasted for as many of the newest books as had most
    of it short. Its edges are where three things change most likely, taken together: how full the bins are in all of
    those books, and which of them fell to half in the minute in which it began. It must be ten bins wide and half as
    wide as the void, not at the touch, and most of its bins must be short and hold less than half of their own median
    before. Quantity and median stay those of the cells.

    Args:
        void: found by cells.
        books: that side of the window's books, newest last.
        usual: see `usual_quantities`, for the newest book's bins.
        parameters: thresholds `vacuum_*`.
    """
    book, last = books[-1], parameters.vacuum_of_last
    width = max(1, (void.high_e8 - void.low_e8) // book.width_e8)
    near_bin = book.index(void.low_e8 if book.side == "ask" else void.high_e8 - book.width_e8)
    first, stop = max(0, near_bin - _SEARCH_WIDTHS * width), min(len(usual), near_bin + (_SEARCH_WIDTHS + 1) * width)
    quantities = _quantities_of(books[: -_MAX_BOOKS - 2 : -1], book.price_e8(first), stop - first)
    part = _part_of_usual(books[: -_MAX_BOOKS - 1 : -1], quantities, book.price_e8(first), usual)
    short = part <= parameters.vacuum_part
    start, end = find_stretch((2.0 * short[:last] - 1.0).sum(axis=0), near_bin + width // 2 - first)
    short_books = _count_short_books(short[:, start:end], last)
    start, end = _edges(quantities, part[:short_books], start, end, parameters)
    if book.distance_bp[first + start] <= NEAREST_BP or end - start < max(MIN_BINS, width / 2):
        return None
    earlier = _quantities_of(books[:-last], book.price_e8(first + start), end - start)
    fewer = 2 * np.median(quantities[:last, start:end], axis=0) < np.median(earlier, axis=0)
    if min(short[:short_books, start:end].mean(), fewer.mean()) < _SHORT_PART:
        return None
    return _with_edges(void, book, first + start, first + end)


def _quantities_of(books: Sequence[BookSide], price_e8: int, count: int) -> I64:
    return np.array([b.quantities_from(price_e8, count) for b in books])


def _part_of_usual(books: Sequence[BookSide], quantities: I64, price_e8: int, usual: F64) -> F64:
    rows = []
    for book, row in zip(books, quantities, strict=False):
        offset = np.clip(book.index(price_e8) + np.arange(len(row)), 0, len(usual) - 1)
        rows.append(np.round(row / usual[offset], 4))
    return np.array(rows)


def _count_short_books(short: Bools, min_books: int) -> int:
    """The number of newest books in a row in which most of a stretch was short."""
    lasts = short.mean(axis=1) >= _LASTS_PART
    lasts[:min_books] = True
    return len(lasts) if lasts.all() else int(np.argmin(lasts))


def _edges(quantities: I64, part: F64, start: int, end: int, parameters: Parameters) -> tuple[int, int]:
    inside = np.zeros(part.shape[1], np.bool_)
    inside[start:end] = True
    values = likelihood_ratios(mark_sixths(part, np.nextafter(parameters.vacuum_part, 1.0)), 7, inside)
    if len(part) < len(quantities):
        after, before = quantities[len(part) - 1], quantities[len(part)]
        fall = np.where(before + after == 0, 2, np.where(2 * after < before, 0, 1))
        values += likelihood_ratios(fall[None], 3, inside)
    return find_stretch(values, (start + end) // 2)


def _with_edges(void: LiquidityVoid, book: BookSide, start: int, end: int) -> LiquidityVoid:
    edges = sorted((book.price_e8(start), book.price_e8(end - 1)))
    low, high = edges[0], edges[1] + book.width_e8
    prices = np.array([book.price_e8(i) for i in range(start, end)]) + book.width_e8 / 2
    return msgspec.structs.replace(
        void,
        low_e8=low,
        high_e8=high,
        far_e8=low if book.side == "bid" else high,
        cost=crossing_cost(book.quantity_e8[start:end], prices),
        near_bp=round(float(book.distance_bp[start]), 2),
        far_bp=round(float(book.distance_bp[end - 1]), 2),
        censored=end > len(book.quantity_e8) - MIN_BINS,
    )
