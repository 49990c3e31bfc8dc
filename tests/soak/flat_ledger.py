"""
A ledger of diffs that takes no more memory the longer it is kept: all but the newest lie in a file.
"""

from collections import deque
from pathlib import Path

import numpy as np

from simulators.exchange.streams.diff_ledger import DiffLedger, DiffRecord

_IN_MEMORY = 1_000


class FlatLedger(DiffLedger):
    """
    For `StreamHub.diffs`.

    Args:
        path: of the file. most: how many diffs there is room for.
    """

    def __init__(self, path: Path, most: int) -> None:
        super().__init__()
        self._file = path.open("w+b")
        self._rows = np.ones((4, most), np.int64)  # ones: the memory is taken at once
        self._settled = 0
        self._newest: deque[DiffRecord] = deque()

    @property
    def records(self) -> list[DiffRecord]:
        """All of them, oldest first."""
        self._file.seek(0)
        found = []
        for first, last, handed, size in self._rows[:, : self._settled].T.tolist():
            found.append(DiffRecord(first, last, self._file.read(size), handed))
        return [*found, *self._newest]

    def add(self, diff: DiffRecord) -> None:
        """Note a diff."""
        self.total += 1
        self._newest.append(diff)
        if len(self._newest) > _IN_MEMORY:
            old = self._newest.popleft()
            self._rows[:, self._settled] = old.first, old.last, old.deliveries, len(old.payload)
            self._file.seek(0, 2)
            self._file.write(old.payload)
            self._settled += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()
