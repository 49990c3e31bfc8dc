"""
Ranges of whole numbers, both ends included.
"""

from collections.abc import Iterable

Range = tuple[int, int]
"""First and last."""


def remaining_ranges(base: Range, *removals: Range) -> list[Range]:
    """
    Subtract ranges, which may overlap the first one, each other, or nothing; lowest first.

    >>> remaining_ranges((1, 9), (3, 4), (8, 20))
    [(1, 2), (5, 7)]
    """
    remaining: Iterable[Range] = [base]
    for low, high in removals:
        remaining = [
            (first, last)
            for a, b in remaining
            for first, last in ((a, min(b, low - 1)), (max(a, high + 1), b))
            if first <= last
        ]
    return list(remaining)
