"""
Where the exchange gets the time: the port, and the wall behind it.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time in nanoseconds UTC."""

    def now_ns(self) -> int:
        """The time now."""
        ...


class WallClock:
    """The computer's own clock; the only place of this package that reads it."""

    def now_ns(self) -> int:
        """The wall's time, nanoseconds UTC."""
        return time.time_ns()
