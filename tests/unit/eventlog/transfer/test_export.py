"""Handing data out: the same rows in every format."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventlog.errors import EventLogError
from eventlog.facts.capture import GAP, QUARANTINE
from eventlog.facts.market import AGG_TRADE, SNAPSHOT
from eventlog.facts.registry import SCHEMAS
from eventlog.transfer import export
from tests.builders import T0, a_gap, a_quarantine, a_snapshot, a_trade, as_tables


def two_tables() -> list[pa.Table]:
    """Three trades in two pieces."""
    return [
        as_tables([a_trade(1, "100.25", "0.5"), a_trade(2, "7")])[AGG_TRADE],
        as_tables([a_trade(3, "0.00000001", seller=True)], 3)[AGG_TRADE],
    ]


def test_csv_shows_decimals_and_times(tmp_path: Path) -> None:
    """Units leave the names with the numbers they were units of; one header over all pieces."""
    assert export.write(two_tables(), tmp_path / "t.csv", "csv") == 3
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["price"] for r in rows] == ["100.25", "7", "0.00000001"]
    assert [r["agg_id"] for r in rows] == ["1", "2", "3"]
    assert {r["trade_time"] for r in rows} == {"2024-01-01T00:00:00Z"}
    assert rows[0]["extra"] == ""


def test_json_is_a_line_a_row(tmp_path: Path) -> None:
    """Nulls stay null, booleans stay booleans."""
    assert export.write(two_tables(), tmp_path / "t.json", "json") == 3
    rows = [json.loads(line) for line in (tmp_path / "t.json").read_text().splitlines()]
    assert [r["price"] for r in rows] == ["100.25", "7", "0.00000001"]
    assert [r["buyer_is_maker"] for r in rows] == [False, False, True]
    assert rows[0]["extra"] is None


def test_parquet_keeps_the_integers(tmp_path: Path) -> None:
    """What comes back is what the log holds, schema included."""
    tables = two_tables()
    assert export.write(tables, tmp_path / "t.parquet", "parquet") == 3
    assert pq.read_table(tmp_path / "t.parquet").equals(pa.concat_tables(tables))


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_kind_without_rows_still_has_its_columns(tmp_path: Path, form: export.Format) -> None:
    """An empty table is a readable file."""
    path = tmp_path / "empty"
    assert export.write([SCHEMAS[GAP].empty_table()], path, form) == 0
    if form == "parquet":
        assert pq.read_table(path).schema == SCHEMAS[GAP]
    elif form == "csv":
        assert path.read_text().startswith('"seq","recv","what"')
    else:
        assert path.read_bytes() == b""


def test_levels_and_bytes_are_text(tmp_path: Path) -> None:
    """Lists as JSON, unreadable bytes with their bad parts marked."""
    book = export.to_text(as_tables([a_snapshot([("99.5", "2"), ("99", "1")], [])])[SNAPSHOT]).to_pylist()[0]
    assert (book["bid_price"], book["ask_price"]) == ("[99.5,99]", "[]")
    bad = export.to_text(as_tables([a_quarantine(b"\xff{", 5)])[QUARANTINE]).to_pylist()[0]
    assert bad["data"] == "\ufffd{"
    with_none = export.to_text(as_tables([a_gap(1, 2)])[GAP])
    assert with_none.column_names == ["seq", "recv", "what", "first", "last", "cause", "state"]


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    """An error on the way leaves the older file and nothing beside it."""
    path = tmp_path / "t.csv"
    path.write_text("old")

    def fail() -> Iterator[pa.Table]:
        yield from two_tables()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export.write(fail(), path, "csv")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    """Another user who may write into the folder could point the name at a file of ours."""
    (tmp_path / "ours").write_text("ours")
    (tmp_path / ".t.csv.new").symlink_to(tmp_path / "ours")
    assert export.write(two_tables(), tmp_path / "t.csv", "csv") == 3
    assert export.write_lines([b"x"], tmp_path / "t.csv") == 1
    assert (tmp_path / "ours").read_text() == "ours"
    assert (tmp_path / "t.csv").read_bytes() == b"x\n"


def test_records_are_whole_json(tmp_path: Path) -> None:
    """Nothing cut: levels as lists of text, bytes twice, moments twice."""
    tables = as_tables([a_quarantine(b"\xff{", 5)])
    (bad,) = export.to_records(QUARANTINE, tables[QUARANTINE])
    assert (bad["data"], bad["data_base64"], bad["agg_id"]) == ("\\xff{", "/3s=", 5)
    (book,) = export.to_records(SNAPSHOT, as_tables([a_snapshot([("99.5", "2")], [])])[SNAPSHOT], decimals=6)
    assert (book["bid_price"], book["bid_quantity"], book["ask_price"]) == (["99.5"], ["200"], [])
    assert (book["recv"], book["recv_ns"]) == ("2024-01-01T00:00:00Z", T0)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """The folder does not exist."""
    with pytest.raises(EventLogError, match=r"cannot use .*missing"):
        export.write(two_tables(), tmp_path / "missing" / "t.json", "json")


def test_a_file_a_minute(tmp_path: Path) -> None:
    """The names older systems look for, in UTC."""
    paths = list(export.write_minute_files([(T0, {"timestamp": "x"})], tmp_path / "out"))
    assert [p.name for p in paths] == ["trades_20240101_0000.json"]
    assert json.loads(paths[0].read_text()) == {"timestamp": "x"}
