"""
Bands: stretches of the book that hold more than their distance from the mid explains (ANALYSIS §2).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.book.book_side import BookSide, Side
from analysis.book.change_points import evidence, sixths
from analysis.grid import bins_for, heaviest_run
from analysis.parameters import Parameters
from market.arrays import F64, Bools
from market.compiled import compiled

_NEAREST_BP = 2.0
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Band:
    """
    A dense stretch.

    Attributes:
        low_e8, high_e8: its price edges. heavy_bin_e8: lower edge of its fullest bin.
        quantity_e8: what it holds. ratio: its mean smoothed density over the baseline's.
        effective: over how many bins of equal size its quantity would spread the same.
        near_bp, far_bp: distance of its edges from the mid.
    """

    side: Side
    low_e8: int
    high_e8: int
    heavy_bin_e8: int
    quantity_e8: int
    ratio: float
    effective: float
    near_bp: float
    far_bp: float


def densities(books: Mapping[Side, BookSide], parameters: Parameters) -> dict[Side, tuple[F64, F64]]:
    """
    How dense each bin's neighbourhood is, over what its distance explains, and what a bin usually holds there.

    Bins are capped, so that a wall makes no band, smoothed by a triangle that is weighed inside the reach, and
    compared with the mean of both sides at the same distance, taken by octaves and joined in the log. A wide run that
    looks rather dense is left out of that mean: a band must not hide itself.

    Returns:
        For each side n ratios to 4 decimals, and n usual quantities.
    """
    capped = {side: _capped(book, parameters) for side, book in books.items()}
    nothing = {side: np.zeros(len(book.quantity_e8), np.bool_) for side, book in books.items()}
    usual = _usual(books, capped, nothing)
    ratio = {side: _ratio(book, capped[side], usual[side], parameters) for side, book in books.items()}
    hints = {side: _hints(book, ratio[side], parameters) for side, book in books.items()}
    if any(found.any() for found in hints.values()):
        usual = _usual(books, capped, hints)
        ratio = {side: _ratio(book, capped[side], usual[side], parameters) for side, book in books.items()}
    return {side: (ratio[side], usual[side]) for side in books}


def bands(books: Mapping[Side, BookSide], parameters: Parameters) -> dict[Side, list[Band]]:
    """The bands of each side of one book, nearest first."""
    dense = densities(books, parameters)
    return {side: bands_of(book, *dense[side], parameters) for side, book in books.items()}


def density_of(band: Band, book: BookSide, ratio: F64) -> float:
    """The mean ratio of another book where a band is; 0 where that is not on the same side of its mid, or not seen."""
    first, last = sorted((book.index(band.low_e8), book.index(band.high_e8 - book.width_e8)))
    return round(float(ratio[first : last + 1].mean()), 2) if first >= 0 and last < len(ratio) else 0.0


def _hints(book: BookSide, ratio: F64, parameters: Parameters) -> Bools:
    """Bins of runs as wide as a band, not at the touch, that are rather dense: they may be hiding themselves."""
    widest = bins_for(book.mid_e8, parameters.band_bp, book.width_e8, parameters.band_bins)
    found = np.zeros(len(ratio), np.bool_)
    for start, stop in _runs(ratio >= parameters.band_hint):
        if stop - start >= widest and stop <= book.corridor and book.distance_bp[start] > _NEAREST_BP:
            found[start:stop] = True
    return found


def _runs(dense: Bools) -> list[tuple[int, int]]:
    turns = np.flatnonzero(np.diff(np.concatenate(([False], dense, [False])).astype(np.int8)))
    return list(zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True))


def _capped(book: BookSide, parameters: Parameters) -> F64:
    cap = parameters.band_cap * book.corridor_depth_e8
    return np.minimum(book.quantity_e8.astype(np.float64), cap)


def _usual(books: Mapping[Side, BookSide], capped: Mapping[Side, F64], dense: Mapping[Side, Bools]) -> dict[Side, F64]:
    """Mean density of both sides in octaves of distance, at the mean log distance of each octave's bins."""
    kept = np.concatenate([~dense[side] for side in books])
    logs = np.log2(np.concatenate([book.distance_bp for book in books.values()]))
    octave = np.floor(logs).astype(np.int64)  # a bin's distance is above zero
    octave -= octave.min()
    values = np.concatenate([capped[side] for side in books])
    count = np.bincount(octave[kept], minlength=int(octave.max()) + 1)
    there = count > 0
    centres = np.bincount(octave[kept], logs[kept], len(count))[there] / count[there]
    density = np.bincount(octave[kept], values[kept], len(count))[there] / count[there]
    return {side: np.interp(np.log2(book.distance_bp), centres, density) for side, book in books.items()}


def _ratio(book: BookSide, capped: F64, usual: F64, parameters: Parameters) -> F64:
    half = bins_for(book.mid_e8, parameters.band_kernel_bp, book.width_e8, parameters.band_kernel_bins)
    spread = smoothed(capped, half)
    return np.round(np.divide(spread, usual, out=np.zeros_like(spread), where=usual > 0), 4)


def bands_of(book: BookSide, ratio: F64, usual: F64, parameters: Parameters) -> list[Band]:
    """The bands of one side, see `densities`."""
    capped = _capped(book, parameters)
    half = bins_for(book.mid_e8, parameters.band_kernel_bp, book.width_e8, parameters.band_kernel_bins)
    distance = book.distance_bp
    widest = bins_for(book.mid_e8, parameters.band_bp, book.width_e8, parameters.band_bins)
    found: list[Band] = []
    taken = 0
    for start, stop in _runs(ratio >= parameters.band_ratio):
        if stop - start < widest or distance[start] <= _NEAREST_BP:
            continue
        start, stop = _edges(capped, start, stop, 2 * half)
        held = book.quantity_e8[start:stop].astype(np.float64)
        squares = float((held * held).sum())
        effective = round(float(held.sum()) ** 2 / squares, 2) if squares else 0.0
        inside = start >= taken and distance[start] > _NEAREST_BP and stop <= min(book.corridor, len(ratio) - half)
        if stop - start < widest or not inside or effective < parameters.band_effective:
            continue
        taken = stop  # two runs that grow into one another are one band
        edges = sorted((book.price_e8(start), book.price_e8(stop - 1)))
        found.append(
            Band(
                book.side, edges[0], edges[1] + book.width_e8, book.price_e8(start + int(np.argmax(held))),
                int(book.quantity_e8[start:stop].sum()), round(float(ratio[start:stop].mean()), 2), effective,
                round(float(distance[start]), 2), round(float(distance[stop - 1]), 2),
            )
        )  # fmt: skip
    return found


def _edges(capped: F64, start: int, stop: int, room: int) -> tuple[int, int]:
    # smoothing moved the edges: how full the bins near the run are, one by one, tells them apart, until they stay
    lowest, highest = start - room, stop + room
    for _ in range(_ROUNDS):
        first, last = max(0, start - room), min(len(capped), stop + room)
        inside = np.zeros(last - first, np.bool_)
        inside[start - first : stop - first] = True
        run = heaviest_run(evidence(sixths(capped[None, first:last]), 6, inside))
        found = max(lowest, first + run[0]), min(highest, first + run[1])
        if found[1] <= found[0] or found == (start, stop):
            break
        start, stop = found
    return start, stop


@compiled
def smoothed(values, half_width):  # type: ignore[no-untyped-def]
    """Each bin's neighbours under a triangle, divided by the weights that fall inside."""
    n = len(values)
    out = np.empty(n, np.float64)
    for i in range(n):
        total, weights = 0.0, 0.0
        for j in range(max(0, i - half_width + 1), min(n, i + half_width)):
            weight = half_width - abs(i - j)
            total += weight * values[j]
            weights += weight
        out[i] = total / weights
    return out
