"""
Null books: a book with its bins shuffled among those at about the same distance, the control for what is found in it.

Structure that a shuffled book shows as often is chance.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from analysis.book.bands import find_bands
from analysis.book.book_side import SIDES, BookSide, Side
from analysis.book.voids import find_voids, measure_depths
from analysis.book.walls import find_wall_bins
from analysis.parameters import Parameters
from market.arrays import F64
from market.fixed_point import DECIMALS


class NullCounts(msgspec.Struct, frozen=True):
    """
    The number of walls, bands and voids in the same book with its bins shuffled within octaves of distance; means over
    the draws. `voids` is None where there are too few books to tell.
    """

    walls: float
    bands: float
    voids: float | None


def shuffle_side(book: BookSide, rng: np.random.Generator) -> BookSide:
    """A side with its bins in random order inside each octave of distance from the mid; depth and sizes stay."""
    octave = np.frexp(book.distance_bp)[1].astype(np.int16)
    order = np.argsort(octave + rng.random(len(octave)))
    quantity = np.empty_like(book.quantity_e8)
    quantity[np.argsort(octave, kind="stable")] = book.quantity_e8[order]
    return msgspec.structs.replace(book, quantity_e8=quantity)


def count_in_null_books(
    last_books: Sequence[Mapping[Side, BookSide]],
    cells: Mapping[Side, F64],
    usual: Mapping[Side, F64 | None],
    seed: int,
    parameters: Parameters,
    decimals: int = DECIMALS,
) -> dict[Side, NullCounts]:
    """
    Count walls, bands and voids on each side of the last books with their bins shuffled.

    Args:
        last_books: the books a void must be seen in, oldest first; walls and bands are counted in the newest.
        cells, usual: by side, see `voids.find_voids`.
        seed: taken from the book; both sides are shuffled by the same random numbers, so a mirrored book counts
            mirrored.
        parameters: thresholds, and `null_draws`, the number of shuffles.
        decimals: decimals of the market's quantities.

    Returns:
        For each side the means over the draws, to 2 decimals.
    """
    totals = {side: np.zeros(3) for side in SIDES}
    for draw in range(parameters.null_draws):
        shuffled_books: list[dict[Side, BookSide]] = [{} for _ in last_books]
        for side in SIDES:
            rng = np.random.Generator(np.random.PCG64([seed, draw]))
            for number, books in enumerate(last_books):
                shuffled_books[number][side] = shuffle_side(books[side], rng)
        dense_bands = find_bands(shuffled_books[-1], parameters)
        for side in SIDES:
            newest = shuffled_books[-1][side]
            history = np.array([measure_depths(books[side], cells[side]) for books in shuffled_books])
            thin = find_voids(newest, cells[side], usual[side], history, parameters) or ()
            walls = find_wall_bins(newest, newest.mid_e8, parameters, decimals)
            totals[side] += len(walls), len(dense_bands[side]), len(thin)
    means = {side: (counts / max(1, parameters.null_draws)).round(2).tolist() for side, counts in totals.items()}
    return {
        side: NullCounts(walls, dense_bands, None if usual[side] is None else thin)
        for side, (walls, dense_bands, thin) in means.items()
    }
