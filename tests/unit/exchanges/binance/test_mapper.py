"""The venue's bytes as columns: what is read, what is kept, what is refused and where."""

from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from eventlog.facts.entry import Entry, Fact
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.messages import BadMessage, pack_snapshot, unwrap
from market.timestamps import SECOND_NS
from tests.builders import (
    MAPPER,
    T0,
    a_diff,
    a_rest_trade,
    a_snapshot,
    a_trade,
    an_instrument,
    as_entries,
)

BIG = 10**30


def with_fields(fact: Fact, **fields: Any) -> Fact:
    """A JSON fact with other fields; None takes one away."""
    body = msgspec.json.decode(fact.data) | fields
    return Fact(fact.kind, fact.recv_ns, msgspec.json.encode({k: v for k, v in body.items() if v is not None}))


def with_text(fact: Fact, old: str, new: str) -> Fact:
    """A fact with other bytes."""
    assert old.encode() in fact.data
    return Fact(fact.kind, fact.recv_ns, fact.data.replace(old.encode(), new.encode()))


def rows(*facts: Fact, mapper: BinanceMapper = MAPPER) -> list[dict[str, Any]]:
    """What a mapper reads."""
    return mapper.decoders[facts[0].kind](as_entries(facts)).to_pylist()


def refusal(*facts: Fact) -> BadMessage:
    """What a mapper says of the first fact it refuses."""
    with pytest.raises(BadMessage) as caught:
        MAPPER.decoders[facts[0].kind](as_entries(facts))
    assert "\n" not in str(caught.value)
    return caught.value


def test_an_agg_trade_is_read_whole() -> None:
    """Exact numbers, both clocks, the aggressor, where it came from."""
    (row,) = rows(a_trade(7, "42283.58", "0.00069", T0 + 5 * 10**6, seller=True, recv_ns=T0 + 9, first_id=3, last_id=4))
    assert row == {
        "seq": 1,
        "recv_ns": T0 + 9,
        "trade_time_ns": T0 + 5 * 10**6,
        "event_time_ns": T0 + 5 * 10**6,
        "agg_id": 7,
        "price_e8": 4_228_358_000_000,
        "quantity_e8": 69_000,
        "first_trade_id": 3,
        "last_trade_id": 4,
        "buyer_is_maker": True,
        "best_match": True,
        "source": "stream",
        "extra": None,
    }


def test_a_rest_row_has_no_event_time() -> None:
    """It is told apart by what it lacks, among stream events too."""
    table = rows(a_trade(1), a_rest_trade(2), a_trade(3))
    assert [r["source"] for r in table] == ["stream", "rest", "stream"]
    assert [r["event_time_ns"] for r in table] == [T0, None, T0]


def test_a_single_trade_is_an_agg_trade_of_one() -> None:
    """Nothing is lost: order ids and new fields stay in `extra`."""
    data = msgspec.json.encode(
        {"e": "trade", "E": T0 // 10**6, "s": "BTCFDUSD", "t": 5, "p": "1", "q": "2", "b": 8, "a": 9,
         "T": T0 // 10**6, "m": True, "M": True, "X": "new"}
    )  # fmt: skip
    (row,) = rows(Fact(AGG_TRADE, T0, data))
    assert (row["agg_id"], row["first_trade_id"], row["last_trade_id"], row["source"]) == (5, 5, 5, "trade")
    assert msgspec.json.decode(row["extra"]) == {"a": 9, "b": 8, "X": "new"}


@pytest.mark.parametrize("fact", [a_trade(1), a_diff(), a_rest_trade(1)])
def test_fields_the_venue_adds_are_kept(fact: Fact) -> None:
    """Nothing the venue sent is lost, and what is known is read as before."""
    (plain,), (more,) = rows(fact), rows(with_fields(fact, nq="1.5", z=[1, 2]))
    assert msgspec.json.decode(more["extra"]) == {"nq": "1.5", "z": [1, 2]}
    assert more | {"extra": None} == plain


def test_microseconds_are_read_as_such() -> None:
    """The stream may be asked for µs."""
    (row,) = rows(with_fields(a_trade(1), T=T0 // 1000 + 7, E=T0 // 1000 + 8))
    assert (row["trade_time_ns"], row["event_time_ns"]) == (T0 + 7_000, T0 + 8_000)


BAD_TRADES: list[tuple[Callable[[Fact], Fact], str]] = [
    (lambda f: with_fields(f, p="-1"), "no sign"),
    (lambda f: with_fields(f, p="0.00000000"), "is zero"),
    (lambda f: with_fields(f, q="0"), "is zero"),
    (lambda f: with_fields(f, q="1e3"), "no exponent"),
    (lambda f: with_fields(f, p="NaN"), "plain decimal"),
    (lambda f: with_fields(f, p="0.123456789"), "more decimals"),
    (lambda f: with_fields(f, p=1.5), "not as documented"),
    (lambda f: with_fields(f, p=None), "not as documented"),
    (lambda f: with_fields(f, m=1), "not as documented"),
    (lambda f: with_fields(f, a="1"), "not as documented"),
    (lambda f: with_fields(f, s="ETHFDUSD"), "expected BTCFDUSD"),
    (lambda f: with_fields(f, e="depthUpdate"), "expected aggTrade"),
    (lambda f: with_fields(f, a=-1), "ids are negative"),
    (lambda f: with_fields(f, f=5, l=4), "wrong order"),
    (lambda f: with_fields(f, T=5), "no time"),
    (lambda f: with_fields(f, E=5), "no time"),
    (lambda f: with_fields(f, T=(T0 + 601 * SECOND_NS) // 10**6), "ahead of its arrival"),
    (lambda f: Fact(f.kind, f.recv_ns, b""), "not as documented"),
    (lambda f: Fact(f.kind, f.recv_ns, b"null"), "not as documented"),
    (lambda f: Fact(f.kind, f.recv_ns, f.data[:-1]), "not as documented"),
    (lambda f: Fact(f.kind, f.recv_ns, b"\xff\xfe"), "not as documented"),
    (lambda f: with_text(f, '"a":1', f'"a":{BIG}'), ""),
    (lambda f: with_text(f, '"f":1', f'"f":{BIG}'), ""),
    (lambda f: with_text(f, '"l":1', f'"l":{2**63}'), ""),
    (lambda f: with_text(f, f'"T":{T0 // 10**6}', f'"T":{BIG}'), ""),
    (lambda f: with_text(f, f'"E":{T0 // 10**6}', f'"E":{BIG}'), ""),
    (lambda f: Fact(f.kind, f.recv_ns, b'{"x":' + b"[" * 100_000), ""),
]


@pytest.mark.parametrize(("spoil", "reason"), BAD_TRADES)
def test_a_bad_trade_is_named_by_its_place(spoil: Callable[[Fact], Fact], reason: str) -> None:
    """The good ones around it must not be quarantined in its stead."""
    bad = spoil(a_trade(1))
    for before in ([], [a_rest_trade(2)], [a_trade(3), a_rest_trade(4), a_trade(5)]):
        error = refusal(*before, bad, a_trade(9))
        assert error.row == len(before)
        assert reason in str(error)


def test_a_trade_a_minute_ahead_is_let_pass() -> None:
    """Clocks disagree by seconds in real recordings, so a negative latency is data."""
    (row,) = rows(a_trade(1, at_ns=T0 + 60 * SECOND_NS, recv_ns=T0))
    assert row["trade_time_ns"] - row["recv_ns"] == 60 * SECOND_NS


def test_a_diff_keeps_the_venues_order_and_its_deletions() -> None:
    """Quantity zero deletes a level."""
    (row,) = rows(a_diff(11, 15, [("99.5", "0.00000000"), ("99", "2")], []))
    assert (row["first_update_id"], row["last_update_id"], row["event_time_ns"]) == (11, 15, T0)
    assert (row["bid_price_e8"], row["bid_quantity_e8"]) == ([9_950_000_000, 9_900_000_000], [0, 200_000_000])
    assert row["ask_price_e8"] == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (a_diff(13, 12), "out of order"),
        (a_diff(-1, 12), "out of order"),
        (with_fields(a_diff(), e="trade"), "out of order"),
        (with_fields(a_diff(), s="X"), "expected BTCFDUSD"),
        (a_diff(bids=[("x", "1")]), "plain decimal"),
        (a_diff(asks=[("1", "-1")]), "plain decimal"),
        (a_diff(asks=[("0", "1")]), "is zero"),
        (with_fields(a_diff(), b=[["1"]]), "not as documented"),
        (with_fields(a_diff(), b=[["1", "2", []]]), "not as documented"),
        (with_fields(a_diff(), E=None), "not as documented"),
        (with_text(a_diff(), '"u":12', f'"u":{BIG}'), ""),
        (with_text(a_diff(), '"E":', '"E":1'), "no time"),
    ],
)
def test_a_bad_diff_is_named_by_its_place(bad: Fact, reason: str) -> None:
    """Between good ones."""
    error = refusal(a_diff(), bad, a_diff())
    assert error.row == 1
    assert reason in str(error)


def test_a_snapshot_is_read_whole() -> None:
    """Levels best first, and how it was asked for."""
    (row,) = rows(a_snapshot([("99.5", "2"), ("99", "1")], [("100.5", "3")], update_id=77, limit=100))
    assert (row["request_ns"], row["response_ns"], row["limit"], row["last_update_id"]) == (T0, T0 + 10**6, 100, 77)
    assert (row["bid_price_e8"], row["ask_quantity_e8"]) == ([9_950_000_000, 9_900_000_000], [300_000_000])


def test_an_empty_side_is_a_book_too() -> None:
    """A halted market may have none."""
    (row,) = rows(a_snapshot([], []))
    assert row["bid_price_e8"] == row["ask_price_e8"] == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (a_snapshot([("99", "1"), ("99.5", "1")]), "does not follow the level before it"),
        (a_snapshot(asks=[("100", "1"), ("100", "1")]), "does not follow the level before it"),
        (a_snapshot([("100", "1")], [("100", "1")]), "best bid is not below its best ask"),
        (a_snapshot([("100", "0")]), "is zero"),
        (a_snapshot([("x", "1")]), "plain decimal"),
        (Fact(SNAPSHOT, T0, b""), "no packed snapshot"),
        (Fact(SNAPSHOT, T0, b"plain"), "no packed snapshot"),
        (Fact(SNAPSHOT, T0, a_snapshot().data[:-4]), "no packed snapshot"),
        (Fact(SNAPSHOT, T0, pack_snapshot(T0, T0, 5, b"[]")), "not as documented"),
        (Fact(SNAPSHOT, T0, pack_snapshot(T0, T0, 5, b'{"lastUpdateId":%d,"bids":[],"asks":[]}' % BIG)), ""),
        (Fact(SNAPSHOT, T0, pack_snapshot(BIG, T0, 5, b'{"lastUpdateId":1,"bids":[],"asks":[]}')), ""),
        (Fact(SNAPSHOT, T0, bytes(pa.compress(b'{"request_ns":1', codec="zstd", asbytes=True))), "no packed"),
    ],
)
def test_a_bad_snapshot_is_named_by_its_place(bad: Fact, reason: str) -> None:
    """Between good ones."""
    error = refusal(a_snapshot(), bad, a_snapshot())
    assert error.row == 1
    assert reason in str(error)


def test_quantities_keep_the_decimals_of_their_market() -> None:
    """Coins counted in trillions are counted whole."""
    table = BinanceMapper("BTCFDUSD", quantity_decimals=0)
    assert rows(a_trade(1, "0.00001", "46116860414"), mapper=table)[0]["quantity_e8"] == 46_116_860_414
    assert rows(a_diff(bids=[("1", "12")]), mapper=table)[0]["bid_quantity_e8"] == [12]
    assert rows(a_snapshot([("1", "12")]), mapper=table)[0]["bid_quantity_e8"] == [12]


def test_a_symbol_of_exchange_info_is_read_whole() -> None:
    """The grid, the state, and the bytes it came in."""
    (row,) = rows(an_instrument("0.01", "0.00001"))
    assert (row["symbol"], row["status"], row["source"]) == ("BTCFDUSD", "TRADING", "venue")
    assert (row["tick_size_e8"], row["step_size_e8"], row["min_notional_e8"]) == (1_000_000, 1_000, 500_000_000)
    assert row["quantity_decimals"] == 8
    assert row["extra"].encode() == an_instrument("0.01", "0.00001").data


@pytest.mark.parametrize(
    "bad",
    [
        Fact(INSTRUMENT, T0, b""),
        Fact(INSTRUMENT, T0, b"[]"),
        Fact(INSTRUMENT, T0, b"5"),
        Fact(INSTRUMENT, T0, b"{}"),
        Fact(INSTRUMENT, T0, b'{"inferred":{}}'),
        Fact(INSTRUMENT, T0, b'{"inferred":5}'),
        with_fields(an_instrument(), filters=None),
        with_fields(an_instrument(), filters=[]),
        with_fields(an_instrument(), filters=[5]),
        with_fields(an_instrument(), status=None),
        with_fields(an_instrument(), status=5),
        with_fields(an_instrument(), symbol=["X"]),
        an_instrument(tick="0"),
        an_instrument(step="-1"),
        an_instrument(largest="many"),
        an_instrument(largest="Infinity"),
        an_instrument(largest="NaN"),
    ],
)
def test_a_bad_symbol_is_named_by_its_place(bad: Fact) -> None:
    """Whatever is wrong with it, it is a bad message and no crash."""
    error = refusal(an_instrument(), bad)
    assert error.row == 1
    assert "exchangeInfo" in str(error)


def test_a_combined_message_is_unwrapped() -> None:
    """Its event's name and its own bytes; plain events pass through."""
    inner = a_trade(1).data
    assert unwrap(b'{"stream":"btcfdusd@aggTrade","data":' + inner + b"}") == ("aggTrade", inner)
    assert unwrap(inner) == ("aggTrade", inner)
    assert unwrap(b'{"result":null,"id":1}') == ("", b'{"result":null,"id":1}')


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"5", b"\xff", b'{"e":5}', b'{"stream":"x"}', b'{"stream":"x","data":5}', b'{"e":"\xff"}',
     b'{"x":' + b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    """As a bad message, whatever it is."""
    with pytest.raises(BadMessage):
        unwrap(raw)


def test_entries_keep_their_seq_and_arrival() -> None:
    """The mapper adds nothing of its own."""
    table = MAPPER.diffs([Entry(7, DIFF, 70, a_diff().data), Entry(9, DIFF, 90, a_diff().data)])
    assert table.column("seq").to_pylist() == [7, 9]
    assert table.column("recv_ns").to_pylist() == [70, 90]
