"""
The limits of clients: request weight per minute, messages per second (rest-api.md "LIMITS").
"""

from dataclasses import dataclass

from market.timestamps import MINUTE_NS, SECOND_NS


@dataclass(frozen=True, slots=True)
class Charge:
    """
    The outcome of a request's weight.

    Attributes:
        status: 200 accepted, 429 over the limit, 418 banned.
        weight: weight used in this minute.
        retry_after_s: seconds to wait; 0 where the request is accepted.
    """

    status: int
    weight: int
    retry_after_s: int = 0


class WeightMeter:
    """
    Counts request weight per minute of the clock; one meter serves all clients, as all share the loopback address.

    Args:
        limit: weight allowed in a minute.
        patience: number of refused requests in a minute that are answered 429; the next one is banned.
        ban_s: length of a ban.
    """

    def __init__(self, limit: int = 6_000, patience: int = 10, ban_s: int = 120) -> None:
        self.limit = limit
        self._patience = patience
        self._ban_ns = ban_s * SECOND_NS
        self._minute = -1
        self._weight = 0
        self._refusals = 0
        self._banned_until_ns = 0

    def charge(self, now_ns: int, weight: int) -> Charge:
        """Count a request of a weight; returns whether it is accepted."""
        if now_ns // MINUTE_NS != self._minute:
            self._minute, self._weight, self._refusals = now_ns // MINUTE_NS, 0, 0
        if now_ns < self._banned_until_ns:
            return self._ban(now_ns)
        self._weight += weight
        if self._weight <= self.limit:
            return Charge(200, self._weight)
        self._refusals += 1
        if self._refusals > self._patience:
            self._banned_until_ns = now_ns + self._ban_ns
            return self._ban(now_ns)
        return Charge(429, self._weight, _seconds((self._minute + 1) * MINUTE_NS - now_ns))

    def _ban(self, now_ns: int) -> Charge:
        return Charge(418, self._weight, _seconds(self._banned_until_ns - now_ns))


class MessageMeter:
    """Counts the messages of one connection, control frames included; `limit` per second are allowed."""

    def __init__(self, limit: int = 5) -> None:
        self._limit = limit
        self._since_ns = 0
        self._count = 0

    def allows(self, now_ns: int) -> bool:
        """Count a message; returns whether the connection is within its limit."""
        if now_ns - self._since_ns >= SECOND_NS:
            self._since_ns, self._count = now_ns, 0
        self._count += 1
        return self._count <= self._limit


def _seconds(span_ns: int) -> int:
    return -(-span_ns // SECOND_NS)
