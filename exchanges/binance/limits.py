"""
What the venue allows one address, kept for the whole process: request weight, bans, connection attempts; pure.

Source: rest-api.md and web-socket-streams.md (July 2026): 6000 weight a minute, Retry-After with 429 and 418, 300
connection attempts in 5 minutes.
"""

from collections import deque

from market.timestamps import MINUTE_NS, SECOND_NS

_CONNECTIONS = 250  # of 300 in five minutes: others may share the address
_RESERVE = 30  # more, for a connection that takes over from one that still brings everything
_CONNECTIONS_NS = 300 * SECOND_NS


class AddressLimits:
    """
    One for all clients of a venue in a process; times are of one clock.

    Args:
        weight_per_minute: our own ceiling below the venue's 6000.
        reserved: how much of it everything else leaves alone for books, which must come on time.

    Attributes:
        used: weight of the current minute, ours or the venue's own count, whichever is more.
        refusals: how often the venue said stop.
    """

    def __init__(self, weight_per_minute: int, reserved: int = 0) -> None:
        self.used = 0
        self.refusals = 0
        self._budget = weight_per_minute
        self._for_others = weight_per_minute - reserved
        self._used_by_others = 0
        self._minute = 0
        self._requests_from_ns = 0
        self._connections_from_ns = 0
        self._attempts: deque[int] = deque()

    def request(self, weight: int, now_ns: int, books: bool = False) -> int:
        """
        Spend weight on a request now: 0; or spend nothing, and how many ns to wait before asking again.

        Args:
            books: whether it fetches a book that must come on time; everything else can wait.
        """
        minute = now_ns // MINUTE_NS
        if minute != self._minute:
            self._minute, self.used, self._used_by_others = minute, 0, 0
        if now_ns < self._requests_from_ns:
            return self._requests_from_ns - now_ns
        too_much_else = not books and self._used_by_others + weight > self._for_others and self._used_by_others
        if too_much_else or (self.used + weight > self._budget and self.used):
            return (minute + 1) * MINUTE_NS - now_ns
        self.used += weight
        self._used_by_others += 0 if books else weight
        return 0

    def note_weight(self, used: int, sent_ns: int) -> None:
        """What the venue says is used, in its reply to a request sent then."""
        if sent_ns // MINUTE_NS == self._minute:
            self.used = max(self.used, used)

    def refused(self, status: int, wait_s: float, now_ns: int, connecting: bool = False) -> None:
        """
        The venue said stop.

        Args:
            status: 429 stops requests, or connections where it met one; 418 is a ban of the address and stops both.
        """
        self.refusals += 1
        until_ns = now_ns + int(wait_s * SECOND_NS)
        if status == 418 or not connecting:
            self._requests_from_ns = max(self._requests_from_ns, until_ns)
        if status == 418 or connecting:
            self._connections_from_ns = max(self._connections_from_ns, until_ns)

    def connection(self, now_ns: int, overlapping: bool) -> int:
        """
        Spend an attempt to connect now: 0; or spend none, and how many ns to wait before asking again.

        Args:
            overlapping: whether another connection brings everything meanwhile; the reserve is for these.
        """
        if self._attempts and self._attempts[-1] > now_ns:  # the clock was set back
            self._attempts = deque(min(at, now_ns) for at in self._attempts)
        while self._attempts and now_ns - self._attempts[0] >= _CONNECTIONS_NS:
            self._attempts.popleft()
        if now_ns < self._connections_from_ns:
            return self._connections_from_ns - now_ns
        most = _CONNECTIONS + (_RESERVE if overlapping else 0)
        if len(self._attempts) >= most:
            return self._attempts[len(self._attempts) - most] + _CONNECTIONS_NS - now_ns
        self._attempts.append(now_ns)
        return 0
