"""
How much waits in memory on the way into the log, and who is told how long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from eventlog.facts.entry import Fact
from exchanges.port import Arrival


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How many facts and bytes the queue holds; beyond either limit it goes to the file."""

    facts: int = 50_000
    size: int = 64_000_000

    def is_full(self, facts: int, size: int) -> bool:
        """Whether a queue of so many facts and bytes takes no more."""
        return facts >= self.facts or size >= self.size


class Listener(Protocol):
    """Who is told about the way into the log, to measure it."""

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """The feed brought a batch."""

    def stored(self, facts: Sequence[Fact]) -> None:
        """A batch is in the log now."""

    def waited(self, seconds: float) -> None:
        """Somebody waited for room."""

    def queued(self, depth: int) -> None:
        """Facts were put; so many wait in memory now."""


def size_of(facts: Sequence[Fact]) -> int:
    """How many bytes of messages facts hold."""
    return sum(len(fact.data) for fact in facts)
