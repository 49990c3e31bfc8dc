"""
Keeps a tool's result within its limit: the last items of the heaviest list go first, and are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class ItemList:
    """
    A list of a result that may be cut short.

    Attributes:
        inside: what holds it under `name`, strongest items first, or None instead of a list.
        counter: the key beside it that counts what is not listed.
        also: what else is said of its items, by their ids.
    """

    parent: dict[str, Any]
    name: str
    counter: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """How much the list takes; 0 where nothing can go."""
        items = self.parent[self.name]
        return len(msgspec.json.encode(items)) if items else 0

    def drop(self) -> None:
        """Let the last item go."""
        item = self.parent[self.name].pop()
        self.parent[self.counter] += 1
        if isinstance(item, dict):
            self.details.pop(item.get("id", ""), None)


def trim_to(result: dict[str, Any], lists: Sequence[ItemList], max_bytes: int) -> dict[str, Any]:
    """A result whose lists were cut, in place, until its compact JSON fits or nothing is left to go."""
    while len(msgspec.json.encode(result)) > max_bytes:
        heaviest = max(lists, key=lambda item_list: item_list.bytes)
        if not heaviest.bytes:
            break
        heaviest.drop()
    return result
