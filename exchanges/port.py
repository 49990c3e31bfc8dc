"""
The port to an exchange: what a recorder needs of it.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from eventlog.codec import Decode
from eventlog.facts.entry import Fact
from exchanges.errors import NotProvable


class Capabilities(msgspec.Struct, frozen=True):
    """
    What an exchange gives a recorder, and so what can be proven of a recording.

    Attributes:
        contiguous_trade_ids: each trade's id is one more than the last one's, so that a missing trade shows.
        trades_by_id: trades of the past can be fetched from an id on, so that a missing one can be filled.
        trades_page: how many trades such a request returns at most; fewer are the newest there are.
        chained_diffs: each book update names the range of ids it covers, so that a missing one shows.
    """

    contiguous_trade_ids: bool
    trades_by_id: bool
    trades_page: int
    chained_diffs: bool

    def expect_provable(self, market: str) -> None:
        """
        Refuse a market whose recording could not be proven complete.

        Args:
            market: its name, for the message.

        Raises:
            NotProvable: ids do not show what is missing, or missing trades cannot be fetched.
        """
        reasons = {
            "its trade ids do not show a missing trade": self.contiguous_trade_ids,
            "its past trades cannot be fetched by id": self.trades_by_id,
            "its book updates do not show a missing one": self.chained_diffs,
        }
        lacking = [reason for reason, has in reasons.items() if not has]
        if lacking:
            raise NotProvable(f"{market} cannot be recorded with proof that nothing is missing: {', '.join(lacking)}")


class SilenceProof(msgspec.Struct, frozen=True):
    """
    What is known of a feed that brings no trade: whether the market is quiet, or the feed mute.

    Attributes:
        quiet_ns: when the exchange last had no trade beyond those that the feed brought; 0 before the first such
            answer.
        mute_ns: when a connection was last replaced because it brought no trade though there were some; 0 before that.
    """

    quiet_ns: int = 0
    mute_ns: int = 0


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """
    One message of the feed, or the opening or end of a connection.

    Attributes:
        what: a readable trade, a readable diff, an unreadable message, or a connection's opening or end.
        recv_ns: when it came.
        fact: to be logged; of an unreadable message its quarantine; None of a connection.
        last_id: a trade's id, the last id that a diff covers.
        first_id: the first id that a diff covers.
        detail: why a connection ended, or took over from another.
        time_ns: a trade's own time.
        overlapping: whether another connection brings everything while this one opens or ends.
        kind: what an unreadable message seems to be: agg_trade, diff or other; empty where it cannot be told.
    """

    what: Literal["trade", "diff", "quarantine", "connected", "disconnected"]
    recv_ns: int
    fact: Fact | None
    last_id: int = 0
    first_id: int = 0
    detail: str = ""
    time_ns: int = 0
    overlapping: bool = False
    kind: str = ""


class HistoricalTrade(msgspec.Struct, frozen=True, gc=False):
    """A trade that was fetched, or its quarantine, and its id."""

    trade_id: int
    fact: Fact


class Exchange(Protocol):
    """One market of an exchange. It raises `ExchangeError`; all but UnknownSymbol and VenueReset may be retried."""

    @property
    def open_connections(self) -> int:
        """Number of feed connections that are open now."""

    @property
    def capabilities(self) -> Capabilities:
        """What this exchange can prove."""

    @property
    def silence_proof(self) -> SilenceProof:
        """What the exchange said when the feed brought no trade."""

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

    async def trades_from(self, trade_id: int) -> Sequence[HistoricalTrade]:
        """Fetch a page of trades from an id on, ids rising; the first id may be larger. Empty: no such trade yet."""

    async def first_trade_since(self, time_ns: int) -> int | None:
        """Id of the first trade at or after a time, else of the newest before it; None for a market without trades."""

    async def clock_offset(self) -> Fact:
        """Measure how far the exchange's clock is ahead of ours, from some round trips."""

    def health(self) -> dict[str, int]:
        """Counters of connections and limits by name, for the status file."""

    async def close(self) -> None:
        """Close all connections."""
