"""
The errors of the simulated model.

    SimulatedModelError
    ├── BadScript    a script of faults that cannot be read
    └── PortError    the server cannot bind its address
    Refusal          a request that the API answers with an error; it never leaves the server
"""

from market.errors import KnownError


class SimulatedModelError(KnownError):
    """Base of the errors of the simulated model; the message is one line."""


class BadScript(SimulatedModelError):
    """A script of faults that cannot be read."""


class PortError(SimulatedModelError):
    """The server cannot bind its address."""


class Refusal(Exception):
    """
    A request that the API answers with an error.

    Args:
        status: the HTTP status.
        message, kind, param: fields of the error's body; `kind` is its `type`, `param` the field that is wrong.
        retry_after_s: seconds of the Retry-After header, 0 for none.
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
        """The JSON of the error."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": "invalid_request_error"}
        return {"error": error}
