"""
The errors of the simulated exchange.

SimulationError
├── ParameterError  a market that cannot be simulated
├── PortError       the server cannot bind its address
└── ScriptError     a script of faults that cannot be read

ApiError            a request that the exchange refuses; a reply, not a failure of the server
"""

from market.errors import KnownError


class SimulationError(KnownError):
    """Base of the errors that keep the exchange from running."""


class ParameterError(SimulationError):
    """A market that cannot be simulated."""


class PortError(SimulationError):
    """The server cannot bind its address."""


class ScriptError(SimulationError):
    """A script of faults that cannot be read."""


class ApiError(Exception):
    """
    A request that the exchange refuses.

    Attributes:
        status: the HTTP status of the reply.
        code: Binance's error code, e.g. -1121.
        message: Binance's text.
    """

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
