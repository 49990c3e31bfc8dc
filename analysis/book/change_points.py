"""
Where a stretch of bins begins and ends: the change points that its marks make most likely.

Sizes in a book are so unequal that one order outweighs fifty bins: bins are marked, and marks are counted, not summed.
"""

import numpy as np

from market.arrays import F64, I64, Bools

_SIXTHS = np.arange(1, 6) / 6


def mark_sixths(values: F64, *extra_bounds: float) -> I64:
    """
    Marks 0 to 5, and one more for each value named: which sixth of all values each belongs to, equal ones to the upper.
    """
    bounds = np.sort(np.append(np.quantile(values, _SIXTHS), extra_bounds))
    return np.searchsorted(bounds, values, side="right")


def likelihood_ratios(marks: I64, kinds: int, inside: Bools) -> F64:
    """
    How much each bin's marks speak for its lying inside a stretch: log likelihood ratios, summed over rows.

    How often each kind of mark occurs inside and outside is taken from a first guess, one added to every count.

    Args:
        marks: (m, n) kinds of mark, 0 to kinds - 1; a row is a book. inside: the n bins of the first guess.

    Returns:
        n sums to 6 decimals; above zero speaks for inside.
    """
    inside_counts = np.bincount(marks[:, inside].ravel(), minlength=kinds) + 1
    outside_counts = np.bincount(marks[:, ~inside].ravel(), minlength=kinds) + 1
    ratio = np.log((inside_counts / inside_counts.sum()) / (outside_counts / outside_counts.sum()))
    return np.round(ratio[marks].sum(axis=0), 6)


def find_stretch(values: F64, middle: int) -> tuple[int, int]:
    """The stretch [start, stop) around one place whose values add up to most, the place itself included."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    return int(np.argmin(total[: middle + 1])), middle + 1 + int(np.argmax(total[middle + 1 :]))
