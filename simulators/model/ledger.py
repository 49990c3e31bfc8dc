"""
The ledger of the simulated model: the newest requests and their answers, without API keys.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

from simulators.model.situation import Agent, Language, Step


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """
    One request.

    Attributes:
        number: of the request on this server, from 1. at_ns: when it arrived, ns UTC. path: without the host.
        retry: the retry count in the header of the client's library, None without it.
        status: HTTP status of the answer, faults applied. refusal: the error's message, None without an error.
        agent, step, thinking, language: what it asked for, None for a request that was not accepted.
        faults: names of the faults that were triggered. request: its JSON, None where it was not JSON.
        finish_reason, usage: of the reply before the faults of the stages `body` and `wire`.
    """

    number: int
    at_ns: int
    path: str
    retry: str | None
    status: int
    refusal: str | None = None
    agent: Agent | None = None
    step: Step | None = None
    thinking: bool | None = None
    language: Language | None = None
    faults: tuple[str, ...] = ()
    request: Any = None
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None


class Ledger:
    """
    The newest requests and the total number of requests.

    Args:
        max_entries: number of requests that it holds; older ones are only counted.
        max_bytes: limit on the sum of their sizes.
    """

    def __init__(self, max_entries: int = 1_000, max_bytes: int = 64_000_000) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: deque[tuple[LedgerEntry, int]] = deque()
        self._bytes = 0
        self.total = 0

    @property
    def entries(self) -> list[LedgerEntry]:
        """The requests that it holds, oldest first."""
        return [entry for entry, _ in self._entries]

    def add(self, entry: LedgerEntry, size: int) -> None:
        """Add a request; `size` is its length in bytes."""
        self.total += 1
        self._bytes += size
        self._entries.append((entry, size))
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._bytes -= self._entries.popleft()[1]

    def clear(self) -> None:
        """Drop all entries and set the total to 0."""
        self._entries.clear()
        self._bytes = self.total = 0

    def render(self) -> dict[str, Any]:
        """The whole ledger as JSON."""
        return {"total": self.total, "held": len(self._entries), "requests": self.entries}
