"""
How many facts may wait in memory on their way into the log, and who is notified of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from eventlog.facts.entry import Fact
from exchanges.port import Arrival


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Largest number of facts, and of bytes (`size`), in the queue; beyond either it is spilled to the file."""

    facts: int = 50_000
    size: int = 64_000_000

    def is_full(self, facts: int, size: int) -> bool:
        """Whether a queue with this number of facts and bytes is full."""
        return facts >= self.facts or size >= self.size


class Listener(Protocol):
    """Is notified of every step on the way into the log, to measure it."""

    def on_arrivals(self, arrivals: Sequence[Arrival]) -> None:
        """Note that the feed brought a batch."""

    def on_stored(self, facts: Sequence[Fact]) -> None:
        """Note that a batch is in the log now."""

    def on_wait(self, seconds: float) -> None:
        """Note that a `put` waited for room in the queue."""

    def on_put(self, depth: int) -> None:
        """Note that facts were put; `depth` facts are in memory now."""


def size_of(facts: Sequence[Fact]) -> int:
    """Total size of the messages of some facts, in bytes."""
    return sum(len(fact.data) for fact in facts)
