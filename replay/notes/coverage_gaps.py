"""
Notes of a run about coverage gaps of its log: which episodes lie in minutes whose record is unverified.
"""

import numpy as np

from eventlog.proof.coverage import CoverageGaps, overlapping
from market.arrays import I64


def coverage_gap_notes(gaps: CoverageGaps, published_ns: I64, valid_ns: int) -> list[str]:
    """
    A sentence about trades, and one about the book where the log holds any; none where no episode is affected.

    Args:
        gaps: the unverified ranges of time, of trades and of the book.
        published_ns: when each of n episodes was first out.
        valid_ns: how long their advice is valid, at most.
    """
    notes = []
    for name, ranges in (("trades", gaps.trades), ("book", gaps.depth if gaps.has_depth else gaps.depth[:0])):
        overlap_count = int(np.count_nonzero(overlapping(ranges, published_ns, published_ns + valid_ns)))
        if overlap_count:
            minutes = float((ranges[:, 1] - ranges[:, 0]).sum()) / 60e9
            episodes = f"{overlap_count} of {len(published_ns)} episodes"
            notes.append(f"{episodes} overlap {minutes:.1f} minutes whose {name} the log cannot prove")
    return notes
