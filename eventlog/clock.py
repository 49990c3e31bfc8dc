"""The clocks: the only code that reads the time or sleeps; all other code is given a `Clock`."""

import time
from typing import Protocol


class Clock(Protocol):
    """Gives the time and sleeps."""

    def now_ns(self) -> int:
        """The time in nanoseconds since 1970, UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds."""


class WallClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that stands still until `advance` or `sleep` moves it."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        self._now_ns += round(seconds * 1e9)

    def advance(self, nanoseconds: int) -> None:
        """Move the clock forward."""
        self._now_ns += nanoseconds
