"""
What can go wrong with the simulated model, our side and the caller's.

    SimulatedModelError
    ├── BadScript    a script of faults that cannot be read
    └── PortError    the address cannot be served on
    Refusal          a request the API answers with an error; never leaves the server
"""

from market.errors import KnownError


class SimulatedModelError(KnownError):
    """The simulated model cannot do what was asked; the message is one line."""


class BadScript(SimulatedModelError):
    """A script of faults that cannot be read."""


class PortError(SimulatedModelError):
    """The address cannot be served on."""


class Refusal(Exception):
    """
    A request the API answers with an error.

    Args:
        status: of HTTP.
        message, kind, param: as the error's body has them; `kind` is its `type`.
        retry_after_s: of the header of that name, 0 for none.
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        param: str | None = None,
        retry_after_s: float = 0,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, object]:
        """The error as the API words it."""
        named = {"message": self.message, "type": self.kind, "param": self.param, "code": "invalid_request_error"}
        return {"error": named}
