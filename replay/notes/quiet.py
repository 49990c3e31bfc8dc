"""
Notes for a stretch in which little or nothing was traded: figures over it mean little or nothing.
"""

import numpy as np

from market.arrays import I64
from market.timestamps import MINUTE_NS
from replay.recorded.minutes import Minutes

_MAX_QUIET = 0.5
"""The share of minutes without a trade above which a note is written; below it a market is merely calm."""


def quiet_notes(minutes: Minutes, boundary_ns: I64) -> list[str]:
    """
    A sentence about minutes without a trade, where they are most of a stretch.

    Args:
        minutes: of the stretch.
        boundary_ns: the ends of n minutes.

    Returns:
        One sentence, or nothing.
    """
    total, quiet = len(boundary_ns), int(np.count_nonzero(~np.isin(boundary_ns - MINUTE_NS, minutes.start_ns)))
    if total and quiet == total:
        return [f"nothing was traded in any of {total:,} minutes: no figure here says anything of advice or signals"]
    if quiet > _MAX_QUIET * total:
        return [f"nothing was traded in {quiet:,} of {total:,} minutes"]
    return []
