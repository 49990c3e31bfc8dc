"""
The errors of a replay.

ReplayError
├── NothingToReplay   no tick in the requested range
├── MissingAnswer     a model's answer that would be replayed is not on record
├── BadAnswers        a file of answers that cannot be used
├── AskingStopped     a model cannot be asked any further
├── NothingDecided    a model decided at no tick, so that no figure is its own
├── OtherFit          analysed with fitted coefficients that are not at hand
├── BadRun            a folder that is no run, or two runs that cannot be compared
└── BadLedger         a ledger of variants that cannot be read, or that another process has locked
"""

from typing import Any

from market.errors import KnownError


class ReplayError(KnownError):
    """Base; the message is one line and says what to do next."""


class NothingToReplay(ReplayError):
    """No tick in the requested range."""


class MissingAnswer(ReplayError):
    """A model's answer that would be replayed is not on record."""


class BadAnswers(ReplayError):
    """A file of answers that cannot be used."""


class AskingStopped(ReplayError):
    """A model cannot be asked any further; what it answered so far is stored."""


class NothingDecided(ReplayError):
    """
    A model decided at no tick of a stretch, so that no figure is its own; a run's folder is written nevertheless.

    Attributes:
        result: the `replay.runs.run.Result` of the run; None where nothing was run.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class OtherFit(ReplayError):
    """Analysed with fitted coefficients that are not at hand."""


class BadRun(ReplayError):
    """A folder that is no run, or two runs that cannot be compared."""


class BadLedger(ReplayError):
    """A ledger of variants that cannot be read, or that another process has locked."""


class BadZones(ReplayError):
    """A file of own zones that cannot be used."""
