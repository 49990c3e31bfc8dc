"""The messages of the exchange are Binance's JSON to the byte."""

import json

import numpy as np

from market.arrays import I64
from simulators.exchange.market.engine import DepthDiff, MarketEngine
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.trades import Trades
from simulators.exchange.venue import wire
from simulators.exchange.venue.depth_merger import DepthMerger


def a_trade(buyer_is_maker: int = 1) -> Trades:
    fields = [26129, 10_000_025_000_000, 1_000, 27781, 27783, 1_700_000_000_123_000_000, buyer_is_maker]
    return Trades(np.array(fields, np.int64).reshape(7, 1))


def a_side(*levels: tuple[int, int]) -> tuple[I64, I64]:
    return np.array([p for p, _ in levels], np.int64), np.array([q for _, q in levels], np.int64)


def test_the_agg_trade_event() -> None:
    """A stream event has e, E, s first and every decimal written out."""
    assert wire.agg_trade_events("BTCFDUSD", 1_700_000_000_200, a_trade()) == [
        b'{"e":"aggTrade","E":1700000000200,"s":"BTCFDUSD","a":26129,"p":"100000.25000000","q":"0.00001000",'
        b'"f":27781,"l":27783,"T":1700000000123,"m":true,"M":true}'
    ]


def test_the_agg_trade_rows() -> None:
    """A REST row is the event without e, E and s; no rows are an empty list."""
    assert wire.agg_trade_rows(a_trade(0)) == (
        b'[{"a":26129,"p":"100000.25000000","q":"0.00001000","f":27781,"l":27783,"T":1700000000123,"m":false,"M":true}]'
    )
    assert wire.agg_trade_rows(a_trade()[:0]) == b"[]"


def test_the_depth_update() -> None:
    """A diff names both its ids and writes a deleted level as a zero."""
    diff = DepthDiff(157, 160, a_side((10_000_000_000_000, 0)), a_side())
    assert wire.depth_update("BTCFDUSD", 123, diff) == (
        b'{"e":"depthUpdate","E":123,"s":"BTCFDUSD","U":157,"u":160,"b":[["100000.00000000","0.00000000"]],"a":[]}'
    )


def test_the_depth_body() -> None:
    """A snapshot has an id, two sides and no time."""
    body = wire.depth_body(1027024, a_side((400_000_000, 43_100_000_000)), a_side((400_000_200, 1_200_000_000)))
    assert (
        body == b'{"lastUpdateId":1027024,"bids":[["4.00000000","431.00000000"]],"asks":[["4.00000200","12.00000000"]]}'
    )


def test_the_small_messages() -> None:
    """Errors, the time, the shutdown notice and the combined wrapper are what Binance sends."""
    assert wire.error_body(-1121, "Invalid symbol.") == b'{"code":-1121,"msg":"Invalid symbol."}'
    assert wire.server_time(1499827319559) == b'{"serverTime":1499827319559}'
    assert wire.shutdown_notice(5) == b'{"e":"serverShutdown","E":5}'
    assert wire.wrap_in_stream("btcfdusd@depth", b'{"u":1}') == b'{"stream":"btcfdusd@depth","data":{"u":1}}'


def test_exchange_info_names_the_grid() -> None:
    """The symbol's filters carry the grid the market really trades on."""
    info = json.loads(wire.exchange_info([(MarketParameters(), "TRADING")], 5, 6_000))
    symbol = info["symbols"][0]
    assert (symbol["symbol"], symbol["status"]) == ("BTCFDUSD", "TRADING")
    assert (symbol["baseAsset"], symbol["quoteAsset"]) == ("BTC", "FDUSD")
    filters = {row["filterType"]: row for row in symbol["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert info["rateLimits"][0]["limit"] == 6_000


def test_a_merged_diff_does_what_its_parts_do() -> None:
    """Ten diffs merged leave the book that ten diffs one by one leave, under the ids of the first and last."""
    engine, merger = MarketEngine(MarketParameters(), np.random.default_rng(2), 0), DepthMerger()
    parts = [step.depth for step in engine.run(10)]
    diffs = [merger.add(part) for part in parts]
    assert diffs[:9] == [None] * 9
    last = diffs[9]
    assert last is not None
    assert (last.first_update_id, last.last_update_id) == (parts[0].first_update_id, parts[9].last_update_id)
    for side in ("bids", "asks"):
        one_by_one: dict[int, int] = {}
        for part in parts:
            one_by_one.update(zip(*(column.tolist() for column in getattr(part, side)), strict=True))
        prices, quantities = getattr(last, side)
        assert dict(zip(prices.tolist(), quantities.tolist(), strict=True)) == one_by_one
        assert prices.tolist() == sorted(one_by_one, reverse=side == "bids")


def test_nothing_changed_is_no_diff() -> None:
    """A span of steps without a change sends nothing."""
    nothing = DepthDiff(8, 7, a_side(), a_side())
    assert DepthMerger(span=1).add(nothing) is None
