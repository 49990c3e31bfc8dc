"""
Keeps a tool's result within its limit: the last items of the heaviest list are removed first, and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class ItemList:
    """
    A list of a result that may be trimmed.

    Attributes:
        parent: the object with the list under `name`, strongest items first, or None instead of a list.
        counter: the key of the same object that counts the items that are not listed.
        details: further figures of the items, by their ids.
    """

    parent: dict[str, Any]
    name: str
    counter: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """The size of the list as JSON; 0 where nothing can be removed."""
        items = self.parent[self.name]
        return len(msgspec.json.encode(items)) if items else 0

    def drop(self) -> None:
        """Remove the last item, and count it."""
        item = self.parent[self.name].pop()
        self.parent[self.counter] += 1
        if isinstance(item, dict):
            self.details.pop(item.get("id", ""), None)


def trim_to(result: dict[str, Any], lists: Sequence[ItemList], max_bytes: int) -> dict[str, Any]:
    """
    Trim the lists of a result, in place, until its compact JSON fits or nothing can be removed.

    Args:
        result: an object for JSON.
        lists: those of its lists that may be trimmed; the heaviest is trimmed first.
        max_bytes: limit of the compact JSON.
    """
    while len(msgspec.json.encode(result)) > max_bytes:
        heaviest = max(lists, key=lambda item_list: item_list.bytes)
        if not heaviest.bytes:
            break
        heaviest.drop()
    return result
