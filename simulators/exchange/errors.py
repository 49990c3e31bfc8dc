"""
What can be wrong with a simulated exchange.

SimulationError
├── ParameterError  a market that cannot be simulated
├── PortError       the address to serve on is in use or not ours
└── ScriptError     a script of faults that cannot be read

ApiError            a request the exchange refuses, in the venue's own words (a reply, not a fault of ours)
"""

from market.errors import KnownError


class SimulationError(KnownError):
    """Base of everything that keeps the exchange from running."""


class ParameterError(SimulationError):
    """A market that cannot be simulated."""


class PortError(SimulationError):
    """The address to serve on is in use or not ours."""


class ScriptError(SimulationError):
    """A script of faults that cannot be read."""


class ApiError(Exception):
    """
    A request the exchange refuses.

    Attributes:
        status: the HTTP status it is answered with.
        code: the venue's error number, e.g. -1121.
        message: the venue's text.
    """

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
