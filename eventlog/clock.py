"""The only doors to time: everyone else is handed one of these."""

import time
from typing import Protocol


class Clock(Protocol):
    """Who says what time it is."""

    def now_ns(self) -> int:
        """Nanoseconds UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class WallClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is told; sleeping moves it."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        self._now_ns += round(seconds * 1e9)

    def advance(self, nanoseconds: int) -> None:
        """Move forward."""
        self._now_ns += nanoseconds
