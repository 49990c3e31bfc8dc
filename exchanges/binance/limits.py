"""
What Binance allows one IP address, for the whole process: request weight, bans, connection attempts; pure.

Source: rest-api.md and web-socket-streams.md (July 2026): 6000 weight a minute, Retry-After with 429 and 418, 300
connection attempts in 5 minutes.
"""

from collections import deque

from market.timestamps import MINUTE_NS, SECOND_NS

_MAX_CONNECTIONS = 250  # of 300 in five minutes: other clients may share the address
_RESERVED_CONNECTIONS = 30  # beyond these, for a connection that takes over from one that still brings everything
_CONNECTIONS_WINDOW_NS = 300 * SECOND_NS  # attempts are counted over five minutes by the exchange


class AddressLimits:
    """
    Limits shared by all clients of the exchange in a process; times are of one clock.

    Args:
        weight_per_minute: our own ceiling, below the exchange's 6000.
        reserve: weight of it that is for books only, which must come on time.

    Attributes:
        used_weight: weight used in the current minute: ours, or the exchange's own count where that is larger.
        refusals: number of replies that told us to stop.
    """

    def __init__(self, weight_per_minute: int, reserve: int = 0) -> None:
        self.used_weight = 0
        self.refusals = 0
        self._max_weight = weight_per_minute
        self._max_other_weight = weight_per_minute - reserve
        self._other_weight = 0
        self._minute = 0
        self._requests_from_ns = 0
        self._connections_from_ns = 0
        self._attempts: deque[int] = deque()

    def take_weight(self, weight: int, now_ns: int, is_book: bool = False) -> int:
        """
        Take weight for a request, if the minute has enough left.

        Args:
            weight: of the request; one larger than the ceiling is let through alone.
            now_ns: the time.
            is_book: whether it fetches a book that must come on time and may use the reserve.

        Returns:
            0 where the weight was taken, else the ns to wait before trying again.
        """
        minute = now_ns // MINUTE_NS
        if minute != self._minute:
            self._minute, self.used_weight, self._other_weight = minute, 0, 0
        if now_ns < self._requests_from_ns:
            return self._requests_from_ns - now_ns
        is_over_share = not is_book and self._other_weight + weight > self._max_other_weight and self._other_weight
        if is_over_share or (self.used_weight + weight > self._max_weight and self.used_weight):
            return (minute + 1) * MINUTE_NS - now_ns
        self.used_weight += weight
        self._other_weight += 0 if is_book else weight
        return 0

    def note_weight(self, weight: int, sent_ns: int) -> None:
        """Take over the exchange's own count of used weight, from its reply to a request sent at `sent_ns`."""
        if sent_ns // MINUTE_NS == self._minute:
            self.used_weight = max(self.used_weight, weight)

    def note_refusal(self, status: int, wait_s: float, now_ns: int, connecting: bool = False) -> None:
        """
        Stop requests, connections or both because the exchange said so.

        Args:
            status: 418 is a ban of the address and stops both; any other stops the sort that was refused.
            wait_s: for how long.
            now_ns: the time of the reply.
            connecting: whether a connection was refused, not a request.
        """
        self.refusals += 1
        until_ns = now_ns + int(wait_s * SECOND_NS)
        if status == 418 or not connecting:
            self._requests_from_ns = max(self._requests_from_ns, until_ns)
        if status == 418 or connecting:
            self._connections_from_ns = max(self._connections_from_ns, until_ns)

    def take_connection(self, now_ns: int, overlapping: bool) -> int:
        """
        Take one connection attempt, if five minutes have one left.

        Args:
            now_ns: the time.
            overlapping: whether another connection brings everything meanwhile; such attempts may use the reserve.

        Returns:
            0 where the attempt was taken, else the ns to wait before trying again.
        """
        if self._attempts and self._attempts[-1] > now_ns:  # the clock was set back
            self._attempts = deque(min(at_ns, now_ns) for at_ns in self._attempts)
        while self._attempts and now_ns - self._attempts[0] >= _CONNECTIONS_WINDOW_NS:
            self._attempts.popleft()
        if now_ns < self._connections_from_ns:
            return self._connections_from_ns - now_ns
        limit = _MAX_CONNECTIONS + (_RESERVED_CONNECTIONS if overlapping else 0)
        if len(self._attempts) >= limit:
            return self._attempts[len(self._attempts) - limit] + _CONNECTIONS_WINDOW_NS - now_ns
        self._attempts.append(now_ns)
        return 0
