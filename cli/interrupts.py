"""
Handles Ctrl+C while libraries load: one word and the exit code of an interrupt, instead of a traceback.

Every entry point calls `leave_quietly` before it imports anything else; once the libraries are there, commands and
daemons put handlers of their own in its place.
"""

import os
import signal
from types import FrameType

INTERRUPTED = 130
"""The exit code of a process that Ctrl+C ended."""


def leave_quietly() -> None:
    """From here on an interrupt ends the process at once; nothing is open yet that must be closed."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_again() -> None:
    """From here on an interrupt is raised as KeyboardInterrupt, Python's default."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
