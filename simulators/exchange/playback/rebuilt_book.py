"""
The book of a recording as of now: the newest recorded one and the diffs since; levels never seen stay absent.
"""

from collections import deque
from typing import Any

import msgspec

_MAX_WAITING = 20_000

_SIDES = (("bids", "b"), ("asks", "a"))


class RebuiltBook:
    """Binance's procedure over text prices; diffs that came before their snapshot are applied after it."""

    def __init__(self) -> None:
        self._update_id: int | None = None
        self._levels: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self._earlier: deque[dict[str, Any]] = deque(maxlen=_MAX_WAITING)

    def restart(self, body: bytes) -> None:
        """Take a recorded book, and what is newer of the diffs that were played before it."""
        found: dict[str, Any] = msgspec.json.decode(body)
        self._update_id = int(found["lastUpdateId"])
        self._levels = {name: dict(found[name]) for name, _ in _SIDES}
        for diff in self._earlier:
            self._change(diff)

    def apply(self, diff: dict[str, Any]) -> None:
        """Take a diff."""
        self._earlier.append(diff)
        if self._update_id is not None:
            self._change(diff)

    def body(self, limit: int) -> bytes:
        """The body of `GET /api/v3/depth`."""
        sides = {name: self._best(name, limit) for name, _ in _SIDES}
        return msgspec.json.encode({"lastUpdateId": self._update_id, **sides})

    def _change(self, diff: dict[str, Any]) -> None:
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
