"""
Where a stretch of bins begins and ends: the change points that its marks make most likely.

Sizes in a book are so unequal that one order outweighs fifty bins: bins are marked, and marks are counted, not summed.
"""

import numpy as np

from market.arrays import F64, I64, Bools

_SIXTHS = np.arange(1, 6) / 6  # inner quantiles: six classes of equal size


def mark_sixths(values: F64, *extra_bounds: float) -> I64:
    """
    Mark each value with the sixth of all values it belongs to, 0 to 5, equal values with the upper one.

    Each extra bound splits a mark in two, so there is one more mark per bound.
    """
    bounds = np.sort(np.append(np.quantile(values, _SIXTHS), extra_bounds))
    return np.searchsorted(bounds, values, side="right")


def likelihood_ratios(marks: I64, kinds: int, inside: Bools) -> F64:
    """
    How much each bin's marks speak for its lying inside a stretch: log likelihood ratios, summed over rows.

    The frequency of each mark inside and outside is estimated from a first guess, with one added to every count.

    Args:
        marks: (m, n) marks, 0 to kinds − 1; a row is a book.
        kinds: number of different marks.
        inside: (n,) the bins of the first guess.

    Returns:
        n sums to 6 decimals; above zero speaks for inside.
    """
    inside_counts = np.bincount(marks[:, inside].ravel(), minlength=kinds) + 1
    outside_counts = np.bincount(marks[:, ~inside].ravel(), minlength=kinds) + 1
    ratio = np.log((inside_counts / inside_counts.sum()) / (outside_counts / outside_counts.sum()))
    return np.round(ratio[marks].sum(axis=0), 6)


def find_stretch(values: F64, middle: int) -> tuple[int, int]:
    """The stretch [start, stop) around one index whose values have the largest sum, the index itself included."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    return int(np.argmin(total[: middle + 1])), middle + 1 + int(np.argmax(total[middle + 1 :]))
