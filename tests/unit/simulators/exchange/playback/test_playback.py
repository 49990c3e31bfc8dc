"""A recording as a market: what it sends, and what REST answers as it is played."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exchanges.errors import BadFile
from simulators.exchange.errors import ApiError
from simulators.exchange.playback.playback import Playback, survey
from simulators.exchange.venue import wire
from simulators.exchange.venue.queries import AggTradesQuery

BOOK = b'{"lastUpdateId":12,"bids":[["99.00","1"],["98.00","2"]],"asks":[["101.00","1"],["102.00","2"]]}'


def wrap(stream: str, event: dict[str, Any]) -> bytes:
    """A message of a combined stream."""
    return json.dumps({"stream": f"btcusdt@{stream}", "data": event}, separators=(",", ":")).encode()


def an_agg_trade(number: int, price: str = "100.10") -> bytes:
    """An aggTrade at a millisecond equal to its id."""
    event = {"e": "aggTrade", "E": number, "s": "BTCUSDT", "a": number, "p": price, "q": "0.010", "f": 1, "l": 1}
    return wrap("aggTrade", {**event, "T": number, "m": True, "M": True})


def a_trade(number: int) -> bytes:
    """A single trade."""
    event = {"e": "trade", "E": number, "s": "BTCUSDT", "t": number, "p": "100.10", "q": "0.010"}
    return wrap("trade", {**event, "T": number, "m": True, "M": True})


def a_diff(first: int, last: int, bids: list[list[str]]) -> bytes:
    """A diff of bids."""
    return wrap("depth@100ms", {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": []})


def write_recording(path: Path, *messages: bytes) -> Path:
    """A recording with one message per millisecond."""
    stamps = range(1_700_000_000_000_000_000, 1_700_000_001_000_000_000, 1_000_000)
    path.write_bytes(b"".join(b"%d %s\n" % (stamp, message) for stamp, message in zip(stamps, messages, strict=False)))
    return path


def play_recording(tmp_path: Path, *messages: bytes, rebuild: bool = False) -> Playback:
    """A recording played to its end."""
    playback = Playback(survey([write_recording(tmp_path / "r", *messages)]), rebuild)
    for message in messages:
        playback.play(message)
    return playback


def ids(playback: Playback, unknown: int = 0, **query: Any) -> list[int]:
    """The agg ids in a REST answer."""
    request = replace(AggTradesQuery(None, None, None, 500), **query)
    return [row["a"] for row in json.loads(playback.agg_trades(request, unknown))]


def test_a_survey_finds_symbol_grid_and_start(tmp_path: Path) -> None:
    """The grid is what all prices and quantities lie on; several files are one recording."""
    first = write_recording(tmp_path / "1", an_agg_trade(1, "100.10"), BOOK)
    second = write_recording(tmp_path / "2", an_agg_trade(2, "100.25"))
    info = survey([first, second])
    assert (info.symbol, info.lines, info.first_ns) == ("BTCUSDT", 3, 1_700_000_000_000_000_000)
    assert (info.tick_size_e8, info.step_size_e8, info.start_price_e8) == (5_000_000, 1_000_000, 10_010_000_000)


def test_a_file_without_trades_is_no_recording(tmp_path: Path) -> None:
    """It has no grid that a market could be made of."""
    with pytest.raises(BadFile, match="no trade"):
        survey([write_recording(tmp_path / "r", BOOK)])


def test_messages_are_sent_as_recorded(tmp_path: Path) -> None:
    """Payload, stream and ids are those of the line; a book is not sent."""
    playback = play_recording(tmp_path, an_agg_trade(1))
    (trade,) = playback.play(an_agg_trade(7))
    (diff,) = playback.play(a_diff(3, 5, []))
    assert (trade.stream, trade.kind, trade.first, trade.last) == ("btcusdt@aggTrade", "trades", 7, 7)
    assert b'{"stream":"btcusdt@aggTrade","data":' + trade.payload + b"}" == an_agg_trade(7)
    assert (diff.stream, diff.kind, diff.first, diff.last) == ("btcusdt@depth@100ms", "diffs", 3, 5)
    assert playback.play(BOOK) == ()


def test_a_single_trade_is_also_an_agg_trade(tmp_path: Path) -> None:
    """Where the recording holds no aggTrade, `a`, `f` and `l` are the trade's id."""
    playback = play_recording(tmp_path, a_trade(1))
    single, agg_trade = playback.play(a_trade(7))
    assert (single.stream, agg_trade.stream) == ("btcusdt@trade", "btcusdt@aggTrade")
    assert json.loads(agg_trade.payload) == {
        "e": "aggTrade", "E": 7, "s": "BTCUSDT", "a": 7, "p": "100.10", "q": "0.010", "f": 7, "l": 7, "T": 7,
        "m": True, "M": True,
    }  # fmt: skip
    assert ids(playback) == [1, 7]


def test_a_single_trade_beside_agg_trades_stays_one(tmp_path: Path) -> None:
    """It is sent on its own stream, and REST answers do not include it."""
    playback = play_recording(tmp_path, an_agg_trade(1))
    assert [message.stream for message in playback.play(a_trade(7))] == ["btcusdt@trade"]
    assert ids(playback) == [1]


def test_rest_knows_the_trades_played_so_far(tmp_path: Path) -> None:
    """From an id, between times (both included), the latest, and without the newest."""
    playback = play_recording(tmp_path, *(an_agg_trade(n) for n in (10, 11, 12, 13)))
    assert ids(playback, from_id=11, limit=2) == [11, 12]
    assert ids(playback, start_ns=11_000_000, end_ns=12_000_000) == [11, 12]
    assert ids(playback, end_ns=12_999_999, limit=2) == [11, 12]
    assert ids(playback, limit=3) == [11, 12, 13]
    assert ids(playback, unknown=1, limit=2) == [11, 12]
    assert ids(playback, from_id=14) == []


def test_rest_knows_the_first_trade_before_it_is_played(tmp_path: Path) -> None:
    """And nothing else: a recorder that asks for the first trade gets the beginning."""
    playback = Playback(survey([write_recording(tmp_path / "r", BOOK, an_agg_trade(10), an_agg_trade(11))]))
    assert ids(playback) == [10]
    playback.play(an_agg_trade(10))
    playback.play(an_agg_trade(11))
    assert ids(playback) == [10, 11]


def test_a_row_is_the_event_without_its_head(tmp_path: Path) -> None:
    """e, E and s are a stream's; the rest is as recorded, in its order."""
    playback = play_recording(tmp_path, an_agg_trade(10))
    body = playback.agg_trades(AggTradesQuery(10, None, None, 1), 0)
    assert body == b'[{"a":10,"p":"100.10","q":"0.010","f":1,"l":1,"T":10,"m":true,"M":true}]'


def test_depth_is_the_newest_recorded_book(tmp_path: Path) -> None:
    """To the byte; fewer levels where fewer are asked for; a 503 before the first."""
    playback = play_recording(tmp_path, an_agg_trade(1))
    with pytest.raises(ApiError) as refusal:
        playback.depth(100)
    assert refusal.value.status == 503
    playback.play(BOOK)
    playback.play(a_diff(13, 14, [["99.00", "0.00"]]))
    assert playback.depth(100) == BOOK
    assert json.loads(playback.depth(1)) == {"lastUpdateId": 12, "bids": [["99.00", "1"]], "asks": [["101.00", "1"]]}


def test_depth_can_be_rebuilt_as_of_now(tmp_path: Path) -> None:
    """The recorded book and what is newer of the diffs before and after it."""
    diffs = a_diff(9, 11, [["99.00", "7"]]), a_diff(12, 13, [["97.00", "3"]]), a_diff(14, 15, [["99.00", "0.00"]])
    playback = play_recording(tmp_path, an_agg_trade(1), diffs[0], diffs[1], BOOK, diffs[2], rebuild=True)
    assert json.loads(playback.depth(100)) == {
        "lastUpdateId": 15,
        "bids": [["98.00", "2"], ["97.00", "3"]],
        "asks": [["101.00", "1"], ["102.00", "2"]],
    }


@pytest.mark.parametrize("line", [b"no json", b'{"stream":3}', b"[" * 100_000])
def test_a_line_of_no_stream_is_skipped(tmp_path: Path, line: bytes) -> None:
    """It is not sent, and it is counted."""
    playback = play_recording(tmp_path, an_agg_trade(1))
    assert playback.play(line) == ()
    assert playback.skipped_lines == 1


def test_an_unreadable_event_is_sent_as_it_came(tmp_path: Path) -> None:
    """Clients of its stream get it; REST answers do not include it."""
    playback = play_recording(tmp_path, an_agg_trade(1))
    line = b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade"}}'
    assert [message.payload for message in playback.play(line)] == [b'{"e":"aggTrade"}']
    assert ids(playback) == [1]


def test_the_recorded_grid_is_listed(tmp_path: Path) -> None:
    """exchangeInfo gives the symbol with the tick and the step of its trades."""
    info = play_recording(tmp_path, an_agg_trade(1)).symbol_info()
    (symbol,) = json.loads(wire.exchange_info([info], 0, 6_000))["symbols"]
    assert (symbol["symbol"], symbol["quoteAsset"], symbol["status"]) == ("BTCUSDT", "USDT", "TRADING")
    assert symbol["filters"][0]["tickSize"] == "100.10000000"
    assert symbol["filters"][1]["stepSize"] == "0.01000000"
