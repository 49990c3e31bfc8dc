"""
Which update ids a recording has, in whatever order they came, and which are missing.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np

from eventlog.facts.market import DIFF
from eventlog.proof.chains import FIRST, LAST, find_gaps
from eventlog.transfer.importing import Importer
from market.arrays import I64
from market.ranges import Range

_MAX_PARTS = 64  # kept apart before they are merged, which leaves few ranges where little is missing


class UpdateRanges:
    """The update ids of diffs as ranges without gaps; the ids of two diffs may overlap."""

    def __init__(self) -> None:
        self._parts: list[I64] = []

    def add(self, first: I64, last: I64) -> None:
        """Add n diffs by their first and last update ids."""
        self._parts.append(_merge(np.stack([first, last], axis=1)))
        if len(self._parts) >= _MAX_PARTS:
            self._parts = [self.ranges()]

    def ranges(self) -> I64:
        """First and last id of each range, lowest first, shape (k, 2)."""
        return _merge(np.concatenate(self._parts)) if self._parts else np.empty((0, 2), np.int64)


class MissingUpdates:
    """
    The update ids after a log's largest that are missing in a recording.

    Args:
        newest: the log's largest id, None where it has none.
        ranges: of the recording, see `UpdateRanges.ranges`.
    """

    def __init__(self, newest: int | None, ranges: I64) -> None:
        if newest is not None:
            later = ranges[ranges[:, LAST] > newest]
            ranges = np.vstack([np.full((1, 2), newest, np.int64), later])
        self._missing = deque(find_gaps(ranges))

    def pop_before(self, first: int) -> Iterator[Range]:
        """Remove and return the missing ranges below `first`, the first id of the next diff."""
        while self._missing and self._missing[0][1] < first:
            yield self._missing.popleft()


def find_newest_update(importer: Importer) -> int | None:
    """Find the largest update id of the newest segment with diffs; the last diff need not have it. None for none."""
    for segment in reversed(importer.cold.catalogue.segments):
        files = [file for file in segment.files if file.kind == DIFF]
        if files:
            tables = (importer.cold.table(file, ["last_update_id"]) for file in files)
            return max(int(table.column("last_update_id").to_numpy().max()) for table in tables)
    return None


def _merge(ranges: I64) -> I64:
    """Merge ranges that touch or overlap."""
    ranges = ranges[np.argsort(ranges[:, FIRST], kind="stable")]
    highest = np.maximum.accumulate(ranges[:, LAST])
    starts = np.append(0, np.flatnonzero(ranges[1:, FIRST] > highest[:-1] + 1) + 1)
    ends = np.append(starts[1:] - 1, len(ranges) - 1)
    return np.stack([ranges[starts, FIRST], highest[ends]], axis=1)
