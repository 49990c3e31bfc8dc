"""
The port to a venue: what a recorder needs of it.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from eventlog.codec import Decode
from eventlog.facts.entry import Fact


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """
    One thing the feed brought.

    Attributes:
        what: a readable trade, a readable book diff, something unreadable (the fact is its quarantine), or news of the
            connection (the fact is None, `detail` says why it ended, or took over from another).
        number: a trade's agg id, a diff's last update id.
        time_ns: a trade's time.
        first: a diff's first update id.
        overlapping: of a connection that comes or goes while another one brings everything.
        kind: what something unreadable seems to be: agg_trade, diff, or other; empty where nobody can say.
    """

    what: Literal["agg_trade", "diff", "quarantine", "connected", "disconnected"]
    recv_ns: int
    fact: Fact | None
    number: int = 0
    first: int = 0
    detail: str = ""
    time_ns: int = 0
    overlapping: bool = False
    kind: str = ""


class HistoricalTrade(msgspec.Struct, frozen=True, gc=False):
    """A trade fetched on request, or its quarantine, and its agg id."""

    agg_id: int
    fact: Fact


class Exchange(Protocol):
    """A venue's market. Its errors derive from one base class and are worth another try, unless they are fatal."""

    @property
    def connected(self) -> int:
        """How many feed connections are open."""

    @property
    def quiet_ns(self) -> int:
        """When the venue last said that there is no trade beyond those the feed brought; 0 before the first time."""

    @property
    def mute_ns(self) -> int:
        """When a connection was last replaced because it brought no trade though there were some; 0 for never."""

    @property
    def decoders(self) -> Mapping[str, Decode]:
        """Who reads this venue's facts."""

    def arrivals(self) -> AsyncGenerator[Sequence[Arrival], None]:
        """What comes, in order, in batches; reconnects by itself for ever."""

    async def instrument(self) -> Fact:
        """The symbol's grid and state."""

    def grid_of(self, fact: Fact) -> tuple[object, ...]:
        """What of an instrument fact matters: two facts with equal grids say the same."""

    async def snapshot(self, limit: int) -> Fact:
        """The book now."""

    async def trades_from(self, agg_id: int) -> Sequence[HistoricalTrade]:
        """A page of trades from an id on, rising; the first may be younger. An empty one: nothing there yet."""

    async def first_trade_since(self, time_ns: int) -> int | None:
        """The id of the first trade from a time on, or of the newest one before it; None for a market without any."""

    async def clock_offset(self) -> Fact:
        """How far the venue's clock is ahead of ours, from some round trips."""

    def health(self) -> dict[str, int]:
        """What connections and limits have been through, by name, for looking at."""

    async def close(self) -> None:
        """Give connections back."""
