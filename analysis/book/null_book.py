"""
Null books: a book with its bins shuffled among those at about the same distance, the control for what is found in it.

Structure that a shuffled book shows as often is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.book.bands import bands
from analysis.book.book_side import SIDES, BookSide, Side
from analysis.book.voids import depths, vacuums
from analysis.book.walls import wall_bins
from analysis.parameters import Parameters
from market.arrays import F64
from market.fixed_point import DECIMALS


@dataclass(frozen=True, slots=True)
class NullCounts:
    """What the same book shows when its bins are shuffled within octaves of distance; means over the draws."""

    walls: float
    bands: float
    vacuums: float | None


def shuffled(book: BookSide, chance: np.random.Generator) -> BookSide:
    """A side with its bins in random order inside each octave of distance from the mid; depth and sizes stay."""
    octave = np.frexp(book.distance_bp)[1].astype(np.int16)
    order = np.argsort(octave + chance.random(len(octave)))
    quantity = np.empty_like(book.quantity_e8)
    quantity[np.argsort(octave, kind="stable")] = book.quantity_e8[order]
    return replace(book, quantity_e8=quantity)


def null_counts(
    last: Sequence[Mapping[Side, BookSide]],
    cells: Mapping[Side, F64],
    usual: Mapping[Side, F64 | None],
    seed: int,
    parameters: Parameters,
    decimals: int = DECIMALS,
) -> dict[Side, NullCounts]:
    """
    What each side shows with its last books shuffled.

    Args:
        last: the books a vacuum must be seen in, oldest first. cells, usual: see `vacuums.vacuums`.
        seed: comes from the book; both sides are shuffled by the same chance, so a mirrored book counts mirrored.
        decimals: that the market's quantities keep.
    """
    found = {side: np.zeros(3) for side in SIDES}
    for draw in range(parameters.null_draws):
        mixed: list[dict[Side, BookSide]] = [{} for _ in last]
        for side in SIDES:
            chance = np.random.Generator(np.random.PCG64([seed, draw]))
            for place, books in enumerate(last):
                mixed[place][side] = shuffled(books[side], chance)
        dense = bands(mixed[-1], parameters)
        for side in SIDES:
            newest = mixed[-1][side]
            held = np.array([depths(books[side], cells[side]) for books in mixed])
            thin = vacuums(newest, cells[side], usual[side], held, parameters) or ()
            walls = wall_bins(newest, newest.mid_e8, parameters, decimals)
            found[side] += len(walls), len(dense[side]), len(thin)
    means = {side: (counts / max(1, parameters.null_draws)).round(2).tolist() for side, counts in found.items()}
    return {
        side: NullCounts(walls, dense, None if usual[side] is None else thin)
        for side, (walls, dense, thin) in means.items()
    }
