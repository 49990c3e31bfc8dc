"""
Where a model is reached.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    Where a model is reached, and how often and how long it is tried.

    Attributes:
        base_url, api_key: the API's address and key. attempts: most times one request is sent.
        grace_s: seconds that a reply may still come after its caller has gone on.
        proxy: the http(s) address of a proxy, with user and password where it needs them; None for a direct connection.
    """

    base_url: str
    api_key: str = field(repr=False)
    attempts: int = 3
    grace_s: float = 30.0
    proxy: str | None = field(default=None, repr=False)
