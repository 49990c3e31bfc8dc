"""
The clock of the exchange: the port, and the wall clock.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """A source of the time."""

    def now_ns(self) -> int:
        """The time now, ns UTC."""
        ...


class WallClock:
    """The computer's clock; only this class of the package reads it."""

    def now_ns(self) -> int:
        """The time now, ns UTC."""
        return time.time_ns()
