"""
Chains of ids that prove that nothing is missing, stored as unbroken runs: memory grows with the breaks, not with the
number of trades and updates; pure.
"""

import numpy as np

from market.arrays import I64
from market.ranges import Range

FIRST, LAST, FIRST_ID, LAST_ID, FROM_NS, TO_NS = range(6)
"""The columns of a run of trades: agg ids, trade ids and trade times of its first and last."""


class TradeChain:
    """
    Trades in any order: each agg id should come once, and each first trade id be the last one before it + 1.

    Attributes:
        duplicates: number of ids that came more than once, as of the last call of `runs`.
    """

    def __init__(self) -> None:
        self.duplicates = 0
        self._parts: list[I64] = []

    def add(self, agg_id: I64, first_id: I64, last_id: I64, time_ns: I64) -> None:
        """
        Add n trades, in any order.

        Args:
            agg_id, first_id, last_id: n agg ids, and the first and last trade id of each.
            time_ns: n trade times, ns UTC.
        """
        if len(agg_id) == 0:
            return
        columns = np.stack([agg_id, agg_id, first_id, last_id, time_ns, time_ns], axis=1)
        if np.any(np.diff(agg_id) <= 0):
            columns = columns[np.argsort(agg_id, kind="stable")]
        self._parts.append(_join_neighbours(columns))
        if len(self._parts) >= 64:
            self._parts = [self._merge()]

    def runs(self) -> I64:
        """The unbroken runs, lowest id first, of shape (k, 6)."""
        runs = self._merge()
        self._parts = [runs]
        highest = np.maximum.accumulate(runs[:, LAST])[:-1]
        overlaps = np.minimum(runs[1:, LAST], highest) - runs[1:, FIRST] + 1
        self.duplicates = int(overlaps[overlaps > 0].sum())
        return runs

    def _merge(self) -> I64:
        rows = np.concatenate(self._parts) if self._parts else np.empty((0, 6), np.int64)
        return _join_neighbours(rows[np.argsort(rows[:, FIRST], kind="stable")])


def _join_neighbours(rows: I64) -> I64:
    """Join a row with the row before it where its ids follow."""
    if len(rows) == 0:
        return rows
    is_start = (rows[1:, FIRST] != rows[:-1, LAST] + 1) | (rows[1:, FIRST_ID] != rows[:-1, LAST_ID] + 1)
    starts = np.append(0, np.flatnonzero(is_start) + 1)
    ends = np.append(starts[1:] - 1, len(rows) - 1)
    runs = rows[starts]
    runs[:, [LAST, LAST_ID, TO_NS]] = rows[ends][:, [LAST, LAST_ID, TO_NS]]
    return runs


def find_gaps(runs: I64) -> list[Range]:
    """
    Ranges of agg ids that are missing between runs, lowest first.

    >>> find_gaps(np.array([[1, 4, 0, 0, 0, 0], [7, 9, 0, 0, 0, 0]]))
    [(5, 6)]
    """
    highest = np.maximum.accumulate(runs[:, LAST])[:-1]
    return [(int(a) + 1, int(b) - 1) for a, b in zip(highest, runs[1:, FIRST], strict=True) if b > a + 1]


def find_breaks(runs: I64) -> list[int]:
    """Agg ids whose predecessor is present and whose first trade id does not follow the predecessor's last."""
    follows = runs[1:, FIRST] == runs[:-1, LAST] + 1
    return [int(i) for i in runs[1:, FIRST][follows]]


class UpdateChain:
    """Book updates in seq order: each first update id at most the last before it + 1."""

    def __init__(self) -> None:
        self._runs: list[list[int]] = []

    def add(self, seq: I64, first: I64, last: I64, recv_ns: I64) -> None:
        """
        Add n updates that come after those before.

        Args:
            seq: n rising seqs. recv_ns: n arrivals, ns UTC.
            first, last: n first and last update ids.
        """
        if len(seq) == 0:
            return
        previous_last = self._runs[-1][1] if self._runs else int(first[0]) - 1
        highest = np.maximum.accumulate(np.append(previous_last, last))
        is_start = first > highest[:-1] + 1
        starts = np.append(0, np.flatnonzero(is_start)) if not is_start[0] else np.flatnonzero(is_start)
        ends = np.append(starts[1:] - 1, len(seq) - 1)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            tail = [int(highest[end + 1]), int(recv_ns[end]), int(seq[end])]
            if self._runs and not is_start[start]:
                self._runs[-1][1], self._runs[-1][3], self._runs[-1][5] = tail
            else:
                self._runs.append([int(first[start]), tail[0], int(recv_ns[start]), tail[1], int(seq[start]), tail[2]])

    def runs(self) -> I64:
        """The unbroken runs in seq order, (k, 6): update ids, arrivals and seqs of the first and last of each."""
        return np.array(self._runs, np.int64).reshape(-1, 6)
