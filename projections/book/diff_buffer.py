"""
The diffs of the last two minutes: to apply them again on a snapshot, and to find when a level last changed.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

from market.arrays import I64
from market.timestamps import MINUTE_NS
from projections.book.book_levels import AFTER_GAP, Run
from projections.book.book_state import BookState

BUFFER_NS = 2 * MINUTE_NS
"""The span of diffs that is kept."""


class LevelChanges(NamedTuple):
    """n changes of levels of one side, oldest first: the price, the last update id of the diff and its receive time."""

    price_e8: I64
    last_update_id: I64
    recv_ns: I64


class UpdateGap(NamedTuple):
    """
    A range of update ids that were not received, and when that was detected.

    Attributes:
        cause: diff_missing, or snapshot_too_old where a snapshot needs diffs that are no longer kept.
    """

    recv_ns: int
    first_missing: int
    last_missing: int
    cause: str


class DiffBuffer:
    """Runs of diffs in the order of their arrival."""

    def __init__(self) -> None:
        self._runs: deque[tuple[int, int, Run]] = deque()  # newest receive time, largest update id

    def add(self, run: Run) -> None:
        """Append a run."""
        self._runs.append((int(run[0].max()), int(run[2].max()), run))

    def trim(self, newest_ns: int) -> None:
        """Drop the runs that are too old."""
        while self._runs and self._runs[0][0] < newest_ns - BUFFER_NS:
            self._runs.popleft()

    def apply_to(self, book: BookState, newest_ns: int) -> UpdateGap | None:
        """Bring a snapshot's book up to the newest diff; returns the first gap on the way, if there is one."""
        update_id, gap = book.last_update_id, None
        for _, largest, run in self._runs:
            if largest > update_id:
                outcome = book.apply(run, 0, len(run[0]), oldest_ns=newest_ns - BUFFER_NS)
                gap = gap or find_gap(outcome, run, 0, book, newest_ns, "snapshot_too_old")
        return gap

    def level_changes(self, side: int, last_update_id: int, newest_ns: int) -> LevelChanges:
        """
        The changes of a side in the two minutes before a time, those up to an update id.

        Args:
            side: 0 for bids, 1 for asks.
            last_update_id: of the last diff that counts.
            newest_ns: the end of the two minutes.
        """
        prices, ids, times = [], [], []
        for _, _, run in self._runs:
            selection = (run[2] <= last_update_id) & (run[0] >= newest_ns - BUFFER_NS)
            offsets, price = run[3 + 3 * side], run[4 + 3 * side]
            counts = np.diff(offsets)
            prices.append(price[offsets[0] : offsets[-1]][np.repeat(selection, counts)])
            ids.append(np.repeat(run[2][selection], counts[selection]))
            times.append(np.repeat(run[0][selection], counts[selection]))
        none = [np.empty(0, np.int64)]
        return LevelChanges(*(np.concatenate(parts or none) for parts in (prices, ids, times)))


def find_gap(outcome: I64, run: Run, start: int, book: BookState, at_ns: int | None, cause: str) -> UpdateGap | None:
    """
    Find the gap that a book met in the diffs of a run.

    Args:
        outcome: of the diffs of the run from `start` on.
        run: n diffs.
        start: index of the first of them.
        book: after them; its last update is the last before the gap.
        at_ns: when the gap was detected; None: when the diff behind it was received.
        cause: see `UpdateGap`.

    Returns:
        None where there is none.
    """
    gap_index = np.flatnonzero(outcome == AFTER_GAP)
    if not len(gap_index):
        return None
    index = start + int(gap_index[0])
    return UpdateGap(
        int(run[0][index]) if at_ns is None else at_ns, book.last_update_id + 1, int(run[1][index]) - 1, cause
    )
