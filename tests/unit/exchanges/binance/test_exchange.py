"""What the feed brings, read before the log sees it: live bad input is quarantined and counted, never a crash."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.clock import ManualClock
from eventlog.facts.capture import QUARANTINE, Quarantine
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE, DIFF
from exchanges.binance.exchange import BinanceExchange
from exchanges.binance.feed.message_buffer import RawMessage
from exchanges.binance.feed.stream import BinanceStream
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.rest import BinanceRest, TradeRow
from exchanges.errors import BadReply
from exchanges.port import Arrival

NOW = 1_767_600_000_000_000_000
CLOCK = ManualClock(NOW)


def an_exchange() -> BinanceExchange:
    """An exchange whose feed is handed to it."""
    rest = BinanceRest("http://127.0.0.1:9", "BTCFDUSD", 1.0, 6000, CLOCK)
    return BinanceExchange(rest, BinanceStream("ws://127.0.0.1:9", [], CLOCK), BinanceMapper("BTCFDUSD"))


def a_trade(agg_id: int = 7, price: str = "100000.25", **more: object) -> bytes:
    """An aggTrade as the combined stream wraps it."""
    fields: dict[str, object] = {
        "e": "aggTrade", "E": NOW // 10**6, "s": "BTCFDUSD", "a": agg_id, "p": price, "q": "0.001",
        "f": agg_id, "l": agg_id, "T": NOW // 10**6, "m": True, "M": True,
    }  # fmt: skip
    return msgspec.json.encode({"stream": "btcfdusd@aggTrade", "data": fields | more})


def arrivals(*messages: bytes) -> list[Arrival]:
    """What an exchange makes of messages."""
    return an_exchange().read([RawMessage("message", NOW, m) for m in messages])


def test_readable_messages_keep_their_order_and_the_venues_bytes() -> None:
    """Trades and diffs come out as they came in, with the numbers that order them."""
    diff = b'{"e":"depthUpdate","E":1767600000000,"s":"BTCFDUSD","U":5,"u":9,"b":[["1.00","0.0"]],"a":[]}'
    envelope = b'{"stream":"btcfdusd@depth@100ms","data":' + diff + b"}"
    results = arrivals(a_trade(7), envelope, a_trade(8))
    assert [(a.what, a.last_id) for a in results] == [("trade", 7), ("diff", 9), ("trade", 8)]
    assert results[1].first_id == 5
    assert results[1].fact is not None
    assert (results[1].fact.kind, results[1].fact.data) == (DIFF, diff)
    assert results[0].fact is not None
    assert results[0].fact.kind == AGG_TRADE


BAD = {
    "a negative price": a_trade(price="-1"),
    "an exponent": a_trade(price="1e5"),
    "nine decimals": a_trade(price="1.123456789"),
    "a number for a text": a_trade(p=1.5),
    "the year 2030": a_trade(T=1_900_000_000_000),
    "another symbol": a_trade(s="ETHFDUSD"),
    "ids reversed": a_trade(f=9, l=8),
    "an id beyond 64 bits": a_trade(f=2**70, l=2**70),
    "a missing price": b'{"stream":"btcfdusd@aggTrade","data":{"e":"aggTrade","a":7}}',
    "half a message": a_trade()[:-20],
    "bytes": b"\xff\x00\x13",
    "an unknown event": b'{"stream":"btcfdusd@kline","data":{"e":"kline"}}',
}


def test_bad_messages_are_quarantined_with_their_reason_and_good_ones_go_on() -> None:
    """Every bad message becomes a quarantine fact; the trades around it are untouched."""
    for what, message in BAD.items():
        before, bad, after = arrivals(a_trade(6), message, a_trade(8))
        assert (before.what, before.last_id, after.what, after.last_id) == ("trade", 6, "trade", 8)
        assert bad.what == "quarantine", what
        assert bad.fact is not None
        assert bad.fact.kind == QUARANTINE
        assert msgspec.json.decode(bad.fact.data, type=Quarantine).reason


def test_a_trade_garbled_on_the_wire_closes_no_id() -> None:
    """REST may still have it; an absurd id in unreadable bytes must not open a gap up to it."""
    for agg_id in (9, 10**15):
        (bad,) = arrivals(a_trade(agg_id, price="NaN"))
        assert bad.last_id == 0
        assert bad.fact is not None
        assert msgspec.json.decode(bad.fact.data, type=Quarantine).agg_id is None


def test_fields_the_venue_adds_are_no_fault() -> None:
    """A new field does not stop the recording."""
    (trade,) = arrivals(a_trade(7, nextField={"x": 1}))
    assert (trade.what, trade.last_id) == ("trade", 7)


def test_a_shutdown_notice_is_heard_and_not_recorded() -> None:
    """`serverShutdown` has no symbol and no id; it asks for a new connection."""
    assert arrivals(b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}') == []


class Rows:
    """REST that knows of some trades since a time, and of a newest one."""

    def __init__(self, since: list[TradeRow], newest: list[TradeRow]) -> None:
        self.since, self.newest = since, newest

    async def trades_since(self, time_ns: int, limit: int) -> list[TradeRow]:
        """The trades since a time."""
        return self.since[:limit]

    async def latest_trades(self, limit: int) -> list[TradeRow]:
        """The newest one."""
        return self.newest[-limit:]


def a_row(agg_id: int, at_ns: int) -> TradeRow:
    """A row of REST aggTrades."""
    body = {"a": agg_id, "p": "1", "q": "1", "f": agg_id, "l": agg_id, "T": at_ns // 10**6, "m": True, "M": True}
    return TradeRow(agg_id, Fact(AGG_TRADE, NOW, msgspec.json.encode(body)))


async def first_since(rest: Any) -> int | None:
    """The first trade of the last second."""
    return await BinanceExchange(rest, BinanceStream("ws://x", [], CLOCK), BinanceMapper("BTCFDUSD")).first_trade_since(
        NOW - 10**9
    )


async def test_a_history_begins_with_its_first_trade_or_the_newest_before_it() -> None:
    """Of a quiet market the last trade there was; of a market without any, none."""
    assert await first_since(Rows([a_row(5, NOW)], [a_row(9, NOW)])) == 5
    assert await first_since(Rows([], [a_row(9, NOW - 2 * 10**9)])) == 9
    assert await first_since(Rows([], [])) is None


async def test_a_history_is_not_skipped_for_one_empty_page() -> None:
    """No trade since a time, and then one from after it: the first answer was wrong, and is asked for again."""
    with pytest.raises(BadReply, match="knew of no trade"):
        await first_since(Rows([], [a_row(9, NOW)]))


@given(st.lists(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), max_size=5))
def test_random_bytes_never_stop_the_feed(messages: list[bytes]) -> None:
    """Whatever comes is quarantine; a trade after it is still read."""
    results = arrivals(*messages, a_trade(7))
    assert results[-1].what == "trade"
    assert all(a.what == "quarantine" for a in results[:-1])
