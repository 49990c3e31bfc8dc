"""
The errors of asking a model.

Exception
├── NoReply       no attempt brought a usable reply
└── ValueError
    └── BadProxy  a proxy that cannot be used, or that would see the key
"""

from agents.llm.wire.api import Verdict

PERMANENT: frozenset[Verdict] = frozenset({"bad_request", "unauthorised", "no_balance"})
"""Refusals that repeat until a person has fixed something."""


class NoReply(Exception):
    """
    No attempt brought a usable reply; the message is one line without a key in it.

    Attributes:
        verdict: of the last attempt. detail: the fault in one line, without the server's text.
        server_text: the server's text, one printable line, for the operator alone. status: of HTTP, None without one.
    """

    def __init__(self, verdict: Verdict, detail: str, server_text: str = "", status: int | None = None) -> None:
        super().__init__(f"{verdict}: {detail}" if detail else verdict)
        self.verdict: Verdict = verdict
        self.detail = detail
        self.server_text = server_text
        self.status = status

    @property
    def lasts(self) -> bool:
        """Whether the same request would be refused again."""
        return self.verdict in PERMANENT

    @property
    def full_text(self) -> str:
        """The message with the server's text; not to be published."""
        return f"{self}: {self.server_text}" if self.server_text else str(self)


class BadProxy(ValueError):
    """A proxy that cannot be used, or that would see the key; the message is one line without user and password."""
