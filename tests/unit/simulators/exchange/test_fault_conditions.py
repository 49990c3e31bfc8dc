"""What faults do to ids, bytes and the ledger of diffs."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulators.exchange.faults import corruption
from simulators.exchange.faults.conditions import IdJumps
from simulators.exchange.streams.diff_ledger import DiffLedger, DiffRecord

TRADE = b'{"e":"aggTrade","E":1,"s":"BTCFDUSD","a":7,"p":"100.50000000","q":"0.10000000","f":1,"l":1,"T":1,"m":true}'
DIFF = b'{"e":"depthUpdate","E":1,"s":"BTCFDUSD","U":1,"u":2,"b":[["100.50000000","0.00000000"]],"a":[]}'


def test_ids_jump() -> None:
    """From 5 on ten higher, from 8 on three more."""
    ids = IdJumps()
    ids.jump(5, 10)
    ids.jump(8, 3)
    assert [ids.to_public(n) for n in range(4, 10)] == [4, 15, 16, 17, 21, 22]
    assert [ids.to_internal(n) for n in (4, 5, 14, 15, 17, 18, 20, 21, 22)] == [4, 5, 5, 5, 7, 8, 8, 8, 9]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=5).map(sorted))
def test_inner_is_the_first_id_given_out_at_or_above(jumps: list[tuple[int, int]]) -> None:
    """For any jumps and any number; columns agree with single ids."""
    ids = IdJumps()
    for first, size in jumps:
        ids.jump(first, size)
    public = [ids.to_public(n) for n in range(200)]
    assert ids.all_to_public(np.arange(200)).tolist() == public
    assert [ids.to_internal(number) for number in range(150)] == [
        next(n for n in range(200) if public[n] >= number) for number in range(150)
    ]


def test_json_numbers_are_numbers() -> None:
    """Prices and quantities lose their quotes, nothing else changes."""
    trade, diff = json.loads(corruption.unquote_numbers(TRADE)), json.loads(corruption.unquote_numbers(DIFF))
    assert {**json.loads(TRADE), "p": 100.5, "q": 0.1} == trade
    assert diff["b"] == [[100.5, 0.0]]
    assert diff["s"] == "BTCFDUSD"


def test_blanks_change_nothing_but_the_length() -> None:
    """Exactly the requested length, and the same JSON."""
    long = corruption.pad(TRADE, 5_000)
    assert len(long) == 5_000
    assert json.loads(long) == json.loads(TRADE)
    assert corruption.pad(TRADE, 1) == TRADE


def test_spoiled_bytes() -> None:
    """Each is changed in one place."""
    assert corruption.break_json(DIFF).startswith(b'{"e"="depthUpdate","E":1')
    assert corruption.truncate(b"0123456789", 0.5) == b"01234"
    assert corruption.truncate(b"0123456789", 1.0) == b"012345678"
    assert corruption.insert_invalid_utf8(DIFF).startswith(b'{"e\xff":"depthUpdate"')
    assert corruption.replace_symbol(DIFF, "ETHFDUSD") == DIFF.replace(b"BTCFDUSD", b"ETHFDUSD")
    assert corruption.make_noise(4, 1) == corruption.make_noise(4, 1) != corruption.make_noise(4, 2)


def test_the_diff_ledger_forgets_the_oldest() -> None:
    """It holds two by number, fewer by size; the others are counted."""
    ledger = DiffLedger(max_diffs=2, max_bytes=10)
    for first, payload in ((1, b"aaaa"), (3, b"bbbb"), (5, b"cccc"), (7, b"dddddddd")):
        ledger.add(DiffRecord(first, first + 1, payload))
    assert ledger.render(0, 10) == {
        "total": 4,
        "forgotten": 3,
        "diffs": [{"U": 7, "u": 8, "handed": 0, "payload": "dddddddd"}],
    }


def test_the_diff_ledger_answers_from_an_id_on() -> None:
    """The first one has the id in its range or comes after it."""
    ledger = DiffLedger()
    for first in (1, 3, 5):
        ledger.add(DiffRecord(first, first + 1, b"{}", deliveries=1))
    assert [row["U"] for row in ledger.render(4, 10)["diffs"]] == [3, 5]
    assert [row["U"] for row in ledger.render(4, 1)["diffs"]] == [3]
