"""The requests of clients: their parameters, their limits, and their refusals."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.timestamps import MINUTE_NS, SECOND_NS
from simulators.exchange.errors import ApiError
from simulators.exchange.streams import control
from simulators.exchange.venue import queries
from simulators.exchange.venue.limits import Charge, MessageMeter, WeightMeter


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"fromId": "1", "startTime": "2"}, -1128),
        ({"fromId": "1", "endTime": "2"}, -1128),
        ({"fromId": "x"}, -1100),
        ({"fromId": "-1"}, -1100),
        ({"fromId": "٣"}, -1100),
        ({"startTime": ""}, -1105),
        ({"limit": "0"}, -1130),
        ({"fromId": "99999999999999999999"}, -1130),
    ],
)
def test_bad_agg_trades_queries_are_refused(query: dict[str, str], code: int) -> None:
    """Each invalid request gets Binance's error code."""
    with pytest.raises(ApiError) as refusal:
        queries.parse_agg_trades(query)
    assert refusal.value.code == code


def test_good_agg_trades_queries_are_read() -> None:
    """Milliseconds and microseconds both become nanoseconds, and limits have a default and a ceiling."""
    read = queries.parse_agg_trades({"startTime": "1700000000000", "endTime": "1700000000000000", "limit": "5000"})
    assert (read.start_ns, read.end_ns, read.limit) == (1_700_000_000 * SECOND_NS, 1_700_000_000 * SECOND_NS, 1_000)
    assert queries.parse_agg_trades({}).limit == 500
    assert queries.parse_agg_trades({"fromId": "0"}).from_id == 0


@pytest.mark.parametrize(
    ("limit", "weight"),
    [("1", 5), ("100", 5), ("101", 25), ("500", 25), ("501", 50), ("1000", 50), ("1001", 250), ("9999", 250), ("x", 5)],
)
def test_depth_weights(limit: str, weight: int) -> None:
    """A depth request costs what Binance charges for its limit."""
    assert queries.depth_weight({"limit": limit}) == weight


@pytest.mark.parametrize(
    ("query", "code"),
    [({}, -1102), ({"symbol": ""}, -1102), ({"symbol": "btc"}, -1100), ({"symbol": "ETHUSDT"}, -1121)],
)
def test_symbols_are_checked(query: dict[str, str], code: int) -> None:
    """A missing, malformed or unknown symbol each has its own refusal."""
    with pytest.raises(ApiError) as refusal:
        queries.parse_symbol(query, {"BTCFDUSD"})
    assert refusal.value.code == code


def test_unknown_parameters_are_refused() -> None:
    """A parameter the endpoint does not know is not silently dropped."""
    with pytest.raises(ApiError, match="-1104"):
        queries.check_names({"symbol": "A", "side": "x"}, ("symbol",))
    with pytest.raises(ApiError, match="-1101"):
        queries.check_names({"a": "1"}, ())
    queries.check_names({"symbol": "A"}, ("symbol", "limit"))


def test_weight_is_refused_then_banned_then_forgiven() -> None:
    """Over the limit comes 429, going on brings 418, and after the ban a new minute starts from nothing."""
    meter = WeightMeter(limit=10, patience=2, ban_s=90)
    assert meter.charge(5 * SECOND_NS, 10) == Charge(200, 10)
    assert meter.charge(20 * SECOND_NS, 4) == Charge(429, 14, 40)
    assert meter.charge(20 * SECOND_NS + 1, 4) == Charge(429, 18, 40)
    assert meter.charge(30 * SECOND_NS, 4) == Charge(418, 22, 90)
    assert meter.charge(MINUTE_NS, 4) == Charge(418, 0, 60)
    assert meter.charge(2 * MINUTE_NS, 4) == Charge(200, 4)


def test_patience_starts_anew_each_minute() -> None:
    """A client that slows down in time is never banned."""
    meter = WeightMeter(limit=1, patience=1)
    statuses = [meter.charge(minute * MINUTE_NS, 1).status for minute in range(3) for _ in range(2)]
    assert statuses == [200, 429] * 3


def test_five_messages_a_second_are_allowed() -> None:
    """The sixth message within a second is one too many; a second later they count anew."""
    meter = MessageMeter(5)
    assert [meter.allows(SECOND_NS * 9 + i) for i in range(6)] == [True] * 5 + [False]
    assert meter.allows(SECOND_NS * 10)


def test_subscriptions_come_and_go() -> None:
    """SUBSCRIBE adds once, UNSUBSCRIBE removes, LIST_SUBSCRIPTIONS lists them."""
    streams, reply = control.answer('{"method":"SUBSCRIBE","params":["a","b","a"],"id":1}', ("b",))
    assert (streams, reply) == (("b", "a"), b'{"result":null,"id":1}')
    assert control.answer('{"method":"LIST_SUBSCRIPTIONS","id":"x3"}', streams) == (
        streams,
        b'{"result":["b","a"],"id":"x3"}',
    )
    assert control.answer('{"method":"UNSUBSCRIBE","params":["b"],"id":null}', streams)[0] == ("a",)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 3),
        ("[]", 2),
        ('{"method":"SHOUT","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"a","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["a"],"id":1.5}', 2),
    ],
)
def test_bad_control_messages_change_nothing(message: str, code: int) -> None:
    """An invalid message is answered with an error and leaves the subscriptions alone."""
    streams, reply = control.answer(message, ("a",))
    assert streams == ("a",)
    assert json.loads(reply)["error"]["code"] == code


def test_too_many_streams_are_refused() -> None:
    """A connection holds 1024 streams and not one more."""
    names = [f"s{i}" for i in range(1_025)]
    streams, reply = control.answer(json.dumps({"method": "SUBSCRIBE", "params": names, "id": 1}), ())
    assert streams == ()
    assert json.loads(reply)["error"]["code"] == 2


@given(st.text(max_size=60))
def test_any_text_gets_a_reply(message: str) -> None:
    """Whatever a client writes, the answer is JSON and nothing breaks."""
    streams, reply = control.answer(message, ("a",))
    assert streams == ("a",)
    assert "id" in json.loads(reply)
