"""
What a run must say about the log it was scored on: which episodes lie in minutes that nothing proves.
"""

from collections.abc import Sequence

import numpy as np

from eventlog.proof.coverage import CoverageGaps, overlapping
from market.arrays import I64
from replay.scoring.episodes import Publication


def coverage_gap_notes(mask: Mask, published_ns: I64, advice: Sequence[Publication]) -> list[str]:
    """
    A sentence for trades, and one for the book where the log holds any; nothing where all is proven.

    Args:
        published_ns: when each of n episodes was first out. advice: what was published; the longest validity counts.
    """
    valid_ns = max((each.advice.valid_for_ns for each in advice), default=0)
    said = []
    for what, ranges in (("trades", mask.trades), ("book", mask.depth if mask.has_depth else mask.depth[:0])):
        touched = int(np.count_nonzero(overlapping(ranges, published_ns, published_ns + valid_ns)))
        if touched:
            minutes = float((ranges[:, 1] - ranges[:, 0]).sum()) / 60e9
            episodes = f"{touched} of {len(published_ns)} episodes"
            said.append(f"{episodes} overlap {minutes:.1f} minutes whose {what} the log cannot prove")
    return said
