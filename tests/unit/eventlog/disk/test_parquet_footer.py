"""The footer reader against Arrow's own reading, and its errors on damaged footers."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventlog.disk import parquet_files
from eventlog.disk.parquet_footer import BadFooter, Column, RowGroup, row_groups
from eventlog.errors import LogBroken
from tests.builders import as_tables, one_of_each_decision_kind, one_of_each_market_kind

TABLES = as_tables(one_of_each_market_kind()) | as_tables(one_of_each_decision_kind())
MANY = pa.table({"a": pa.array(range(1_000), pa.int64()), "b": [["x", "yy"], None] * 500})


def groups_of(data: bytes) -> list[RowGroup]:
    return row_groups(pa.BufferReader(data))


def by_arrow(data: bytes) -> list[RowGroup]:
    """The same as Arrow's metadata have it."""
    about = pq.read_metadata(io.BytesIO(data))
    groups = []
    for group in map(about.row_group, range(about.num_row_groups)):
        chunks = map(group.column, range(group.num_columns))
        columns = (
            Column(c.path_in_schema, c.num_values, c.total_uncompressed_size, c.physical_type == "BYTE_ARRAY")
            for c in chunks
        )
        groups.append(RowGroup(group.num_rows, tuple(columns)))
    return groups


def read_or_refused(kind: str, path: Path) -> str | None:
    """What a file of all rows ends in: None where they are all there."""
    try:
        return None if parquet_files.read(kind, path).num_rows == TABLES[kind].num_rows else "other rows"
    except LogBroken as error:
        return f"{len(str(error).splitlines())} line"


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_it_says_what_arrow_reads(kind: str) -> None:
    """Of every kind's file."""
    data = parquet_files.to_bytes(kind, TABLES[kind], "events:{binance:BTCFDUSD}")
    assert groups_of(data) == by_arrow(data)


@pytest.mark.parametrize("options", [{}, {"row_group_size": 7}, {"version": "1.0"}, {"compression": "none"}])
def test_it_says_what_arrow_reads_of_other_files(options: dict[str, object]) -> None:
    """Many groups, lists with gaps, other writers' settings."""
    sink = io.BytesIO()
    pq.write_table(MANY, sink, **options)
    assert groups_of(sink.getvalue()) == by_arrow(sink.getvalue())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "bit"), [("gap", 2), ("snapshot", 1)])
def test_a_flipped_footer_ends_nothing(tmp_path: Path, kind: str, bit: int) -> None:
    """Every byte of a footer with a bit flipped: read as it was, or refused. Some of these end Arrow's process."""
    content = parquet_files.to_bytes(kind, TABLES[kind])
    path = tmp_path / "x.parquet"
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    refusals = 0
    for at in range(begin, len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << bit
        path.write_bytes(damaged)
        outcome = read_or_refused(kind, path)
        assert outcome in (None, "1 line")
        refusals += outcome is not None
    assert refusals > (len(content) - begin) // 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not end as"),
        (b"PAR1", "does not end as"),
        (b"PAR1" + b"\x00\x00\x00\x00PAR1", "does not end as"),
        (b"PAR1" + b"\x00" + b"\xff\x00\x00\x00PAR1", "does not end as"),
        (b"PAR1" + bytes(5_000_000) + (4_900_000).to_bytes(4, "little") + b"PAR1", "4,900,000 bytes"),
        (b"PAR1" + b"\x00" + b"\x01\x00\x00\x00PAR1", "damaged"),
        (b"PAR1" + b"\x1c" * 90 + b"\x5a\x00\x00\x00PAR1", "too deep"),
        (b"PAR1" + b"\x19\xfc\xff\xff\xff\xff\x0f" + b"\x07\x00\x00\x00PAR1", "elements"),
        (b"PAR1" + b"\x16" + b"\xff" * 30 + b"\x1f\x00\x00\x00PAR1", "without an end"),
    ],
)
def test_what_is_no_footer_is_named(data: bytes, reason: str) -> None:
    """Empty, cut short, too long, too deep, lists and numbers without an end."""
    with pytest.raises(BadFooter, match=reason):
        groups_of(data)
