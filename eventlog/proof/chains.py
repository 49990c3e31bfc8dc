"""
Numbers that prove nothing is missing, kept as runs: however many trades and updates there were, only where a chain
broke takes room; pure.
"""

import numpy as np

from market.arrays import I64
from market.ranges import Range

FIRST, LAST, FIRST_ID, LAST_ID, FROM_NS, TO_NS = range(6)
"""The columns of a run of trades: agg ids, trade ids and trade times of its first and last."""


class TradeChain:
    """
    Trades in whatever order they came: each agg id once, each first trade id the last before it + 1.

    Attributes:
        duplicates: how many ids came more than once; right once `runs` was called.
    """

    def __init__(self) -> None:
        self.duplicates = 0
        self._parts: list[I64] = []

    def add(self, agg_id: I64, first_id: I64, last_id: I64, time_ns: I64) -> None:
        """Take n trades."""
        if len(agg_id) == 0:
            return
        columns = np.stack([agg_id, agg_id, first_id, last_id, time_ns, time_ns], axis=1)
        if np.any(np.diff(agg_id) <= 0):
            columns = columns[np.argsort(agg_id, kind="stable")]
        self._parts.append(_joined(columns))
        if len(self._parts) >= 64:
            self._parts = [self._merged()]

    def runs(self) -> I64:
        """The unbroken runs, lowest id first, of shape (k, 6)."""
        merged = self._merged()
        self._parts = [merged]
        reached = np.maximum.accumulate(merged[:, LAST])[:-1]
        twice = np.minimum(merged[1:, LAST], reached) - merged[1:, FIRST] + 1
        self.duplicates = int(twice[twice > 0].sum())
        return merged

    def _merged(self) -> I64:
        whole = np.concatenate(self._parts) if self._parts else np.empty((0, 6), np.int64)
        return _joined(whole[np.argsort(whole[:, FIRST], kind="stable")])


def _joined(rows: I64) -> I64:
    """Neighbours as one run where the second goes on where the first ended."""
    if len(rows) == 0:
        return rows
    broke = (rows[1:, FIRST] != rows[:-1, LAST] + 1) | (rows[1:, FIRST_ID] != rows[:-1, LAST_ID] + 1)
    starts = np.append(0, np.flatnonzero(broke) + 1)
    ends = np.append(starts[1:] - 1, len(rows) - 1)
    joined = rows[starts]
    joined[:, [LAST, LAST_ID, TO_NS]] = rows[ends][:, [LAST, LAST_ID, TO_NS]]
    return joined


def holes(runs: I64) -> list[Range]:
    """Missing agg ids between runs."""
    reached = np.maximum.accumulate(runs[:, LAST])[:-1]
    return [(int(a) + 1, int(b) - 1) for a, b in zip(reached, runs[1:, FIRST], strict=True) if b > a + 1]


def broken_at(runs: I64) -> list[int]:
    """Agg ids whose first trade id does not follow the trade before, which is there."""
    follows = runs[1:, FIRST] == runs[:-1, LAST] + 1
    return [int(i) for i in runs[1:, FIRST][follows]]


class UpdateChain:
    """Book updates in seq order: each first update id at most the last before it + 1."""

    def __init__(self) -> None:
        self._runs: list[list[int]] = []

    def add(self, seq: I64, first: I64, last: I64, recv_ns: I64) -> None:
        """Take n updates that follow those before."""
        if len(seq) == 0:
            return
        before = self._runs[-1][1] if self._runs else int(first[0]) - 1
        reached = np.maximum.accumulate(np.append(before, last))
        broke = first > reached[:-1] + 1
        starts = np.append(0, np.flatnonzero(broke)) if not broke[0] else np.flatnonzero(broke)
        ends = np.append(starts[1:] - 1, len(seq) - 1)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            tail = [int(reached[end + 1]), int(recv_ns[end]), int(seq[end])]
            if self._runs and not broke[start]:
                self._runs[-1][1], self._runs[-1][3], self._runs[-1][5] = tail
            else:
                self._runs.append([int(first[start]), tail[0], int(recv_ns[start]), tail[1], int(seq[start]), tail[2]])

    def runs(self) -> I64:
        """The unbroken runs in seq order, (k, 6): update ids, arrivals and seqs of the first and last of each."""
        return np.array(self._runs, np.int64).reshape(-1, 6)
