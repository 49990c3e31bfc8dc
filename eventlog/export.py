"""
Handing out what a log holds: CSV, JSON lines or Parquet, prices and quantities as plain decimals in text formats.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from eventlog.files import told_plainly
from market.fixed_point import DECIMALS, format_e8
from market.timestamps import iso

Format = Literal["csv", "json", "parquet"]
_PRICES = ("price_e8", "level_e8", "bid_price_e8", "ask_price_e8", "tick_size_e8", "step_size_e8", "min_notional_e8")
_TIMES = ("recv_ns", "trade_time_ns", "event_time_ns", "boundary_ns", "request_ns", "response_ns", "minute")


def write(tables: Iterable[pa.Table], path: Path, form: Format, decimals: int = DECIMALS) -> int:
    """
    Write tables of one schema to a file; it appears under its name only when it is whole.

    Args:
        decimals: that the market's quantities keep.

    Returns:
        How many rows were written.
    """
    temporary = path.with_name(f".{path.name}.new")
    rows = 0
    with told_plainly(path):
        try:
            with _WRITERS[form](temporary) as writer:
                for table in tables:
                    writer.write(table if form == "parquet" else readable(table, decimals))
                    rows += table.num_rows
            temporary.replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
    return rows


def write_lines(lines: Iterable[bytes], path: Path) -> int:
    """
    Write lines to a file; it appears under its name only when it is whole.

    Returns:
        How many lines were written.
    """
    temporary = path.with_name(f".{path.name}.new")
    count = 0
    with told_plainly(path):
        try:
            with open(temporary, "wb") as file:
                for line in lines:
                    file.write(line + b"\n")
                    count += 1
            temporary.replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
    return count


def readable(table: pa.Table, decimals: int = DECIMALS) -> pa.Table:
    """Fixed-point columns as decimal text and times as ISO text; lists as JSON text."""
    columns, names = [], []
    for name in table.column_names:
        column = table.column(name)
        if name.endswith("_e8"):
            values: list[Any] = [_decimal(v, DECIMALS if name in _PRICES else decimals) for v in column.to_pylist()]
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


def _decimal(value: Any, decimals: int) -> str | None:
    if isinstance(value, list):
        return "[" + ",".join(format_e8(v, decimals) for v in value) + "]"
    return None if value is None else format_e8(value, decimals)


class _Csv:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pcsv.CSVWriter | None = None

    def __enter__(self) -> "_Csv":
        self._path.touch()
        return self

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer = pcsv.CSVWriter(self._path, table.schema, write_options=_CSV_OPTIONS)
        self._writer.write(table)

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()


class _Json:
    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 - closed in __exit__

    def __enter__(self) -> "_Json":
        return self

    def write(self, table: pa.Table) -> None:
        for batch in table.to_batches(max_chunksize=10_000):
            self._file.write(msgspec.json.Encoder().encode_lines(batch.to_pylist()))

    def __exit__(self, *_: object) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "_Parquet":
        self._path.touch()
        return self

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()


_CSV_OPTIONS = pcsv.WriteOptions(quoting_style="needed")
_WRITERS: dict[Format, Any] = {"csv": _Csv, "json": _Json, "parquet": _Parquet}


def minute_files(minutes: Iterable[tuple[int, dict[str, Any]]], folder: Path) -> Iterator[Path]:
    """
    The per-minute files `trades_YYYYMMDD_HHMM.json` of older systems, one a minute, times in UTC.

    Args:
        minutes: (minute in ns, the view of that minute).
    """
    with told_plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for minute_ns, view in minutes:
            stamp = iso(minute_ns)
            name = f"trades_{stamp[:10].replace('-', '')}_{stamp[11:13]}{stamp[14:16]}.json"
            (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(view)))
            yield folder / name
