"""
Which trades a log lost with its server: those it must hold, less those it does; pure.
"""

from collections.abc import Sequence

import numpy as np

from market.arrays import I64
from market.ranges import Range, minus


def missing_ids(held: I64, first_id: int, next_id: int, excused: Sequence[Range]) -> list[Range]:
    """
    The ranges of trade ids from first_id up to, not including, next_id that are gone.

    Args:
        held: ids that are stored or on their way. excused: ranges that were never there.
    """
    inside = np.unique(held[(held >= first_id) & (held < next_id)])
    edges = np.concatenate(([first_id - 1], inside, [next_id]))
    at = np.flatnonzero(np.diff(edges) > 1)
    left = [(int(edges[i]) + 1, int(edges[i + 1]) - 1) for i in at]
    return [piece for hole in left for piece in minus(hole, *excused)]
