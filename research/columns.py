"""
The columns of a kind's view, as SQL: those of the log under their own names, and readable ones beside them.

A column `…_e8` (an integer) has an exact DECIMAL without the ending, in coins: prices count 1e-8, quantities the unit
of the log. A moment `…_ns` (UTC) has a TIMESTAMP_NS `…_at`.
"""

from collections.abc import Iterator

import pyarrow as pa

from eventlog.facts.market import AGG_TRADE, SNAPSHOT
from eventlog.facts.registry import SCHEMAS
from eventlog.transfer.export import PRICES, SPANS
from market.fixed_point import DECIMALS

UNSTEP = "unstep"
"""The SQL function of (steps, unit) that gives prices of levels; see `eventlog.disk.parquet_files`."""

_DIGITS = 19  # of the largest int64
_TYPES = {
    pa.int64(): "BIGINT",
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
}
_SHORT = {"trade_time_ns": "trade_at", "event_time_ns": "event_at"}


def select_stored(kind: str, source: str) -> str:
    """
    A query for a kind's columns as `SCHEMAS` defines them.

    Args:
        kind: a kind of facts. source: SQL after FROM that gives the columns of its files.
    """
    columns = (
        f"CAST({_expression(kind, name)} AS {sql_type(kind, name)}) AS {_name(name)}" for name in SCHEMAS[kind].names
    )
    return f"SELECT {', '.join(columns)} FROM {source}"


def with_later_columns(kind: str, files: str) -> str:
    """SQL for the rows of files, of which older ones lack a kind's later columns, which are null there."""
    later = (name for name in SCHEMAS[kind].names if SCHEMAS[kind].field(name).nullable)
    nulls = ", ".join(f"CAST(NULL AS {sql_type(kind, name)}) AS {_name(name)}" for name in later)
    return f"(SELECT * FROM {files} UNION ALL BY NAME SELECT {nulls} WHERE false)"


def select_nothing(kind: str, source: str = "range(0)") -> str:
    """A query that gives a kind's columns and no rows."""
    columns = (f"CAST(NULL AS {sql_type(kind, name)}) AS {_name(name)}" for name in SCHEMAS[kind].names)
    return f"SELECT {', '.join(columns)} FROM {source} WHERE false"


def select_readable(kind: str, query: str, decimals: int) -> str:
    """
    A query for a kind's columns and the readable ones.

    Args:
        kind: a kind of facts.
        query: SQL that gives its columns.
        decimals: of the log's quantities, 0..8.
    """
    return f"SELECT {', '.join(['*', *_readable(kind, decimals)])} FROM ({query})"


def sql_type(kind: str, name: str) -> str:
    """The SQL type of a column."""
    type_ = SCHEMAS[kind].field(name).type
    return f"{_TYPES[type_.value_type]}[]" if pa.types.is_list(type_) else _TYPES[type_]


def exact(name: str, decimals: int) -> str:
    """SQL that turns a BIGINT count of 10^-decimals into a DECIMAL."""
    unit = f"CAST('{10**-decimals:.{decimals}f}' AS DECIMAL({decimals + 1}, {decimals}))"
    return f"CAST(CAST({name} AS DECIMAL({_DIGITS}, 0)) * {unit} AS DECIMAL({_DIGITS}, {decimals}))"


def moment(name: str) -> str:
    """SQL that turns a time in ns into a TIMESTAMP_NS; null outside of that type's range."""
    return f"try(make_timestamp_ns({name}))"


def _expression(kind: str, name: str) -> str:
    if kind == AGG_TRADE and name in ("recv_ns", "event_time_ns"):
        lag = {"recv_ns": "recv_lag_ns", "event_time_ns": "event_lag_ns"}[name]
        return f"trade_time_ns + {lag}"
    if kind == SNAPSHOT and name.endswith("_price_e8"):
        side = name.removesuffix("_price_e8")
        return f"{UNSTEP}({side}_price_steps, {side}_price_unit_e8)"
    if kind == SNAPSHOT and name.endswith("_quantity_e8"):
        side = name.removesuffix("_quantity_e8")
        return f"list_transform({side}_quantity_steps, lambda q: q * {side}_quantity_unit_e8)"
    return _name(name)


def _name(column: str) -> str:
    """A column's name in quotes: some are SQL keywords."""
    return f'"{column}"'


def _readable(kind: str, decimals: int) -> Iterator[str]:
    for name in SCHEMAS[kind].names:
        places = DECIMALS if name in PRICES else decimals
        if name.endswith("_ns") and name not in SPANS:
            yield f"{moment(name)} AS {_SHORT.get(name, name.removesuffix('_ns') + '_at')}"
        elif name.endswith("_e8"):
            is_list = pa.types.is_list(SCHEMAS[kind].field(name).type)
            value = f"list_transform({name}, lambda n: {exact('n', places)})" if is_list else exact(name, places)
            yield f"{value} AS {name.removesuffix('_e8')}"
    if kind == AGG_TRADE:
        yield f"{moment('trade_time_ns')} AS traded_at"
        yield "CASE WHEN buyer_is_maker THEN 'sell' ELSE 'buy' END AS aggressor"
