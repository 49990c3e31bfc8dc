"""
One kind's entries as a Parquet file: DELTA_BINARY_PACKED integers, zstd, no dictionary.

Two kinds are stored in another shape than they are read in. Trades keep their arrival and event times as lags behind
the trade time (an archive import's are all zero). Snapshots keep their levels as steps from one level to the next in
units of the snapshot's own grid, a third of the bytes of plain prices.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eventlog.disk.parquet_bounds import UNREADABLE, expect_plausible, open_for_arrow
from eventlog.errors import LogBroken, first_line
from eventlog.facts.market import AGG_TRADE, SNAPSHOT
from eventlog.facts.registry import KINDS, SCHEMAS
from market.arrays import I64
from market.fixed_point import common_unit

_ROW_GROUP = 1 << 20  # rows
_LOG = b"log"
_VERSION = b"version"
_SIDES = ("bid", "ask")
_TRADE_LAGS = {"recv_ns": "recv_lag_ns", "event_time_ns": "event_lag_ns"}
_STEP_COLUMNS = tuple(f"{side}_{what}_e8" for side in _SIDES for what in ("price", "quantity"))


def to_bytes(kind: str, table: pa.Table, log_key: str = "") -> bytes:
    """
    Encode a kind's table as its Parquet file; equal tables of one log give equal bytes.

    Args:
        kind: a name in `KINDS`.
        table: rows in the schema of that kind.
        log_key: the log's `LogName.key`, written into the file's metadata; empty for none.
    """
    file_table = _TO_FILE_SHAPE.get(kind, _keep_shape)(table)
    metadata = {_LOG: log_key.encode()} if log_key else {}
    if KINDS[kind].version > 1:
        metadata[_VERSION] = str(KINDS[kind].version).encode()
    if metadata:
        file_table = file_table.replace_schema_metadata(metadata)
    encodings = {}
    for field in file_table.schema:
        if pa.types.is_int64(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_list(field.type) and pa.types.is_int64(field.type.value_type):
            encodings[f"{field.name}.list.element"] = "BYTE_STREAM_SPLIT"
    sink = io.BytesIO()
    pq.write_table(
        file_table,
        sink,
        compression="zstd",
        use_dictionary=[f.name for f in file_table.schema if pa.types.is_string(f.type)] or False,
        column_encoding=encodings,
        row_group_size=_ROW_GROUP,
        write_page_checksum=True,
    )
    return sink.getvalue()


def read(kind: str, path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """
    Read one kind's file back as its table.

    Args:
        kind: a name in `KINDS`.
        path: of the file.
        columns: names of the columns to read, all where None; `seq` is always read too.

    Raises:
        LogBroken: the file is missing, cut short, not of this kind, or of a later version of it.
    """
    table_columns, file_columns = _column_names(kind, columns)
    with _open(path) as file:
        expect_plausible(file, path)
        present = _present_columns(kind, file, file_columns)
        table = pq.read_table(file, columns=present, partitioning=None, page_checksum_verification=True)
        return _to_table(kind, table, table_columns, file_columns, path)


def read_log_key(path: Path) -> str:
    """
    Read the key of the log that a file belongs to; empty where an earlier version wrote the file.

    Raises:
        LogBroken: it is missing or cut short.
    """
    with _open(path) as file:
        return (pq.read_schema(file).metadata or {}).get(_LOG, b"").decode()


def read_pieces(kind: str, path: Path, columns: Sequence[str] | None, rows: int) -> Iterator[pa.Table]:
    """
    Read one kind's file as a sequence of tables.

    Args:
        kind: a name in `KINDS`.
        path: of the file.
        columns: names of the columns to read, all where None; `seq` is always read too.
        rows: the largest number of rows in a table.

    Raises:
        LogBroken: as `read`.
    """
    table_columns, file_columns = _column_names(kind, columns)
    with _open(path) as native_file:
        expect_plausible(native_file, path)
        with pq.ParquetFile(native_file, page_checksum_verification=True) as file:
            metadata = file.schema_arrow.metadata
            names = set(file.schema_arrow.names)
            present = [name for name in file_columns if name in names] if KINDS[kind].version > 1 else file_columns
            for batch in file.iter_batches(rows, columns=present):
                table = pa.Table.from_batches([batch]).replace_schema_metadata(metadata)
                yield _to_table(kind, table, table_columns, file_columns, path)


def _column_names(kind: str, selection: Sequence[str] | None) -> tuple[list[str], list[str]]:
    table_columns = list(SCHEMAS[kind].names if selection is None else dict.fromkeys(("seq", *selection)))
    return table_columns, list(
        dict.fromkeys(name for column in table_columns for name in _file_columns_of(kind, column))
    )


def _present_columns(kind: str, file: pa.NativeFile, file_columns: Sequence[str]) -> Sequence[str]:
    """The columns that a file has: one of an earlier version of its kind lacks those that were added later."""
    if KINDS[kind].version == 1:
        return file_columns
    names = set(pq.read_schema(file).names)
    file.seek(0)
    return [name for name in file_columns if name in names]


def _to_table(
    kind: str, table: pa.Table, table_columns: Sequence[str], file_columns: Sequence[str], path: Path
) -> pa.Table:
    """The table columns from the file columns; null where a column was added after the file's version."""
    our_version, file_version = KINDS[kind].version, int((table.schema.metadata or {}).get(_VERSION, b"1"))
    if file_version > our_version:
        raise LogBroken(
            f"{path} holds version {file_version} of {kind}, and this program knows {our_version}; use a newer one"
        )
    for name in file_columns:
        if name not in table.column_names:
            field = SCHEMAS[kind].field(name)
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return _FROM_FILE_SHAPE.get(kind, _select_columns)(table.replace_schema_metadata(None), table_columns)


@contextmanager
def _open(path: Path) -> Iterator[pa.NativeFile]:
    try:
        with open_for_arrow(path) as file:
            yield file
    except FileNotFoundError as error:
        raise LogBroken(
            f"{path.name} is in the catalogue but not in {path.parent}; restore it from a backup"
        ) from error
    except UNREADABLE as error:
        raise LogBroken(f"{path} is damaged ({first_line(error, 120)}); restore it from a backup") from error


def _file_columns_of(kind: str, column: str) -> tuple[str, ...]:
    if kind == AGG_TRADE and column in _TRADE_LAGS:
        return ("trade_time_ns", _TRADE_LAGS[column])
    if kind == SNAPSHOT and column in _STEP_COLUMNS:
        return (column.replace("_e8", "_steps"), column.replace("_e8", "_unit_e8"))
    return (column,)


def _keep_shape(table: pa.Table) -> pa.Table:
    return table


def _select_columns(table: pa.Table, table_columns: Sequence[str]) -> pa.Table:
    return table.select(table_columns)


def _trades_to_file(table: pa.Table) -> pa.Table:
    for name, lag in _TRADE_LAGS.items():
        index = table.schema.get_field_index(name)
        values = pc.subtract(table.column(name), table.column("trade_time_ns"))
        table = table.set_column(index, pa.field(lag, pa.int64(), SCHEMAS[AGG_TRADE].field(name).nullable), values)
    return table


def _trades_from_file(table: pa.Table, table_columns: Sequence[str]) -> pa.Table:
    schema = SCHEMAS[AGG_TRADE]
    columns = []
    for name in table_columns:
        if name in _TRADE_LAGS:
            columns.append(pc.add(table.column(_TRADE_LAGS[name]), table.column("trade_time_ns")))
        else:
            columns.append(table.column(name))
    return pa.Table.from_arrays(columns, schema=pa.schema([schema.field(name) for name in table_columns]))


def _snapshots_to_file(table: pa.Table) -> pa.Table:
    for name in _STEP_COLUMNS:
        column = table.column(name).combine_chunks()
        offsets = column.offsets.to_numpy()
        values = column.values.to_numpy()
        steps = np.empty_like(values)
        units = np.empty(len(column), np.int64)
        for row in range(len(column)):
            part = slice(offsets[row], offsets[row + 1])
            units[row], steps[part] = _to_steps(values[part], "price" in name)
        index = table.schema.get_field_index(name)
        step_column = pa.ListArray.from_arrays(column.offsets, pa.array(steps), type=column.type)
        table = table.set_column(index, pa.field(name.replace("_e8", "_steps"), column.type, False), step_column)
        table = table.append_column(pa.field(name.replace("_e8", "_unit_e8"), pa.int64(), False), pa.array(units))
    return table


def _to_steps(values: I64, differences: bool) -> tuple[int, I64]:
    unit = common_unit(values)
    counts = values // unit
    return unit, np.diff(counts, prepend=np.int64(0)) if differences else counts


def _snapshots_from_file(table: pa.Table, table_columns: Sequence[str]) -> pa.Table:
    schema = SCHEMAS[SNAPSHOT]
    columns = [_from_steps(table, name) if name in _STEP_COLUMNS else table.column(name) for name in table_columns]
    return pa.Table.from_arrays(columns, schema=pa.schema([schema.field(name) for name in table_columns]))


def _from_steps(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name.replace("_e8", "_steps")).combine_chunks()
    units = table.column(name.replace("_e8", "_unit_e8")).to_numpy()
    offsets = column.offsets.to_numpy()
    values = column.values.to_numpy().copy()
    for row, unit in enumerate(units):
        part = slice(offsets[row], offsets[row + 1])
        values[part] = (np.cumsum(values[part]) if "price" in name else values[part]) * unit
    return pa.ListArray.from_arrays(column.offsets, pa.array(values), type=SCHEMAS[SNAPSHOT].field(name).type)


_TO_FILE_SHAPE = {AGG_TRADE: _trades_to_file, SNAPSHOT: _snapshots_to_file}
_FROM_FILE_SHAPE = {AGG_TRADE: _trades_from_file, SNAPSHOT: _snapshots_from_file}
