"""
The venue's messages about a market, stored as its bytes: trades, books, changes of the book, the instrument.
"""

from eventlog.facts.entry import Columns
from eventlog.facts.kind import EVENTS, Kind

AGG_TRADE = "agg_trade"
SNAPSHOT = "snapshot"
DIFF = "diff"
INSTRUMENT = "instrument"


class AggTrade(Columns, frozen=True):
    """
    A trade as the venue aggregates them; numbers are counts of 1e-8, `extra` holds what else the venue sent, as JSON.

    Attributes:
        event_time_ns, best_match: None where the venue did not say, as in answers of REST and in archives.
        source: how it reached us: stream, rest, archive or trade.
    """

    trade_time_ns: int
    event_time_ns: int | None
    agg_id: int
    price_e8: int
    quantity_e8: int
    first_trade_id: int
    last_trade_id: int
    buyer_is_maker: bool
    best_match: bool | None
    source: str
    extra: str | None


class Snapshot(Columns, frozen=True):
    """
    The book as REST answered it, best levels first.

    Attributes:
        request_ns, response_ns: when it was requested and when it arrived, by our clock. limit: levels requested.
    """

    request_ns: int
    response_ns: int
    limit: int
    last_update_id: int
    bid_price_e8: list[int]
    bid_quantity_e8: list[int]
    ask_price_e8: list[int]
    ask_quantity_e8: list[int]
    extra: str | None


class Diff(Columns, frozen=True):
    """Levels that changed from one update id to another; a quantity of 0 removes a level."""

    event_time_ns: int
    first_update_id: int
    last_update_id: int
    bid_price_e8: list[int]
    bid_quantity_e8: list[int]
    ask_price_e8: list[int]
    ask_quantity_e8: list[int]
    extra: str | None


class Instrument(Columns, frozen=True):
    """
    What may be traded and how finely: at the start of a log, and when it changes.

    Attributes:
        quantity_decimals: how many decimals quantities of this log keep. source: exchangeInfo, or inferred by an
            import from the prices and quantities that it read.
    """

    symbol: str
    status: str
    tick_size_e8: int
    step_size_e8: int
    min_notional_e8: int
    quantity_decimals: int
    source: str
    extra: str | None


MARKET_KINDS = (
    Kind(
        AGG_TRADE,
        AggTrade,
        EVENTS,
        check_columns=("agg_id", "first_trade_id", "last_trade_id"),
        coverage_columns=("agg_id", "first_trade_id", "last_trade_id", "trade_time_ns"),
    ),
    Kind(SNAPSHOT, Snapshot, EVENTS, coverage_columns=("recv_ns", "last_update_id")),
    Kind(DIFF, Diff, EVENTS, coverage_columns=("recv_ns", "first_update_id", "last_update_id")),
    Kind(INSTRUMENT, Instrument, EVENTS),
)
