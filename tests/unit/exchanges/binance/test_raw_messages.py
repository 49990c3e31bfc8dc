"""Messages out of a log: the venue's own bytes, from the stream or written anew from the archive."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.facts.entry import Entry, Fact
from eventlog.facts.market import AGG_TRADE, DIFF
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.raw_messages import event_time_ns, export_lines, rebuild_message
from tests.builders import MAPPER, T0, a_diff, a_hot_log, a_log, a_tick, a_writer

TRADE = (
    b'{"e":"aggTrade","E":1704067200123,"s":"BTCFDUSD","a":7,"p":"42000.10000000","q":"0.00123000","f":8,"l":9,'
    b'"T":1704067200120,"m":true,"M":true}'
)
MICRO = (
    b'{"e":"aggTrade","E":1704067200123456,"s":"BTCFDUSD","a":7,"p":"0.00000001","q":"90000000.00000000","f":8,"l":9,'
    b'"T":1704067200120001,"m":false,"M":false}'
)
REST = b'{"a":7,"p":"42000.10000000","q":"0.00123000","f":8,"l":9,"T":1704067200120,"m":true,"M":true}'
SINGLE = (
    b'{"e":"trade","E":1704067200123,"s":"BTCFDUSD","t":7,"p":"42000.10000000","q":"0.00123000","T":1704067200120,'
    b'"m":true,"M":true}'
)
NEW_FIELD = TRADE[:-1] + b',"zz":[1,null]}'
UPDATE = (
    b'{"e":"depthUpdate","E":1704067200200,"s":"BTCFDUSD","U":11,"u":12,"b":[["42000.10000000","0.00000000"]],'
    b'"a":[["42001.00000000","1.50000000"],["42002.00000000","0.00001000"]]}'
)


@pytest.mark.parametrize("data", [TRADE, MICRO, REST, SINGLE, NEW_FIELD])
def test_a_trade_is_written_anew_as_it_came(data: bytes) -> None:
    """Stream, µs, REST, single trades and a field the venue added: the same bytes."""
    row = MAPPER.agg_trades([Entry(1, AGG_TRADE, T0 + 10**9, data)]).to_pylist()[0]
    assert rebuild_message(AGG_TRADE, row, "BTCFDUSD", 8) == data


def test_an_update_is_written_anew_as_it_came() -> None:
    """The same bytes, levels in their order."""
    row = MAPPER.diffs([Entry(1, DIFF, T0 + 10**9, UPDATE)]).to_pylist()[0]
    assert rebuild_message(DIFF, row, "BTCFDUSD", 8) == UPDATE


@pytest.mark.parametrize("decimals", [0, 2, 8])
def test_a_coarser_quantity_still_has_eight_decimals(decimals: int) -> None:
    """A market whose quantities keep fewer decimals: written as the venue writes them."""
    data = TRADE.replace(b'"0.00123000"', b'"7000000000.00000000"' if decimals < 8 else b'"7.00000000"')
    mapper = BinanceMapper("BTCFDUSD", decimals)
    row = mapper.agg_trades([Entry(1, AGG_TRADE, T0 + 10**9, data)]).to_pylist()[0]
    assert rebuild_message(AGG_TRADE, row, "BTCFDUSD", decimals) == data


@given(price=st.integers(1, 10**14), quantity=st.integers(1, 10**14))
def test_every_number_comes_back(price: int, quantity: int) -> None:
    """Any price and quantity of eight decimals."""
    body = msgspec.json.decode(TRADE)
    texts = [f"{n // 10**8}.{n % 10**8:08d}" for n in (price, quantity)]
    data = msgspec.json.encode(body | {"p": texts[0], "q": texts[1]})
    row = MAPPER.agg_trades([Entry(1, AGG_TRADE, T0 + 10**9, data)]).to_pylist()[0]
    assert rebuild_message(AGG_TRADE, row, "BTCFDUSD", 8) == data


def test_the_event_time_in_either_unit() -> None:
    """ms and µs are told by their magnitude; a REST row and half a message have none."""
    assert event_time_ns(TRADE) == 1_704_067_200_123_000_000
    assert event_time_ns(MICRO) == 1_704_067_200_123_456_000
    assert event_time_ns(REST) is None
    assert event_time_ns(b"{") is None


def test_archive_and_stream_make_one_run_of_lines(tmp_path: Path, client: Any) -> None:
    """Two archived messages, two only in the stream, a tick between: four lines in seq order, each with its message."""
    stamp = 1_704_067_200_143_500_000
    facts = [Fact(AGG_TRADE, stamp, TRADE), a_tick(), Fact(DIFF, stamp, UPDATE), Fact(AGG_TRADE, stamp, REST)]
    log = a_log(tmp_path, facts[:3])
    writer = a_writer(tmp_path, client)
    writer.append([facts[3], a_diff(at_ns=T0)])
    writer.close()
    lines = [msgspec.json.decode(line) for line in export_lines(a_hot_log(tmp_path, client), "BTCFDUSD", 8)]
    assert [(f["seq"], f["kind"], f["as_sent"]) for f in lines] == [
        (1, AGG_TRADE, False),
        (3, DIFF, False),
        (4, AGG_TRADE, True),
        (5, DIFF, True),
    ]
    names = ("ts_recv", "E", "U", "u", "latency_event_ms", "latency_pipeline_ms")
    assert [lines[0][name] for name in names] == [stamp, 1704067200123, None, None, 20.5, None]
    assert [lines[1][name] for name in names] == [stamp, 1704067200200, 11, 12, -56.5, None]
    assert [lines[2][name] for name in names] == [stamp, None, None, None, None, None]
    assert [msgspec.json.encode(f["data"]) for f in lines[:3]] == [TRADE, UPDATE, REST]
    assert [msgspec.json.decode(line)["seq"] for line in export_lines(log, "BTCFDUSD", 8)] == [1, 3]
