"""
What can keep a replay from running.

ReplayError
├── NothingToReplay   no tick in the range that was asked for
└── BadRun            a folder that is no run, or two runs that cannot be compared
"""


class ReplayError(Exception):
    """Base; the message is one line and names the mend."""


class NothingToReplay(ReplayError):
    """No tick in the range that was asked for."""


class BadRun(ReplayError):
    """A folder that is no run, or two runs that cannot be compared."""
