"""Addresses before messages: whose a message is that does not say so itself, and of which kind of market."""

import json
from pathlib import Path

import pytest

from eventlog.facts.market import AGG_TRADE, SNAPSHOT
from exchanges.binance.recordings.recording_addresses import Address, address_of
from exchanges.errors import BadFile
from tests.unit.exchanges.binance.test_odd_recordings import a_book, a_trade, bring, counts, of_futures, text

REST = "https://api.binance.com/api/v3/depth?symbol={}&limit=5000"
STREAM = "wss://stream.binance.com:9443/{}"


def format_line(address: str, message: object, at: str = "1704067205.5") -> str:
    """A line with the address that its message came from."""
    return f"{address} -> {at}: {json.dumps(message)}\n"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (REST.format("ETHUSDT"), Address("ETHUSDT")),
        ("https://api.binance.com/api/v3/depth?limit=5&symbol=ethusdt", Address("ETHUSDT")),
        (STREAM.format("ws/ethusdt@depth@100ms"), Address("ETHUSDT", "depth@100ms")),
        (STREAM.format("ws/btcusdt%40aggTrade"), Address("BTCUSDT", "aggTrade")),
        (STREAM.format("stream?streams=ethusdt@depth"), Address("ETHUSDT", "depth")),
        (STREAM.format("stream?streams=ethusdt@depth/btcusdt@depth"), Address(None, "depth")),
        (STREAM.format("ws/btcusdt@aggTrade/btcusdt@depth20@100ms"), Address("BTCUSDT", "depth20@100ms")),
        (STREAM.format("ws"), Address()),
        (STREAM.format("ws/!miniTicker@arr"), Address(None, "")),
        ("https://data-api.binance.vision/api/v3/depth", Address()),
        ("wss://ws-api.binance.com:443/ws-api/v3", Address()),
        ("wss://[broken/x", Address()),
        ("wss://fstream.binance.com/ws", Address(other_market="a futures market")),
        ("wss://dstream.binance.com/ws/btcusd_perp@trade", Address("BTCUSD_PERP", "trade", "a futures market")),
        ("https://fapi.binance.com/fapi/v1/time", Address(other_market="a futures market")),
        ("https://dapi.binance.com/dapi/v1/time", Address(other_market="a futures market")),
        ("https://www.binance.com/fapi/v1/time", Address(other_market="a futures market")),
        ("wss://ws-fapi.binance.com/ws", Address(other_market="a futures market")),
        ("wss://stream.binancefuture.com/ws", Address(other_market="a futures market")),
        ("https://eapi.binance.com/x", Address(other_market="an options market")),
    ],
)
def test_an_address_tells_symbol_stream_and_kind_of_market(address: str, said: Address) -> None:
    """In path or query, in whichever case; of several symbols none; what is no address says nothing."""
    assert address_of(address.encode()) == said


def test_a_book_is_of_the_symbol_in_its_address(tmp_path: Path) -> None:
    """Another symbol's is passed over and counted; the market's own is taken."""
    ours, theirs = (format_line(REST.format(symbol), a_book(5)) for symbol in ("BTCUSDT", "ETHUSDT"))
    (done,), rows = bring(tmp_path, text(a_trade(1)) + theirs + ours)
    assert counts(rows) == (1, 0, 1)
    assert done.others == 1
    assert done.notes == ("messages of other symbols were passed over: ETHUSDT 1",)
    assert rows[SNAPSHOT][0]["recv_ns"] == 1_704_067_205_500_000_000


@pytest.mark.parametrize("stream", ["ws/ethusdt@depth20", "stream?streams=ethusdt@depth20"])
def test_a_book_is_of_the_stream_in_its_address(tmp_path: Path, stream: str) -> None:
    """As one without a name of its own came on it."""
    (done,), rows = bring(tmp_path, text(a_trade(1)) + format_line(STREAM.format(stream), a_book(5)))
    assert (counts(rows), done.others) == ((1, 0, 0), 1)


def test_a_few_best_levels_are_no_book_of_rest(tmp_path: Path) -> None:
    """Their stream says that they are not the whole book."""
    line = format_line(STREAM.format("ws/btcusdt@aggTrade/btcusdt@depth5"), a_book(5))
    (done,), rows = bring(tmp_path, text(a_trade(1)) + line)
    assert (counts(rows), done.skipped) == ((1, 0, 0), 1)


def test_a_message_that_names_its_symbol_is_of_that(tmp_path: Path) -> None:
    """A connection may have subscribed to more than its address names."""
    line = format_line(STREAM.format("ws/ethusdt@aggTrade"), a_trade(1))
    (done,), rows = bring(tmp_path, line)
    assert (len(rows[AGG_TRADE]), done.others) == (1, 0)


@pytest.mark.parametrize("way", ["->", "<->", "<-"])
@pytest.mark.parametrize("address", ["wss://fstream.binance.com/ws", "https://dapi.binance.com/dapi/v1/depth"])
def test_an_address_of_a_futures_market_is_refused(tmp_path: Path, address: str, way: str) -> None:
    """Whichever way the line goes, and though its trades lack nothing but the field M."""
    line = format_line(address, of_futures(a_trade(1))).replace("->", way)
    with pytest.raises(BadFile, match=r"line 2: its address '.*' is of a futures market, which is not spot; record"):
        bring(tmp_path, text(of_futures(a_trade(2))) + line)
