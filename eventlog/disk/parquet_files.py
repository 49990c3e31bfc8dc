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

from eventlog.disk.parquet_bounds import UNREADABLE, expect_plausible, opened
from eventlog.errors import LogBroken, first_line
from eventlog.facts.market import AGG_TRADE, SNAPSHOT
from eventlog.facts.registry import KINDS, SCHEMAS
from market.arrays import I64
from market.fixed_point import common_unit

_ROW_GROUP = 1 << 20
_LOG = b"log"
_VERSION = b"version"
_SIDES = ("bid", "ask")
_TRADE_LAGS = {"recv_ns": "recv_lag_ns", "event_time_ns": "event_lag_ns"}
_STEPPED = tuple(f"{side}_{what}_e8" for side in _SIDES for what in ("price", "quantity"))


def to_bytes(kind: str, table: pa.Table, log: str = "") -> bytes:
    """
    A kind's table as the bytes of its Parquet file; equal tables of one log give equal bytes.

    Args:
        log: which log it is of, for a file to say so by itself.
    """
    stored = _STORE.get(kind, _as_is)(table)
    about = {_LOG: log.encode()} if log else {}
    if KINDS[kind].version > 1:
        about[_VERSION] = str(KINDS[kind].version).encode()
    if about:
        stored = stored.replace_schema_metadata(about)
    encodings = {}
    for field in stored.schema:
        if pa.types.is_int64(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_list(field.type) and pa.types.is_int64(field.type.value_type):
            encodings[f"{field.name}.list.element"] = "BYTE_STREAM_SPLIT"
    sink = io.BytesIO()
    pq.write_table(
        stored,
        sink,
        compression="zstd",
        use_dictionary=[f.name for f in stored.schema if pa.types.is_string(f.type)] or False,
        column_encoding=encodings,
        row_group_size=_ROW_GROUP,
        write_page_checksum=True,
    )
    return sink.getvalue()


def read(kind: str, path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """
    Read one kind's file back as its table.

    Args:
        columns: the columns wanted, all where None; `seq` always comes along.

    Raises:
        LogBroken: the file is missing, cut short, not of this kind, or of a later version of it.
    """
    wanted, stored = _names(kind, columns)
    with _opened(path) as file:
        expect_plausible(file, path)
        there = _there(kind, file, stored)
        table = pq.read_table(file, columns=there, partitioning=None, page_checksum_verification=True)
        return _loaded(kind, table, wanted, stored, path)


def log_of(path: Path) -> str:
    """
    Which log a file says it is of; empty where an earlier version wrote it.

    Raises:
        LogBroken: it is missing or cut short.
    """
    with _opened(path) as file:
        return (pq.read_schema(file).metadata or {}).get(_LOG, b"").decode()


def pieces(kind: str, path: Path, columns: Sequence[str] | None, rows: int) -> Iterator[pa.Table]:
    """As `read`, at most so many rows at a time."""
    wanted, stored = _names(kind, columns)
    with _opened(path) as whole:
        expect_plausible(whole, path)
        with pq.ParquetFile(whole, page_checksum_verification=True) as file:
            about = file.schema_arrow.metadata
            names = set(file.schema_arrow.names)
            there = [name for name in stored if name in names] if KINDS[kind].version > 1 else stored
            for batch in file.iter_batches(rows, columns=there):
                table = pa.Table.from_batches([batch]).replace_schema_metadata(about)
                yield _loaded(kind, table, wanted, stored, path)


def _names(kind: str, columns: Sequence[str] | None) -> tuple[list[str], list[str]]:
    wanted = list(SCHEMAS[kind].names if columns is None else dict.fromkeys(("seq", *columns)))
    return wanted, list(dict.fromkeys(name for column in wanted for name in _stored_names(kind, column)))


def _there(kind: str, file: pa.NativeFile, stored: Sequence[str]) -> Sequence[str]:
    """The stored columns that a file has: one of an earlier version of its kind lacks those that came later."""
    if KINDS[kind].version == 1:
        return stored
    names = set(pq.read_schema(file).names)
    file.seek(0)
    return [name for name in stored if name in names]


def _loaded(kind: str, table: pa.Table, wanted: Sequence[str], stored: Sequence[str], path: Path) -> pa.Table:
    """The columns that are wanted, of what was read; null where they came with a later version than the file's."""
    known, written = KINDS[kind].version, int((table.schema.metadata or {}).get(_VERSION, b"1"))
    if written > known:
        raise LogBroken(f"{path} holds version {written} of {kind}, and this program knows {known}; use a newer one")
    for name in stored:
        if name not in table.column_names:
            field = SCHEMAS[kind].field(name)
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return _LOAD.get(kind, _as_read)(table.replace_schema_metadata(None), wanted)


@contextmanager
def _opened(path: Path) -> Iterator[pa.NativeFile]:
    try:
        with opened(path) as file:
            yield file
    except FileNotFoundError as error:
        raise LogBroken(
            f"{path.name} is in the catalogue but not in {path.parent}; restore it from a backup"
        ) from error
    except UNREADABLE as error:
        raise LogBroken(f"{path} is damaged ({first_line(error, 120)}); restore it from a backup") from error


def _stored_names(kind: str, column: str) -> tuple[str, ...]:
    if kind == AGG_TRADE and column in _TRADE_LAGS:
        return ("trade_time_ns", _TRADE_LAGS[column])
    if kind == SNAPSHOT and column in _STEPPED:
        return (column.replace("_e8", "_steps"), column.replace("_e8", "_unit_e8"))
    return (column,)


def _as_is(table: pa.Table) -> pa.Table:
    return table


def _as_read(table: pa.Table, wanted: Sequence[str]) -> pa.Table:
    return table.select(wanted)


def _store_trades(table: pa.Table) -> pa.Table:
    for name, lag in _TRADE_LAGS.items():
        at = table.schema.get_field_index(name)
        values = pc.subtract(table.column(name), table.column("trade_time_ns"))
        table = table.set_column(at, pa.field(lag, pa.int64(), SCHEMAS[AGG_TRADE].field(name).nullable), values)
    return table


def _load_trades(table: pa.Table, wanted: Sequence[str]) -> pa.Table:
    schema = SCHEMAS[AGG_TRADE]
    columns = []
    for name in wanted:
        if name in _TRADE_LAGS:
            columns.append(pc.add(table.column(_TRADE_LAGS[name]), table.column("trade_time_ns")))
        else:
            columns.append(table.column(name))
    return pa.Table.from_arrays(columns, schema=pa.schema([schema.field(name) for name in wanted]))


def _store_snapshots(table: pa.Table) -> pa.Table:
    for name in _STEPPED:
        column = table.column(name).combine_chunks()
        offsets = column.offsets.to_numpy()
        values = column.values.to_numpy()
        steps = np.empty_like(values)
        units = np.empty(len(column), np.int64)
        for row in range(len(column)):
            part = slice(offsets[row], offsets[row + 1])
            units[row], steps[part] = _steps(values[part], "price" in name)
        at = table.schema.get_field_index(name)
        stepped = pa.ListArray.from_arrays(column.offsets, pa.array(steps), type=column.type)
        table = table.set_column(at, pa.field(name.replace("_e8", "_steps"), column.type, False), stepped)
        table = table.append_column(pa.field(name.replace("_e8", "_unit_e8"), pa.int64(), False), pa.array(units))
    return table


def _steps(values: I64, differences: bool) -> tuple[int, I64]:
    unit = common_unit(values)
    scaled = values // unit
    return unit, np.diff(scaled, prepend=np.int64(0)) if differences else scaled


def _load_snapshots(table: pa.Table, wanted: Sequence[str]) -> pa.Table:
    schema = SCHEMAS[SNAPSHOT]
    columns = [_unstep(table, name) if name in _STEPPED else table.column(name) for name in wanted]
    return pa.Table.from_arrays(columns, schema=pa.schema([schema.field(name) for name in wanted]))


def _unstep(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name.replace("_e8", "_steps")).combine_chunks()
    units = table.column(name.replace("_e8", "_unit_e8")).to_numpy()
    offsets = column.offsets.to_numpy()
    values = column.values.to_numpy().copy()
    for row, unit in enumerate(units):
        part = slice(offsets[row], offsets[row + 1])
        values[part] = (np.cumsum(values[part]) if "price" in name else values[part]) * unit
    return pa.ListArray.from_arrays(column.offsets, pa.array(values), type=SCHEMAS[SNAPSHOT].field(name).type)


_STORE = {AGG_TRADE: _store_trades, SNAPSHOT: _store_snapshots}
_LOAD = {AGG_TRADE: _load_trades, SNAPSHOT: _load_snapshots}
