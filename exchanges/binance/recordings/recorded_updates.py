"""
Which update ids a recording holds, in whatever order they came, and which of them it lacks.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np

from eventlog.facts.market import DIFF
from eventlog.proof.chains import FIRST, LAST, find_gaps
from eventlog.transfer.importing import Importer
from market.arrays import I64
from market.ranges import Range

_MAX_PARTS = 64  # before they are joined: few where nothing is missing


class UpdateRanges:
    """The update ids of book changes as unbroken ranges; those of two changes may overlap."""

    def __init__(self) -> None:
        self._parts: list[I64] = []

    def add(self, first: I64, last: I64) -> None:
        """Take n changes."""
        self._parts.append(_joined(np.stack([first, last], axis=1)))
        if len(self._parts) >= _MAX_PARTS:
            self._parts = [self.ranges()]

    def ranges(self) -> I64:
        """First and last id of each, lowest first, of shape (k, 2)."""
        return _joined(np.concatenate(self._parts)) if self._parts else np.empty((0, 2), np.int64)


class MissingUpdates:
    """
    The update ids between a log's largest and a recording's, and among these, that neither holds.

    Args:
        newest: the log's largest, None where it has none. ranges: the recording's, see `UpdateRanges.ranges`.
    """

    def __init__(self, newest: int | None, ranges: I64) -> None:
        if newest is not None:
            later = ranges[ranges[:, LAST] > newest]
            ranges = np.vstack([np.full((1, 2), newest, np.int64), later])
        self._missing = deque(find_gaps(ranges))

    def before(self, first: int) -> Iterator[Range]:
        """Those below a change that comes next, each once."""
        while self._missing and self._missing[0][1] < first:
            yield self._missing.popleft()


def newest_update(importer: Importer) -> int | None:
    """The largest update id at the log's end: the last change that came need not have it."""
    for segment in reversed(importer.cold.catalogue.segments):
        files = [file for file in segment.files if file.kind == DIFF]
        if files:
            tables = (importer.cold.table(file, ["last_update_id"]) for file in files)
            return max(int(table.column("last_update_id").to_numpy().max()) for table in tables)
    return None


def _joined(ranges: I64) -> I64:
    """Ranges that touch or overlap as one."""
    ranges = ranges[np.argsort(ranges[:, FIRST], kind="stable")]
    reached = np.maximum.accumulate(ranges[:, LAST])
    starts = np.append(0, np.flatnonzero(ranges[1:, FIRST] > reached[:-1] + 1) + 1)
    ends = np.append(starts[1:] - 1, len(ranges) - 1)
    return np.stack([ranges[starts, FIRST], reached[ends]], axis=1)
