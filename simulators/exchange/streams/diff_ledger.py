"""
The depth diffs of the exchange, and to how many clients each was delivered uncorrupted.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class DiffRecord:
    """
    One diff.

    Attributes:
        first, last: U and u, public ids.
        payload: the message; its E is the time of the diff.
        deliveries: number of clients to whose sockets it was written, uncorrupted; 0: no client can have it.
    """

    first: int
    last: int
    payload: bytes
    deliveries: int = 0


class DiffLedger:
    """
    The newest diffs and the total number of diffs.

    Args:
        max_diffs: number of diffs that it holds; older ones are only counted.
        max_bytes: limit on the sum of their sizes.
    """

    def __init__(self, max_diffs: int = 200_000, max_bytes: int = 256_000_000) -> None:
        self._max_diffs = max_diffs
        self._max_bytes = max_bytes
        self._bytes = 0
        self._records: deque[DiffRecord] = deque()
        self.total = 0

    @property
    def records(self) -> list[DiffRecord]:
        """The diffs that it holds, oldest first."""
        return list(self._records)

    def add(self, diff: DiffRecord) -> None:
        """Add a diff."""
        self.total += 1
        self._records.append(diff)
        self._bytes += len(diff.payload)
        while len(self._records) > self._max_diffs or self._bytes > self._max_bytes:
            self._bytes -= len(self._records.popleft().payload)

    def render(self, from_id: int, limit: int) -> dict[str, Any]:
        """As JSON: at most `limit` diffs with u from `from_id` on, and the numbers of all diffs and of dropped ones."""
        diffs = [diff for diff in self._records if diff.last >= from_id][:limit]
        rows = [{"U": d.first, "u": d.last, "handed": d.deliveries, "payload": d.payload.decode()} for d in diffs]
        return {"total": self.total, "forgotten": self.total - len(self._records), "diffs": rows}
