"""
Keeps a tool's result within its limit: the last items of the heaviest list go first, and are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Listed:
    """
    A list of a result that may be cut short.

    Attributes:
        inside: what holds it under `name`, strongest items first, or None instead of a list.
        counter: the key beside it that counts what is not listed.
        also: what else is said of its items, by their ids.
    """

    inside: dict[str, Any]
    name: str
    counter: str
    also: dict[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """How much the list takes; 0 where nothing can go."""
        items = self.inside[self.name]
        return len(msgspec.json.encode(items)) if items else 0

    def drop(self) -> None:
        """Let the last item go."""
        gone = self.inside[self.name].pop()
        self.inside[self.counter] += 1
        if isinstance(gone, dict):
            self.also.pop(gone.get("id", ""), None)


def cut_to(result: dict[str, Any], lists: Sequence[Listed], most_bytes: int) -> dict[str, Any]:
    """A result whose lists were cut, in place, until its compact JSON fits or nothing is left to go."""
    while len(msgspec.json.encode(result)) > most_bytes:
        heaviest = max(lists, key=lambda listed: listed.bytes)
        if not heaviest.bytes:
            break
        heaviest.drop()
    return result
