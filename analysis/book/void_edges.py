"""
Where a vacuum that thin cells show begins and ends, price by price, and whether prices bear it out (ANALYSIS §2).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analysis.book.bands import smoothed
from analysis.book.book_side import BookSide
from analysis.book.change_points import evidence, outgrown, sixths
from analysis.book.voids import MIN_BINS, NEAREST_BP, LiquidityVoid, cost_of
from analysis.grid import bins_for
from analysis.parameters import Parameters
from market.arrays import F64, I64, Bools

_SHORT_PART = 0.6
_LASTS_PART = 0.5
_MAX_BOOKS = 15
_ROOM = 2  # widths of what was found, on either side of it


def usual_bins(before: Sequence[BookSide], bins: int, parameters: Parameters) -> F64:
    """
    What a bin usually holds at each of some distances, in bins from the best price.

    Returns:
        Medians over the earlier books, one bin of distance after the other, capped and smoothed as bands are; at least
        1e-8.
    """
    held = np.zeros((bins, len(before)), np.int64)
    for number, book in enumerate(before):
        seen = book.quantity_e8[:bins]
        held[: len(seen), number] = np.minimum(seen, int(parameters.band_cap * book.corridor_depth_e8))
    half = bins_for(before[-1].mid_e8, parameters.band_kernel_bp, before[-1].width_e8, parameters.band_kernel_bins)
    return np.maximum(np.round(smoothed(np.median(held, axis=1), half), 2), 1.0)


def borne_out(found: Sequence[LiquidityVoid], books: Sequence[BookSide], parameters: Parameters) -> list[LiquidityVoid]:
    """Those that prices bear out, with their edges to the bin, each once, nearest first; see `confirmed`."""
    if not found:
        return []
    usual = usual_bins(books[: -parameters.vacuum_of_last], len(books[-1].quantity_e8), parameters)
    exact = [v for each in found if (v := confirmed(each, books, usual, parameters)) is not None]
    exact.sort(key=lambda v: (v.low_e8 - v.high_e8, v.near_bp))
    kept: list[LiquidityVoid] = []
    for each in exact:
        if not any(each.low_e8 < k.high_e8 and k.low_e8 < each.high_e8 for k in kept):
            kept.append(each)
    return sorted(kept, key=lambda v: v.near_bp)


def confirmed(
    found: LiquidityVoid, books: Sequence[BookSide], usual: F64, parameters: Parameters
) -> LiquidityVoid | None:
    """
    The same with edges to the bin, or None where prices do not bear it out.

    Cells are distances from a mid that moves: they say roughly where a vacuum lies, and also thin out where one large
    order has gone. A bin is short that holds at most two fifths of what is usual at its distance. Around the middle of
    what was found, short bins of the last books outline a stretch; it has stood in as many of the newest books as had
    most of it short. Its edges are where three things change most likely, taken together: how full the bins are in all
    of those books, and which of them fell to half in the minute in which it began. It must be ten bins wide and half
    as wide as what was found, not at the touch, and most of its bins must be short and hold less than half of their
    own median before. Quantity and median stay those of the cells.

    Args:
        books: one side of the window's books, newest last. usual: see `usual_bins`, for the newest book's bins.
    """
    book, last = books[-1], parameters.vacuum_of_last
    width = max(1, (found.high_e8 - found.low_e8) // book.width_e8)
    near = book.index(found.low_e8 if book.side == "ask" else found.high_e8 - book.width_e8)
    first, stop = max(0, near - _ROOM * width), min(len(usual), near + (_ROOM + 1) * width)
    held = _held(books[: -_MAX_BOOKS - 2 : -1], book.price_e8(first), stop - first)
    part = _part_of_usual(books[: -_MAX_BOOKS - 1 : -1], held, book.price_e8(first), usual)
    short = part <= parameters.vacuum_part
    start, end = outgrown((2.0 * short[:last] - 1.0).sum(axis=0), near + width // 2 - first)
    stood = _stood(short[:, start:end], last)
    start, end = _edges(held, part[:stood], start, end, parameters)
    if book.distance_bp[first + start] <= NEAREST_BP or end - start < max(MIN_BINS, width / 2):
        return None
    before = _held(books[:-last], book.price_e8(first + start), end - start)
    fewer = 2 * np.median(held[:last, start:end], axis=0) < np.median(before, axis=0)
    if min(short[:stood, start:end].mean(), fewer.mean()) < _SHORT_PART:
        return None
    return _placed(found, book, first + start, first + end)


def _held(books: Sequence[BookSide], price_e8: int, count: int) -> I64:
    return np.array([b.held_from(price_e8, count) for b in books])


def _part_of_usual(books: Sequence[BookSide], held: I64, price_e8: int, usual: F64) -> F64:
    rows = []
    for book, row in zip(books, held, strict=False):
        away = np.clip(book.index(price_e8) + np.arange(len(row)), 0, len(usual) - 1)
        rows.append(np.round(row / usual[away], 4))
    return np.array(rows)


def _stood(short: Bools, least: int) -> int:
    """In how many of the newest books most of a stretch was short."""
    lasts = short.mean(axis=1) >= _LASTS_PART
    lasts[:least] = True
    return len(lasts) if lasts.all() else int(np.argmin(lasts))


def _edges(held: I64, part: F64, start: int, end: int, parameters: Parameters) -> tuple[int, int]:
    inside = np.zeros(part.shape[1], np.bool_)
    inside[start:end] = True
    values = evidence(sixths(part, np.nextafter(parameters.vacuum_part, 1.0)), 7, inside)
    if len(part) < len(held):
        after, before = held[len(part) - 1], held[len(part)]
        fell = np.where(before + after == 0, 2, np.where(2 * after < before, 0, 1))
        values += evidence(fell[None], 3, inside)
    return outgrown(values, (start + end) // 2)


def _placed(found: LiquidityVoid, book: BookSide, start: int, end: int) -> LiquidityVoid:
    edges = sorted((book.price_e8(start), book.price_e8(end - 1)))
    low, high = edges[0], edges[1] + book.width_e8
    prices = np.array([book.price_e8(i) for i in range(start, end)]) + book.width_e8 / 2
    return replace(
        found,
        low_e8=low,
        high_e8=high,
        far_e8=low if book.side == "bid" else high,
        cost=cost_of(book.quantity_e8[start:end], prices),
        near_bp=round(float(book.distance_bp[start]), 2),
        far_bp=round(float(book.distance_bp[end - 1]), 2),
        censored=end > len(book.quantity_e8) - MIN_BINS,
    )
