"""
The current book of a recording: the newest recorded one and the diffs since; levels outside both are absent.
"""

from collections import deque
from typing import Any

import msgspec

_MAX_EARLIER = 20_000  # diffs that are held for a snapshot still to come

_SIDES = (("bids", "b"), ("asks", "a"))


class RebuiltBook:
    """A book by Binance's procedure, with text prices; diffs from before their snapshot are applied after it."""

    def __init__(self) -> None:
        self._update_id: int | None = None
        self._levels: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self._earlier: deque[dict[str, Any]] = deque(maxlen=_MAX_EARLIER)

    def restart(self, body: bytes) -> None:
        """Start from a recorded book, and apply those of the earlier diffs that are newer than it."""
        snapshot: dict[str, Any] = msgspec.json.decode(body)
        self._update_id = int(snapshot["lastUpdateId"])
        self._levels = {name: dict(snapshot[name]) for name, _ in _SIDES}
        for diff in self._earlier:
            self._apply(diff)

    def apply(self, diff: dict[str, Any]) -> None:
        """Apply a diff."""
        self._earlier.append(diff)
        if self._update_id is not None:
            self._apply(diff)

    def body(self, limit: int) -> bytes:
        """The body of `GET /api/v3/depth`, at most `limit` levels per side."""
        sides = {name: self._best(name, limit) for name, _ in _SIDES}
        return msgspec.json.encode({"lastUpdateId": self._update_id, **sides})

    def _apply(self, diff: dict[str, Any]) -> None:
        if self._update_id is None or diff["u"] <= self._update_id:
            return
        self._update_id = diff["u"]
        for name, key in _SIDES:
            levels = self._levels[name]
            for price, quantity in diff[key]:
                if float(quantity):
                    levels[price] = quantity
                else:
                    levels.pop(price, None)

    def _best(self, name: str, limit: int) -> list[tuple[str, str]]:
        return sorted(self._levels[name].items(), key=lambda level: float(level[0]), reverse=name == "bids")[:limit]
