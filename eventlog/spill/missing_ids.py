"""
The trades that a log lost with its server; pure.
"""

from collections.abc import Sequence

import numpy as np

from market.arrays import I64
from market.ranges import Range, remaining_ranges


def missing_ids(present_ids: I64, first_id: int, next_id: int, exclusions: Sequence[Range]) -> list[Range]:
    """
    The ranges of trade ids that are missing, lowest first.

    Args:
        present_ids: ids that are stored or pending, int64, in any order, repeats allowed.
        first_id, next_id: the range to look at, `next_id` excluded.
        exclusions: ranges that are not counted as missing, both ends included.

    >>> missing_ids(np.array([3, 4, 7]), 1, 10, [(8, 9)])
    [(1, 2), (5, 6)]
    """
    inside = np.unique(present_ids[(present_ids >= first_id) & (present_ids < next_id)])
    edges = np.concatenate(([first_id - 1], inside, [next_id]))
    jumps = np.flatnonzero(np.diff(edges) > 1)
    gaps = [(int(edges[i]) + 1, int(edges[i + 1]) - 1) for i in jumps]
    return [part for gap in gaps for part in remaining_ranges(gap, *exclusions)]
