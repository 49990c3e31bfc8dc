"""What is written comes back; what was never written by us is told as such."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eventlog.clock import ManualClock
from eventlog.disk import parquet_files
from eventlog.errors import EventLogError, LogBroken
from eventlog.facts.capture import QUARANTINE
from eventlog.facts.entry import Entry
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.facts.registry import SCHEMAS
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer, ImportSummary
from exchanges.binance.archives.archive import read_agg_trades
from exchanges.binance.messages import BadMessage, pack_snapshot, unwrap
from exchanges.binance.recordings.recording import append_recording
from exchanges.errors import BadFile, ExchangeError
from tests.builders import (
    EVENTS,
    HEADER,
    MAPPER,
    NOW,
    T0,
    a_diff,
    a_snapshot,
    a_trade,
    an_instrument,
    archive_row,
    contents,
)

LAW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
# Times and lags of a trade are differences of int64: what the venue and we can mean lies far inside.
INTEGERS = st.integers(-(2**61), 2**61)
PRICES = st.lists(st.integers(1, 2**60), max_size=6, unique=True)
TEXT = st.text(st.characters(codec="utf-8"), max_size=10)


def column(draw: Any, field: pa.Field, rows: int) -> pa.Array:
    """Any values of a field's type."""
    if pa.types.is_list(field.type):
        cells = PRICES if pa.types.is_int64(field.type.value_type) else st.lists(TEXT, max_size=4)
        values = [draw(cells) for _ in range(rows)]
    else:
        kinds: dict[pa.DataType, st.SearchStrategy[Any]] = {
            pa.int64(): INTEGERS,
            pa.string(): TEXT,
            pa.bool_(): st.booleans(),
            pa.binary(): st.binary(max_size=10),
        }
        cell = kinds[field.type] if not field.nullable else kinds[field.type] | st.none()
        values = draw(st.lists(cell, min_size=rows, max_size=rows))
    return pa.array(values, field.type)


@st.composite
def tables(draw: Any, kind: str) -> pa.Table:
    """Any table of a kind, levels of a side as many prices as quantities."""
    rows = draw(st.integers(1, 5))
    schema = SCHEMAS[kind]
    arrays = {field.name: column(draw, field, rows) for field in schema}
    for side in ("bid", "ask"):
        price = arrays.get(f"{side}_price_e8")
        if price is not None:
            sizes = [[draw(st.integers(0, 2**60)) for _ in prices] for prices in price.to_pylist()]
            arrays[f"{side}_quantity_e8"] = pa.array(sizes, price.type)
    return pa.Table.from_arrays([arrays[field.name] for field in schema], schema=schema)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_a_table_comes_back_from_its_file(kind: str) -> None:
    """Decoding what was encoded is the same, for every kind, column by column too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"

        @settings(LAW, max_examples=25)
        @given(table=tables(kind))
        def law(table: pa.Table) -> None:
            path.write_bytes(parquet_files.to_bytes(kind, table))
            back = parquet_files.read(kind, path)
            assert back.schema == table.schema
            assert back.to_pylist() == table.to_pylist()
            for name in table.column_names:
                one = parquet_files.read(kind, path, [name])
                assert one.column(name).to_pylist() == table.column(name).to_pylist()

        law()


@LAW
@given(data=st.data())
def test_a_changed_file_is_read_as_it_was_or_refused(data: st.DataObject) -> None:
    """Any bytes changed anywhere: LogBroken, or (where nothing that counts was hit) the same rows."""
    kind = AGG_TRADE
    table = MAPPER.agg_trades([Entry(i, kind, T0, a_trade(i).data) for i in range(1, 40)])
    written = parquet_files.to_bytes(kind, table)
    bad = bytearray(written)
    for _ in range(data.draw(st.integers(1, 3))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(bad)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"
        path.write_bytes(bad[:cut] if data.draw(st.booleans()) else bad)
        try:
            back = parquet_files.read(kind, path)
        except LogBroken:
            return
        assert back.schema == table.schema


GOOD = {
    AGG_TRADE: a_trade(1).data,
    DIFF: a_diff().data,
    SNAPSHOT: a_snapshot().data,
    INSTRUMENT: an_instrument().data,
}
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(["1", "0.5", "x", "1e400"])
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


def mutated(draw: Any, good: bytes) -> bytes:
    """Bytes near good ones."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        piece = draw(st.binary(max_size=3) | st.sampled_from([b"9" * 25, b"null", b'"', b"[", b"}", b"-", b"0"]))
        data[at : at + draw(st.integers(0, 3))] = piece
    return bytes(data)


@settings(deadline=None, max_examples=400)
@given(data=st.data(), kind=st.sampled_from(sorted(GOOD)))
def test_any_bytes_are_facts_or_a_bad_message(data: st.DataObject, kind: str) -> None:
    """Whatever a socket brings, the mapper reads it or says which entry it cannot read."""
    draw = data.draw
    way = draw(st.sampled_from(["bytes", "near", "json"]))
    if way == "bytes":
        raw = draw(st.binary(max_size=60))
    elif way == "near" and kind != SNAPSHOT:
        raw = mutated(draw, GOOD[kind])
    elif way == "near":
        body = mutated(draw, b'{"lastUpdateId":10,"bids":[["99","1"]],"asks":[["101","1"]]}')
        try:
            raw = pack_snapshot(T0, T0, 5, body)
        except Exception:
            raw = body
    else:
        raw = b"%r" % draw(JSON)
    table, refused = None, None
    try:
        table = MAPPER.decoders[kind]([Entry(1, kind, T0, GOOD[kind]), Entry(2, kind, T0, raw)])
    except BadMessage as error:
        refused = error
    if table is None:
        assert refused is not None
        assert refused.row == 1
    else:
        assert table.num_rows == 2
        table.validate(full=True)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_message_is_unwrapped_or_bad(data: st.DataObject) -> None:
    """The first look at what a socket brings."""
    good = b'{"stream":"btcfdusd@aggTrade","data":' + GOOD[AGG_TRADE] + b"}"
    raw = data.draw(st.binary(max_size=40)) if data.draw(st.booleans()) else mutated(data.draw, good)
    try:
        name, inner = unwrap(raw)
    except BadMessage:
        return
    assert isinstance(name, str)
    assert inner in raw or inner.strip() in raw


@LAW
@given(data=st.data())
def test_any_lines_are_a_recording_or_a_bad_file(data: st.DataObject) -> None:
    """What cannot be read becomes quarantine; every line is a fact, passed over, or in there."""
    lines = []
    for i in range(data.draw(st.integers(1, 6))):
        good = data.draw(st.sampled_from([a_trade(i + 1).data, a_diff(i + 11, i + 11).data]))
        message = good if data.draw(st.booleans()) else mutated(data.draw, good)
        lines.append(b"%d %s" % (T0 + i, message.replace(b"\n", b" ")))
    text = b"\n".join(lines) if data.draw(st.integers(0, 3)) else data.draw(st.binary(max_size=80))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r"
        path.write_bytes(text)
        importer = Importer(ColdLog(Path(folder) / "s", EVENTS), ManualClock(NOW))
        done, said = ImportSummary(0, 0), ""
        try:
            done = append_recording(importer, path)
        except (ExchangeError, EventLogError) as error:
            said = str(error)
        finally:
            importer.close()
        assert "\n" not in said
        if done.added == 0:
            assert not importer.cold.storage.exists()
        else:
            found = contents(Log(importer.cold, None, MAPPER.decoders).read())
            assert sum(len(found.get(k, [])) for k in (AGG_TRADE, DIFF, SNAPSHOT)) == done.added
            assert len(found.get(QUARANTINE, [])) == done.quarantined + done.conflicts


@LAW
@example(text=b"PK\x03\x04" + b"\0" * 40)
@example(text=b"\x1c")  # blank as text, not as bytes
@example(text="\u3000\n1,2\n\x85".encode())
@given(
    text=st.binary(max_size=80)
    | st.lists(
        st.sampled_from([archive_row(1), archive_row(2, price="-1"), HEADER, "", "1,2,3", "x" * 30, archive_row(3)]),
        max_size=5,
    ).map(lambda rows: "\n".join(rows).encode())
)
def test_any_file_is_an_archive_or_a_bad_file(text: bytes) -> None:
    """Every row or none; the message names the path on one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(text)
        trades, said = None, ""
        try:
            trades = read_agg_trades(path)
        except BadFile as error:
            said = str(error)
        if trades is None:
            assert "a.csv" in said
            assert "\n" not in said
        else:
            rows = [line for line in text.split(b"\n") if line and line != HEADER.encode()]
            assert len(trades) == len(rows)
