"""
Bands: stretches of the book that hold more than their distance from the mid explains (docs/measures.md §2).
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from analysis.book.book_side import BookSide, Side
from analysis.book.change_points import likelihood_ratios, mark_sixths
from analysis.grid import count_bins, heaviest_run
from analysis.parameters import Parameters
from market.arrays import F64, Bools
from market.compiled import compiled

_NEAREST_BP = 2.0  # a dense run that begins nearer is the plateau at the touch, no band
_ROUNDS = 8  # bounds the refinement of a band's edges


class Band(msgspec.Struct, frozen=True):
    """
    A stretch of bins that holds more than its distance from the mid explains.

    Attributes:
        low_e8, high_e8: its price edges, 1e-8 quote. heavy_bin_e8: lower edge of its fullest bin.
        quantity_e8: its total quantity. ratio: its mean smoothed density over the baseline's.
        effective: the number of bins of equal size over which its quantity would spread the same, (Σq)²/Σq².
        near_bp, far_bp: distance of its edges from the mid, basis points.
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


def measure_densities(books: Mapping[Side, BookSide], parameters: Parameters) -> dict[Side, tuple[F64, F64]]:
    """
    Measure how dense each bin's neighbourhood is over what its distance explains, and what a bin usually holds there.

    Bins are capped, so that a wall makes no band, smoothed by a triangle that is weighed inside the reach, and compared
    with the mean of both sides at the same distance, taken by octaves and joined in the log. A wide run that looks
    rather dense is left out of that mean: a band must not hide itself.

    Returns:
        For each side n ratios to 4 decimals, and n usual quantities.
    """
    quantities = {side: _cap_quantities(book, parameters) for side, book in books.items()}
    none_dense = {side: np.zeros(len(book.quantity_e8), np.bool_) for side, book in books.items()}
    usual = _usual_density(books, quantities, none_dense)
    ratio = {side: _density_ratio(book, quantities[side], usual[side], parameters) for side, book in books.items()}
    hints = {side: _hints(book, ratio[side], parameters) for side, book in books.items()}
    if any(hint.any() for hint in hints.values()):
        usual = _usual_density(books, quantities, hints)
        ratio = {side: _density_ratio(book, quantities[side], usual[side], parameters) for side, book in books.items()}
    return {side: (ratio[side], usual[side]) for side in books}


def find_bands(books: Mapping[Side, BookSide], parameters: Parameters) -> dict[Side, list[Band]]:
    """Find the bands of each side of one book, nearest first."""
    dense = measure_densities(books, parameters)
    return {side: find_side_bands(book, *dense[side], parameters) for side, book in books.items()}


def mean_density(band: Band, book: BookSide, ratio: F64) -> float:
    """
    The mean density ratio, in another book, of the bins that a band covers.

    Args:
        band: found in a book with bins of the same width.
        book: the same side of another book.
        ratio: n ratios of that book's bins, see `measure_densities`.

    Returns:
        To 2 decimals; 0 where the band lies across that book's mid or beyond its reach.
    """
    first, last = sorted((book.index(band.low_e8), book.index(band.high_e8 - book.width_e8)))
    return round(float(ratio[first : last + 1].mean()), 2) if first >= 0 and last < len(ratio) else 0.0


def _hints(book: BookSide, ratio: F64, parameters: Parameters) -> Bools:
    """
    Bins of runs as wide as a band, not at the touch, that are rather dense: a band there would raise its own baseline.
    """
    min_width = count_bins(book.mid_e8, parameters.band_bp, book.width_e8, parameters.band_bins)
    hints = np.zeros(len(ratio), np.bool_)
    for start, stop in _find_runs(ratio >= parameters.band_hint):
        if stop - start >= min_width and stop <= book.corridor and book.distance_bp[start] > _NEAREST_BP:
            hints[start:stop] = True
    return hints


def _find_runs(dense: Bools) -> list[tuple[int, int]]:
    turns = np.flatnonzero(np.diff(np.concatenate(([False], dense, [False])).astype(np.int8)))
    return list(zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True))


def _cap_quantities(book: BookSide, parameters: Parameters) -> F64:
    cap = parameters.band_cap * book.corridor_depth_e8
    return np.minimum(book.quantity_e8.astype(np.float64), cap)


def _usual_density(
    books: Mapping[Side, BookSide], quantities: Mapping[Side, F64], dense: Mapping[Side, Bools]
) -> dict[Side, F64]:
    """Mean density of both sides in octaves of distance, at the mean log distance of each octave's bins."""
    use = np.concatenate([~dense[side] for side in books])
    logs = np.log2(np.concatenate([book.distance_bp for book in books.values()]))
    octave = np.floor(logs).astype(np.int64)  # a bin's distance is above zero
    octave -= octave.min()
    values = np.concatenate([quantities[side] for side in books])
    count = np.bincount(octave[use], minlength=int(octave.max()) + 1)
    nonempty = count > 0
    centres = np.bincount(octave[use], logs[use], len(count))[nonempty] / count[nonempty]
    density = np.bincount(octave[use], values[use], len(count))[nonempty] / count[nonempty]
    return {side: np.interp(np.log2(book.distance_bp), centres, density) for side, book in books.items()}


def _density_ratio(book: BookSide, quantity: F64, usual: F64, parameters: Parameters) -> F64:
    half = count_bins(book.mid_e8, parameters.band_kernel_bp, book.width_e8, parameters.band_kernel_bins)
    smooth_quantity = smooth_triangle(quantity, half)
    return np.round(np.divide(smooth_quantity, usual, out=np.zeros_like(smooth_quantity), where=usual > 0), 4)


def find_side_bands(book: BookSide, ratio: F64, usual: F64, parameters: Parameters) -> list[Band]:
    """
    Find the bands of one side of a book, nearest first.

    Args:
        book: one side in bins.
        ratio, usual: n values for its n bins, see `measure_densities`.
        parameters: thresholds `band_*` and the corridor.
    """
    quantity = _cap_quantities(book, parameters)
    half = count_bins(book.mid_e8, parameters.band_kernel_bp, book.width_e8, parameters.band_kernel_bins)
    distance = book.distance_bp
    min_width = count_bins(book.mid_e8, parameters.band_bp, book.width_e8, parameters.band_bins)
    bands: list[Band] = []
    last_stop = 0
    for start, stop in _find_runs(ratio >= parameters.band_ratio):
        if stop - start < min_width or distance[start] <= _NEAREST_BP:
            continue
        start, stop = _refine_edges(quantity, start, stop, 2 * half)
        bin_quantity = book.quantity_e8[start:stop].astype(np.float64)
        squares = float((bin_quantity * bin_quantity).sum())
        effective = round(float(bin_quantity.sum()) ** 2 / squares, 2) if squares else 0.0
        inside = start >= last_stop and distance[start] > _NEAREST_BP and stop <= min(book.corridor, len(ratio) - half)
        if stop - start < min_width or not inside or effective < parameters.band_effective:
            continue
        last_stop = stop  # two runs that grow into one another are one band
        edges = sorted((book.price_e8(start), book.price_e8(stop - 1)))
        bands.append(
            Band(
                book.side, edges[0], edges[1] + book.width_e8, book.price_e8(start + int(np.argmax(bin_quantity))),
                int(book.quantity_e8[start:stop].sum()), round(float(ratio[start:stop].mean()), 2), effective,
                round(float(distance[start]), 2), round(float(distance[stop - 1]), 2),
            )
        )  # fmt: skip
    return bands


def _refine_edges(quantity: F64, start: int, stop: int, margin: int) -> tuple[int, int]:
    # smoothing moved the edges: they are searched again among the marks of single bins, until they no longer change
    lowest, highest = start - margin, stop + margin
    for _ in range(_ROUNDS):
        first, last = max(0, start - margin), min(len(quantity), stop + margin)
        inside = np.zeros(last - first, np.bool_)
        inside[start - first : stop - first] = True
        run = heaviest_run(likelihood_ratios(mark_sixths(quantity[None, first:last]), 6, inside))
        edges = max(lowest, first + run[0]), min(highest, first + run[1])
        if edges[1] <= edges[0] or edges == (start, stop):
            break
        start, stop = edges
    return start, stop


@compiled
def smooth_triangle(values, half_width):  # type: ignore[no-untyped-def]
    """Each bin's neighbours under a triangle of `half_width` bins, divided by the weights that fall inside."""
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
