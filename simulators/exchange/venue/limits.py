"""
How much a client may ask: request weight per minute, messages per second (rest-api.md "LIMITS").
"""

from dataclasses import dataclass

from market.timestamps import MINUTE_NS, SECOND_NS


@dataclass(frozen=True, slots=True)
class Charge:
    """
    What became of a request's weight.

    Attributes:
        status: 200 to go on, 429 over the limit, 418 banned.
        used: weight used in this minute.
        retry_after_s: seconds to wait; 0 where the request may go on.
    """

    status: int
    used: int
    retry_after_s: int = 0


class WeightMeter:
    """
    Counts request weight per minute of the clock; one meter for all clients, who share a loopback address anyway.

    Args:
        limit: weight allowed in a minute.
        patience: refused requests in a minute that are still answered 429; the next one brings the ban.
        ban_s: how long a ban lasts.
    """

    def __init__(self, limit: int = 6_000, patience: int = 10, ban_s: int = 120) -> None:
        self.limit = limit
        self._patience = patience
        self._ban_ns = ban_s * SECOND_NS
        self._minute = -1
        self._used = 0
        self._refused = 0
        self._banned_until_ns = 0

    def charge(self, now_ns: int, weight: int) -> Charge:
        """Count a request, and say whether it may go on."""
        if now_ns // MINUTE_NS != self._minute:
            self._minute, self._used, self._refused = now_ns // MINUTE_NS, 0, 0
        if now_ns < self._banned_until_ns:
            return self._banned(now_ns)
        self._used += weight
        if self._used <= self.limit:
            return Charge(200, self._used)
        self._refused += 1
        if self._refused > self._patience:
            self._banned_until_ns = now_ns + self._ban_ns
            return self._banned(now_ns)
        return Charge(429, self._used, _seconds((self._minute + 1) * MINUTE_NS - now_ns))

    def _banned(self, now_ns: int) -> Charge:
        return Charge(418, self._used, _seconds(self._banned_until_ns - now_ns))


class MessageMeter:
    """Counts the messages of one connection, control frames too; `limit` a second are allowed."""

    def __init__(self, limit: int = 5) -> None:
        self._limit = limit
        self._since_ns = 0
        self._count = 0

    def allows(self, now_ns: int) -> bool:
        """Count a message, and say whether the connection may stay."""
        if now_ns - self._since_ns >= SECOND_NS:
            self._since_ns, self._count = now_ns, 0
        self._count += 1
        return self._count <= self._limit


def _seconds(span_ns: int) -> int:
    return -(-span_ns // SECOND_NS)
