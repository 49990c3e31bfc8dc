"""
Every depth diff the exchange made, and to how many clients it went out whole.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class MadeDiff:
    """
    One diff.

    Attributes:
        first, last: U and u as given out.
        payload: the message; its E is when the exchange made it.
        handed: clients on whose sockets it was written, readable; none means that nobody could have it.
    """

    first: int
    last: int
    payload: bytes
    handed: int = 0


class DiffLedger:
    """
    The newest diffs and a count of all.

    Args:
        most, most_bytes: what is held; older diffs are only counted.
    """

    def __init__(self, most: int = 200_000, most_bytes: int = 256_000_000) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._held: deque[MadeDiff] = deque()
        self.total = 0

    @property
    def held(self) -> list[MadeDiff]:
        """What is held, oldest first."""
        return list(self._held)

    def add(self, diff: MadeDiff) -> None:
        """Note a diff."""
        self.total += 1
        self._held.append(diff)
        self._bytes += len(diff.payload)
        while len(self._held) > self._most or self._bytes > self._most_bytes:
            self._bytes -= len(self._held.popleft().payload)

    def render(self, from_id: int, limit: int) -> dict[str, Any]:
        """Diffs with u from an id on, ready for JSON, and how many were forgotten."""
        found = [diff for diff in self._held if diff.last >= from_id][:limit]
        rows = [{"U": d.first, "u": d.last, "handed": d.handed, "payload": d.payload.decode()} for d in found]
        return {"total": self.total, "forgotten": self.total - len(self._held), "diffs": rows}
