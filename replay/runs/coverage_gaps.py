"""
Notes of a run about coverage gaps of its log: which episodes lie in minutes whose record is unverified.
"""

from collections.abc import Sequence

import numpy as np

from eventlog.proof.coverage import CoverageGaps, overlapping
from market.arrays import I64
from replay.scoring.episodes import Publication


def coverage_gap_notes(gaps: CoverageGaps, published_ns: I64, publications: Sequence[Publication]) -> list[str]:
    """
    A sentence about trades, and one about the book where the log holds any; none where no episode is affected.

    Args:
        gaps: the unverified ranges of time, of trades and of the book.
        published_ns: when each of n episodes was first out.
        publications: the recommendations; the longest validity among them is that of all episodes.
    """
    valid_ns = max((publication.advice.valid_for_ns for publication in publications), default=0)
    notes = []
    for name, ranges in (("trades", gaps.trades), ("book", gaps.depth if gaps.has_depth else gaps.depth[:0])):
        overlap_count = int(np.count_nonzero(overlapping(ranges, published_ns, published_ns + valid_ns)))
        if overlap_count:
            minutes = float((ranges[:, 1] - ranges[:, 0]).sum()) / 60e9
            episodes = f"{overlap_count} of {len(published_ns)} episodes"
            notes.append(f"{episodes} overlap {minutes:.1f} minutes whose {name} the log cannot prove")
    return notes
