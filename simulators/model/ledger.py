"""
What was asked of the simulated model and what it answered: the newest requests, never a key.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

from simulators.model.situation import Agent, Language, Step


@dataclass(frozen=True, slots=True)
class Line:
    """
    One request.

    Attributes:
        number: 1 for the first of the server's life. at_ns: when it arrived.
        retry: the retry count the client's library names in a header, None where it names none.
        status: of HTTP as answered, a fault's included. refusal: the error's message.
        agent, step, thinking, language: what it asked for, None for what was not accepted.
        faults: what struck it, by name. request: its JSON, None where it had none.
        finish_reason, usage: as the model meant them, before faults of the body or the wire.
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
    The newest requests and a count of all.

    Args:
        most_lines, most_bytes: held, by the size of the requests as they came; older ones are only counted.
    """

    def __init__(self, most_lines: int = 1_000, most_bytes: int = 64_000_000) -> None:
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._lines: deque[tuple[Line, int]] = deque()
        self._bytes = 0
        self.total = 0

    @property
    def lines(self) -> list[Line]:
        """What is held, oldest first."""
        return [line for line, _ in self._lines]

    def add(self, line: Line, size: int) -> None:
        """Note a request of so many bytes."""
        self.total += 1
        self._bytes += size
        self._lines.append((line, size))
        while len(self._lines) > self._most_lines or self._bytes > self._most_bytes:
            self._bytes -= self._lines.popleft()[1]

    def clear(self) -> None:
        """Forget the lines and the count."""
        self._lines.clear()
        self._bytes = self.total = 0

    def render(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {"total": self.total, "held": len(self._lines), "requests": self.lines}
