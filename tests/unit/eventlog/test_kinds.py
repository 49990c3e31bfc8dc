"""Kinds of facts: each declared once, and what follows from that."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from eventlog.disk import parquet_files
from eventlog.errors import LogBroken
from eventlog.facts.capture import CLOCK_OFFSET, GAP, ClockOffset
from eventlog.facts.entry import Body, Columns
from eventlog.facts.kind import DECISIONS, EVENTS, Kind
from eventlog.facts.registry import KINDS, SCHEMAS, STREAMS, kinds_of
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from market.errors import BadMarket
from research.views import open_views
from tests.builders import MARKET, T0, a_cold_log

OFFSET = ClockOffset(5, 1, 3)


class NewOffset(Body, frozen=True):
    """As a later version might have it."""

    offset_ns: int
    uncertainty_ns: int
    round_trips: int
    server: str | None = None


class Everything(Columns, frozen=True):
    """A field of every type there is."""

    number: int
    maybe: int | None
    text: str
    flag: bool | None
    data: bytes
    numbers: list[int]
    texts: list[str]


@pytest.fixture
def new_version(monkeypatch: pytest.MonkeyPatch) -> Kind:
    """The program after a column was added."""
    kind = replace(KINDS[CLOCK_OFFSET], body=NewOffset, version=2)
    monkeypatch.setitem(KINDS, CLOCK_OFFSET, kind)
    monkeypatch.setitem(SCHEMAS, CLOCK_OFFSET, kind.schema())
    return kind


def test_columns_are_what_the_struct_says() -> None:
    """In order, behind seq and recv_ns; None makes a column nullable."""
    schema = Kind("everything", Everything, EVENTS).schema()
    assert schema.names == ["seq", "recv_ns", "number", "maybe", "text", "flag", "data", "numbers", "texts"]
    assert [f.name for f in schema if f.nullable] == ["maybe", "flag"]
    assert [str(f.type) for f in schema][2:7] == ["int64", "int64", "string", "bool", "binary"]
    assert schema.field("numbers").type == pa.list_(pa.field("element", pa.int64(), nullable=False))
    assert schema.field("texts").type == pa.list_(pa.field("element", pa.string(), nullable=False))


def test_every_kind_is_declared_once() -> None:
    """Under its own name, in one stream, and what is read of it are columns of it."""
    assert [kind.name for kind in KINDS.values()] == list(KINDS)
    assert {name for stream in STREAMS for name in kinds_of(stream)} == set(KINDS)
    assert STREAMS == (EVENTS, DECISIONS)
    for name, kind in KINDS.items():
        assert {*kind.check_columns, *(kind.coverage_columns or ())} <= set(SCHEMAS[name].names), name
        assert kind.is_ours == (kind.body.__struct_fields__ != () and issubclass(kind.body, Body)), name


def test_a_file_from_before_a_column_has_null_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, in pieces, as a single column, and in SQL."""
    before = {"offset_ns": 5, "uncertainty_ns": 1, "round_trips": 3}
    cold = a_cold_log(tmp_path, [OFFSET.fact(CLOCK_OFFSET, T0)])
    (file,) = cold.catalogue.segments[0].files
    kind = replace(KINDS[CLOCK_OFFSET], body=NewOffset, version=2)
    monkeypatch.setitem(KINDS, CLOCK_OFFSET, kind)
    monkeypatch.setitem(SCHEMAS, CLOCK_OFFSET, kind.schema())
    path = cold.path_of(file)
    row = {"seq": 1, "recv_ns": T0, **before, "server": None}
    assert parquet_files.read(CLOCK_OFFSET, path).to_pylist() == [row]
    assert [t.to_pylist() for t in parquet_files.read_pieces(CLOCK_OFFSET, path, None, 10)] == [[row]]
    assert parquet_files.read(CLOCK_OFFSET, path, ["server"]).to_pylist() == [{"seq": 1, "server": None}]
    connection, _ = open_views(tmp_path, MARKET, None)
    with connection:
        assert connection.execute("select offset_ns, server from clock_offset").fetchall() == [(5, None)]


def test_a_file_of_a_later_version_is_refused(
    tmp_path: Path, new_version: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a program from before, in one line; by one that knows it, it is read."""
    row = {"seq": 1, "recv_ns": T0, "offset_ns": 5, "uncertainty_ns": 1, "round_trips": 3, "server": "x"}
    path = tmp_path / "file.parquet"
    path.write_bytes(parquet_files.to_bytes(CLOCK_OFFSET, pa.Table.from_pylist([row], new_version.schema()), "log"))
    assert parquet_files.read(CLOCK_OFFSET, path).to_pylist() == [row]
    monkeypatch.undo()
    with pytest.raises(LogBroken, match="holds version 2 of clock_offset, and this program knows 1; use a newer one"):
        parquet_files.read(CLOCK_OFFSET, path)
    with pytest.raises(LogBroken, match="holds version 2"):
        list(parquet_files.read_pieces(CLOCK_OFFSET, path, ["offset_ns"], 10))


def test_the_first_version_says_nothing_of_versions(tmp_path: Path) -> None:
    """Files stay what they were to the byte."""
    data = parquet_files.to_bytes(GAP, SCHEMAS[GAP].empty_table(), "log")
    assert b"version" not in data.replace(b"parquet-cpp-arrow version", b"")


def test_a_log_may_have_any_plain_name(tmp_path: Path) -> None:
    """Orders, transactions: a folder beside the others; a name that leads elsewhere is none."""
    name = LogName("orders", MARKET)
    assert name.folder(tmp_path) == tmp_path / "binance" / "BTCFDUSD" / "orders"
    assert not ColdLog(tmp_path, name).exists()
    for bad in ("", "Orders", "../events", "a b", "1st", "x" * 40):
        with pytest.raises(BadMarket, match="is no name of a log"):
            LogName(bad, MARKET)
