"""
Export of a log's entries: CSV, JSON lines or Parquet; prices and quantities as plain decimals in text formats.
"""

import os
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from eventlog.disk.files import translate_errors, write_atomic
from market.fixed_point import DECIMALS, format_e8
from market.timestamps import iso

Format = Literal["csv", "json", "parquet"]

_MODE = 0o600  # the owner alone, as the log
PRICES = (
    "price_e8", "level_e8", "bid_price_e8", "ask_price_e8", "tick_size_e8", "step_size_e8",
    "min_notional_e8", "open_e8", "high_e8", "low_e8", "close_e8", "vwap_e8",
)  # fmt: skip
"""Fixed-point columns that count 1e-8 in every market; the others count in the market's quantity unit."""

SPANS = ("interval_ns", "offset_ns", "uncertainty_ns")
"""Columns in ns that are durations, not times."""

_TIMES = ("recv_ns", "trade_time_ns", "event_time_ns", "boundary_ns", "request_ns", "response_ns", "minute")


def write(tables: Iterable[pa.Table], path: Path, form: Format, decimals: int = DECIMALS) -> int:
    """
    Write tables of one schema to a file, which gets its name once it is complete.

    Args:
        tables: in the order of the rows.
        path: of the file; an existing one is replaced.
        form: csv, json (one object per line) or parquet.
        decimals: of the market's quantities; unused for parquet.

    Returns:
        The number of rows that were written.
    """
    rows = 0
    with _atomic_file(path) as file, _WRITERS[form](file) as writer:
        for table in tables:
            writer.write(table if form == "parquet" else to_text(table, decimals))
            rows += table.num_rows
    return rows


def write_lines(lines: Iterable[bytes], path: Path) -> int:
    """
    Write lines, given without their ends, to a file, which gets its name once it is complete.

    Returns:
        The number of lines that were written.
    """
    count = 0
    with _atomic_file(path) as file:
        for line in lines:
            file.write(line + b"\n")
            count += 1
    return count


@contextmanager
def _atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when the block ends; after an error it is removed."""
    temporary = path.with_name(f".{path.name}.new")
    with translate_errors(path):
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(temporary, flags, _MODE), "wb") as file:
                yield file
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def to_text(table: pa.Table, decimals: int = DECIMALS) -> pa.Table:
    """Convert fixed-point columns to decimal text, times to ISO text, lists to JSON text; `decimals`: of quantities."""
    columns, names = [], []
    for name in table.column_names:
        column = table.column(name)
        if name.endswith("_e8"):
            values: list[Any] = [_to_decimal(v, DECIMALS if name in PRICES else decimals) for v in column.to_pylist()]
            columns.append(pa.array(values, pa.string()))
            names.append(name.removesuffix("_e8"))
        elif name in _TIMES:
            columns.append(pa.array([None if v is None else iso(v) for v in column.to_pylist()], pa.string()))
            names.append(name.removesuffix("_ns"))
        elif pa.types.is_binary(column.type):
            columns.append(pa.array([v.decode(errors="replace") for v in column.to_pylist()], pa.string()))
            names.append(name)
        else:
            columns.append(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
            names.append(name)
    return pa.Table.from_arrays(columns, names=names)


def to_records(kind: str, table: pa.Table, decimals: int = DECIMALS) -> Iterator[dict[str, Any]]:
    """
    Convert a kind's rows for JSON, all columns: prices and quantities as decimal text, times as ISO text and in ns,
    bytes as text (those that are not UTF-8 as `\\xff`) and in base64.

    Args:
        kind: a name in `KINDS`.
        table: rows in the schema of that kind.
        decimals: of the market's quantities.
    """
    for row in table.to_pylist():
        record: dict[str, Any] = {"seq": row.pop("seq"), "kind": kind}
        for name, value in row.items():
            record |= _record_fields(name, value, DECIMALS if name in PRICES else decimals)
        yield record


def _record_fields(name: str, value: Any, decimals: int) -> dict[str, Any]:
    if name.endswith("_e8"):
        is_list = isinstance(value, list)
        return {
            name.removesuffix("_e8"): [format_e8(v, decimals) for v in value]
            if is_list
            else _to_decimal(value, decimals)
        }
    if name.endswith("_ns") and name not in SPANS:
        return {name.removesuffix("_ns"): None if value is None else iso(value), name: value}
    if isinstance(value, bytes):
        return {name: value.decode(errors="backslashreplace"), f"{name}_base64": b64encode(value).decode()}
    return {name: value}


def _to_decimal(value: Any, decimals: int) -> str | None:
    if isinstance(value, list):
        return "[" + ",".join(format_e8(v, decimals) for v in value) + "]"
    return None if value is None else format_e8(value, decimals)


class _CsvWriter:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._writer: pcsv.CSVWriter | None = None

    def __enter__(self) -> "_CsvWriter":
        return self

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer = pcsv.CSVWriter(self._file, table.schema, write_options=_CSV_OPTIONS)
        self._writer.write(table)

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()


class _JsonWriter:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __enter__(self) -> "_JsonWriter":
        return self

    def write(self, table: pa.Table) -> None:
        for batch in table.to_batches(max_chunksize=10_000):
            self._file.write(msgspec.json.Encoder().encode_lines(batch.to_pylist()))

    def __exit__(self, *_: object) -> None:
        pass


class _ParquetWriter:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "_ParquetWriter":
        return self

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, table.schema, compression="zstd")
        self._writer.write_table(table)

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()


_CSV_OPTIONS = pcsv.WriteOptions(quoting_style="needed")
_WRITERS: dict[Format, Any] = {"csv": _CsvWriter, "json": _JsonWriter, "parquet": _ParquetWriter}


def write_minute_files(minutes: Iterable[tuple[int, dict[str, Any]]], folder: Path) -> Iterator[Path]:
    """
    Write the per-minute files `trades_YYYYMMDD_HHMM.json` of older systems, times in UTC, one at each step.

    Args:
        minutes: (start of the minute in ns UTC, its view). folder: created where it is missing.
    """
    with translate_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for minute_ns, view in minutes:
        yield write_minute_file(minute_ns, view, folder)


def write_minute_file(minute_ns: int, view: dict[str, Any], folder: Path) -> Path:
    """
    Write the file of one minute in one step.

    Args:
        minute_ns: start of the minute, ns UTC.
        view: the content, for JSON.
        folder: must exist.

    Returns:
        The path of the file.
    """
    stamp = iso(minute_ns)
    path = folder / f"trades_{stamp[:10].replace('-', '')}_{stamp[11:13]}{stamp[14:16]}.json"
    write_atomic(path, msgspec.json.format(msgspec.json.encode(view)), synced=False)
    return path
