"""
Runs a query and returns its answer as values for JSON.

Types that JSON lacks become text: decimals; times (ISO 8601; of a TIMESTAMP WITH TIME ZONE in UTC, with a Z);
intervals, UUIDs and other types of DuckDB, as its own text; bytes, with those that are no printable ASCII as
`\\xFF`; whole numbers beyond 64 bits; `NaN`, `Infinity` and `-Infinity`. NULL is null. Lists, structs and maps are
arrays and objects.
"""

import math
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
from duckdb.sqltypes import DuckDBPyType

from market.printable import printable
from research.errors import BadQuery

_LONGEST_REASON = 600  # bounds DuckDB's message, which repeats the query
_INTERRUPTED = "Query interrupted"
_ANSWER = "_answer"
_NATIVE_TYPES = {
    "boolean", "tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint",
    "uhugeint", "float", "double", "varchar",
}  # fmt: skip
"""Types that come to Python as they are; others are cast to text by DuckDB."""
_WITH_ROWS = {"SELECT", "EXPLAIN", "EXECUTE", "CALL", "RELATION"}
_TIME = re.compile(r"(\S+)( \(BC\))? (\d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d(?::\d\d)*)?")
_INT64 = range(-(2**63), 2**63)  # JSON numbers beyond are given as text: readers would round them


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The answer of a query.

    Attributes:
        columns: their names, not always distinct; empty for a statement that gives no rows.
        rows: values for JSON, at most as many as the limit. more: whether there are further rows.
        drawing: whether it is a drawing in text, as EXPLAIN gives.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    more: bool = False
    drawing: bool = False

    def records(self) -> list[dict[str, Any]]:
        """The rows as objects; where two columns have one name, the later ones get a number: a, a_1."""
        names = _distinct(self.columns)
        return [dict(zip(names, row, strict=True)) for row in self.rows]


def statements_of(query: str) -> list[duckdb.Statement]:
    """
    Parse the statements of a query; only the last may give rows.

    Raises:
        BadQuery: it holds none, or is not SQL.
    """
    try:
        text = query.encode(errors="surrogateescape").decode()  # as a shell passes it where the locale is plain C
    except UnicodeError as error:
        raise BadQuery("the query is no UTF-8; type it again") from error
    with one_line_errors(), duckdb.connect() as connection:
        statements = connection.extract_statements(text)
    if not statements:
        raise BadQuery('the query is empty; "show tables" lists the views')
    if any(statement.type.name in _WITH_ROWS for statement in statements[:-1]):
        raise BadQuery(
            f"the query holds {len(statements)} statements, of which the last alone may give rows; ask in turn"
        )
    return statements


def ask(connection: duckdb.DuckDBPyConnection, statements: Sequence[duckdb.Statement], limit: int) -> Answer:
    """
    Run statements in turn and return the answer of the last.

    Args:
        connection: see `views.connect`.
        statements: see `statements_of`, at least one.
        limit: the most rows of the answer.

    Raises:
        BadQuery: one of them fails.
    """
    with one_line_errors(), ThreadPoolExecutor(1) as thread:
        answer = thread.submit(_ask, connection, statements, limit)
        try:
            return answer.result()
        except KeyboardInterrupt:  # DuckDB handles no signal while it computes
            connection.interrupt()
            raise


def _ask(connection: duckdb.DuckDBPyConnection, statements: Sequence[duckdb.Statement], limit: int) -> Answer:
    for statement in statements[:-1]:
        connection.execute(statement).fetchall()
    last = statements[-1]
    relation = connection.sql(_strip_end(last.query))
    if relation is None or not _gives_rows(last):
        return Answer()
    types = list(relation.types)
    places = [f"c{i}" for i in range(len(types))]
    columns = ", ".join(f"CAST({place} AS {_plain_type(t)})" for place, t in zip(places, types, strict=True))
    query = f"SELECT {columns} FROM {_ANSWER} AS t({', '.join(places)}) LIMIT {limit + 1}"
    answer = relation.query(_ANSWER, query)
    rows = answer.fetchall() if answer is not None else []
    plain = tuple(tuple(_plain(v, t) for v, t in zip(row, types, strict=True)) for row in rows[:limit])
    return Answer(tuple(relation.columns), plain, len(rows) > limit, last.type.name == "EXPLAIN")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn DuckDB's error of several lines into a BadQuery of one line with its reason and hints."""
    try:
        yield
    except (duckdb.InterruptException, RuntimeError) as error:
        if isinstance(error, RuntimeError) and str(error) != _INTERRUPTED:
            raise
        raise KeyboardInterrupt from error
    except duckdb.Error as error:
        text = str(error).partition("\nLINE ")[0].partition("\nStack Trace")[0]
        raise BadQuery(printable(" ".join(text.split()), _LONGEST_REASON)) from error


def _strip_end(query: str) -> str:
    """Remove the final `;` and comments of a statement, so that it can become part of another."""
    text = query.encode()
    for at, kind in reversed(duckdb.tokenize(query)):
        if kind != duckdb.token_type.comment and text[at : at + 1] != b";":
            break
        text = text[:at]
    return text.decode()


def _gives_rows(statement: duckdb.Statement) -> bool:
    """Whether a statement gives rows; DuckDB wrongly reports a count for CREATE."""
    expected = set(statement.expected_result_type)
    return expected != {duckdb.ExpectedResultType.NOTHING} and statement.type.name != "CREATE"


def _plain_type(t: DuckDBPyType) -> str:
    """The type to which a column is cast before it comes to Python; nested types keep their shape."""
    if t.id in _NATIVE_TYPES:
        return "VARCHAR" if t.id == "varchar" else t.id
    inside = _children(t)
    if t.id in ("list", "array"):
        return f"{_plain_type(inside[0][1])}[]"
    if t.id == "map":
        return f"MAP(VARCHAR, {_plain_type(inside[1][1])})"
    if t.id == "tuple" and inside:
        return f"TUPLE({', '.join(_plain_type(child) for _, child in inside)})"
    members = [f"{_quote(name)} {_plain_type(child)}" for name, child in inside if name]
    return f"{t.id}({', '.join(members)})" if members else "VARCHAR"


def _children(t: DuckDBPyType | None) -> list[tuple[str, DuckDBPyType]]:
    """The types inside a nested one, by name: a list's elements, a map's keys and values."""
    if t is None or t.id not in ("list", "array", "map", "struct", "union", "tuple"):
        return []
    return [(name, child) for name, child in t.children if isinstance(child, DuckDBPyType)]


def _plain(value: Any, t: DuckDBPyType | None) -> Any:
    """A value of a plain type for JSON; `t` is its type before the cast, None where unknown."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value in _INT64 else str(value)
    if isinstance(value, list | tuple | dict):
        return _plain_inside(value, t)
    time = _TIME.fullmatch(value) if t is not None and t.id.startswith("timestamp") and value is not None else None
    return value if time is None else _iso(*time.groups(default=""))


def _plain_inside(value: Any, t: DuckDBPyType | None) -> Any:
    kind, inside = (t.id, _children(t)) if t is not None else ("", [])
    if isinstance(value, dict):
        fields = dict(inside) if kind == "struct" else dict.fromkeys(value, inside[1][1]) if kind == "map" else {}
        return {name: _plain(item, fields.get(name)) for name, item in value.items()}
    if kind == "tuple":
        return [_plain(item, child) for item, (_, child) in zip(value, inside, strict=True)]
    return [_plain(item, inside[0][1] if kind in ("list", "array") else None) for item in value]


def _iso(day: str, era: str, time: str, zone: str) -> str:
    zone = "Z" if zone == "+00" else f"{zone}:00" if len(zone) == len("+00") else zone
    return f"{day}T{time}{zone}{era}"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _distinct(names: Sequence[str]) -> list[str]:
    distinct: list[str] = []
    for name in names:
        candidate, number = name, 0
        while candidate in distinct or (number and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        distinct.append(candidate)
    return distinct
