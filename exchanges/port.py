"""
The port to an exchange: what a recorder needs of it.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from eventlog.codec import Decode
from eventlog.facts.entry import Fact


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """
    One message of the feed, or the opening or end of a connection.

    Attributes:
        what: a readable trade, a readable diff, an unreadable message, or a connection's opening or end.
        recv_ns: when it came.
        fact: to be logged; of an unreadable message its quarantine; None of a connection.
        number: a trade's agg id, a diff's last update id.
        first: a diff's first update id.
        detail: why a connection ended, or took over from another.
        time_ns: a trade's own time.
        overlapping: whether another connection brings everything while this one opens or ends.
        kind: what an unreadable message seems to be: agg_trade, diff or other; empty where it cannot be told.
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
    """A trade fetched over REST, or its quarantine, and its agg id."""

    agg_id: int
    fact: Fact


class Exchange(Protocol):
    """One market of an exchange. It raises `ExchangeError`; all but UnknownSymbol and VenueReset may be retried."""

    @property
    def open_connections(self) -> int:
        """Number of feed connections that are open now."""

    @property
    def last_quiet_ns(self) -> int:
        """When the exchange last had no trade beyond those that the feed brought; 0 before the first such answer."""

    @property
    def last_mute_ns(self) -> int:
        """When a connection was last replaced because it brought no trade though there were some; 0 before that."""

    @property
    def decoders(self) -> Mapping[str, Decode]:
        """Decoders of this exchange's facts, by kind."""

    def arrivals(self) -> AsyncGenerator[Sequence[Arrival], None]:
        """Batches of what the feed brings, in order; reconnects by itself until the iterator is closed."""

    async def instrument(self) -> Fact:
        """Fetch the symbol's tick and lot sizes and its status."""

    def grid_of(self, fact: Fact) -> tuple[object, ...]:
        """The values of an instrument fact that matter; facts with equal values are interchangeable."""

    async def snapshot(self, limit: int) -> Fact:
        """Fetch the book, with at most `limit` levels per side; a quarantine fact where it cannot be read."""

    async def trades_from(self, agg_id: int) -> Sequence[HistoricalTrade]:
        """Fetch a page of trades from an id on, ids rising; the first id may be larger. Empty: no such trade yet."""

    async def first_trade_since(self, time_ns: int) -> int | None:
        """Id of the first trade at or after a time, else of the newest before it; None for a market without trades."""

    async def clock_offset(self) -> Fact:
        """Measure how far the exchange's clock is ahead of ours, from some round trips."""

    def health(self) -> dict[str, int]:
        """Counters of connections and limits by name, for the status file."""

    async def close(self) -> None:
        """Close all connections."""
