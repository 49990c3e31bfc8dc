"""Answers to queries: JSON that every strict parser takes, one line for whatever goes wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner, Result

from cli.sql import app
from eventlog.store.cold import ColdLog
from research.answers import Answer, ask, statements_of
from research.errors import BadQuery
from tests.builders import EVENTS, a_cold_log, a_quarantine, a_tick, a_trade


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database without anything in it, whose times are UTC."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET autoinstall_known_extensions = false")
        connection.execute("SET python_enable_replacements = false")
        yield connection


def value(connection: duckdb.DuckDBPyConnection, expression: str) -> Any:
    """An expression's value, through JSON as a strict program reads it."""
    answer = ask(connection, statements_of(f"select {expression} as x"), 5)
    text = json.dumps(answer.records(), allow_nan=False)
    return json.loads(text)[0]["x"]


VALUES = {
    "null": None,
    "true": True,
    "-5": -5,
    "9223372036854775807": 2**63 - 1,
    "9223372036854775808::hugeint": "9223372036854775808",
    "18446744073709551615::ubigint": "18446744073709551615",
    "7::uhugeint": 7,
    "340282366920938463463374607431768211455::uhugeint": "340282366920938463463374607431768211455",
    "12345678901234567890123456789012345678901234567890::bignum": "12345678901234567890123456789012345678901234567890",
    "sum(5::bigint)": 5,
    "1.5::double": 1.5,
    "'nan'::double": "NaN",
    "'inf'::float": "Infinity",
    "-'inf'::double": "-Infinity",
    "1/0": "Infinity",
    "1.50::decimal(9, 2)": "1.50",
    "0.00000001::decimal(38, 8)": "0.00000001",
    "timestamptz '2024-01-01 00:00:00+02'": "2023-12-31T22:00:00Z",
    "timestamptz '2024-01-01 00:00:00.000001'": "2024-01-01T00:00:00.000001Z",
    "to_timestamp(1e9)": "2001-09-09T01:46:40Z",
    "timestamp '2024-01-01 12:30:00.5'": "2024-01-01T12:30:00.5",
    "timestamp_ns '2024-01-01 00:00:00.123456789'": "2024-01-01T00:00:00.123456789",
    "timestamp_s '2024-01-01 00:00:00'": "2024-01-01T00:00:00",
    "timestamp_ms '2024-01-01 00:00:00.5'": "2024-01-01T00:00:00.5",
    "timestamp '12024-01-01 00:00:00'": "12024-01-01T00:00:00",
    "'0044-03-15 (BC) 10:00:00'::timestamp": "0044-03-15T10:00:00 (BC)",
    "timestamp 'infinity'": "infinity",
    "timestamptz '-infinity'": "-infinity",
    "date '2024-01-31'": "2024-01-31",
    "date 'infinity'": "infinity",
    "time '12:00:00.5'": "12:00:00.5",
    "timetz '12:00:00+02'": "12:00:00+02",
    "interval 3 months + interval 4 days": "3 months 4 days",
    "'00112233-4455-6677-8899-aabbccddeeff'::uuid": "00112233-4455-6677-8899-aabbccddeeff",
    r"'\xFF\x00a'::blob": r"\xFF\x00a",
    "'101'::bit": "101",
    "'a'::enum('a', 'b')": "a",
    "'{\"a\":1}'::json": '{"a":1}',
    "5::variant": "5",
    "[]": [],
    "[1, null]": [1, None],
    "[['nan'::double], null]": [["NaN"], None],
    "array_value(1.5::decimal(2, 1), null)": ["1.5", None],
    "[timestamptz '2024-01-01 00:00:00']": ["2024-01-01T00:00:00Z"],
    "{'a': 1, 'b c': [date '2024-01-01'], 'q\"q': 'inf'::double}": {"a": 1, "b c": ["2024-01-01"], 'q"q': "Infinity"},
    "{'a': {'b': timestamp '2024-01-01 00:00:00'}}": {"a": {"b": "2024-01-01T00:00:00"}},
    "map {'k': timestamptz '2024-01-01 00:00:00'}": {"k": "2024-01-01T00:00:00Z"},
    "map {[1]: 2.50}": {"[1]": "2.50"},
    "map {2: map {3: 'nan'::double}}": {"2": {"3": "NaN"}},
    "map {}": {},
    "union_value(n := 'inf'::double)": "Infinity",
    "[union_value(s := '2024-01-01 00:00:00')]": ["2024-01-01 00:00:00"],
    "union_value(l := [{'a': 9223372036854775808::hugeint}])": [{"a": "9223372036854775808"}],
    "row(1, date '2024-01-01', 'nan'::float)": [1, "2024-01-01", "NaN"],
    "'2024-01-01 00:00:00'": "2024-01-01 00:00:00",
    "chr(27) || '[2J' || chr(0) || chr(10) || chr(8238) || '\"\\'": '\x1b[2J\x00\n\u202e"\\',
}


@pytest.mark.parametrize("expression", VALUES)
def test_every_type_is_json(connection: duckdb.DuckDBPyConnection, expression: str) -> None:
    """Exact where JSON has a number for it, text where it has none."""
    assert value(connection, expression) == VALUES[expression]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ('a, 2 as a, 3 as a', ["a", "a_1", "a_2"]),
        ('a, 2 as a, 3 as a_1', ["a", "a_2", "a_1"]),
        ('a_1, 2 as a, 3 as a', ["a_1", "a", "a_2"]),
        ('"寬 ""b", 2 as "寬 ""b"', ['寬 "b', '寬 "b_1']),
    ],
)  # fmt: skip
def test_columns_of_one_name_all_stay(connection: duckdb.DuckDBPyConnection, names: str, expected: list[str]) -> None:
    """None hides another."""
    (record,) = ask(connection, statements_of(f"select 1 as {names}"), 5).records()
    assert list(record) == expected
    assert sorted(record.values()) == list(range(1, len(expected) + 1))


def test_the_order_and_the_number_of_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """As asked; whether there are more is told, and not where there are exactly so many."""
    query = "select i from range(100000) t(i) order by hash(i), i"
    expected = connection.execute(query).fetchall()[:3]
    assert ask(connection, statements_of(query), 3) == Answer(("i",), tuple(expected), True)
    assert not ask(connection, statements_of("from range(3)"), 3).more
    assert ask(connection, statements_of("from range(3) limit 0"), 3) == Answer(("range",))


@pytest.mark.parametrize(
    "query",
    ["show tables", "describe select 1", "summarize select 1", "pragma version", "call pragma_version()", "values (1)",
     "with a as (select 1) from a", "explain select 1", "set threads = 2; select 1;", "select 1 -- why",
     "/* x */ select 1", "-- x\nselect 1", "select 1; -- why", "select 'é;' as a ; /* ; */ -- x",
     "create macro f() as 5; select f()",
     "prepare p as select 1; execute p", "from (select 1)", "pivot (select 1 a, 2 b) on a using sum(b)",
     "begin; select 1"],
)  # fmt: skip
def test_statements_of_all_sorts_give_rows(query: str) -> None:
    """Whatever gives rows is shown."""
    with duckdb.connect() as own:
        assert ask(own, statements_of(query), 5).columns


@pytest.mark.parametrize(
    "query",
    ["create table t (a int)", "create view v as select 1", "create macro f() as 5", "set threads = 2", "begin",
     "use main", "create table t as select 1", "attach ':memory:' as other", "drop table if exists t"],
)  # fmt: skip
def test_statements_without_rows_are_no_error(query: str) -> None:
    """They are done, and that is all."""
    with duckdb.connect() as own:
        assert ask(own, statements_of(query), 5) == Answer()


def test_a_statement_is_run_once() -> None:
    """Also where its rows are shown."""
    with duckdb.connect() as own:
        own.execute("create table t (a int)")
        assert ask(own, statements_of("insert into t values (7) returning a"), 5).rows == ((7,),)
        assert ask(own, statements_of("update t set a = a + 1"), 5).rows == ((1,),)
        assert own.execute("from t").fetchall() == [(8,)]


BAD = {
    "": "the query is empty",
    " ": "the query is empty",
    ";": "the query is empty",
    ";;": "the query is empty",
    "-- nothing": "the query is empty",
    "/* nothing */": "the query is empty",
    "select 1; select 2": "holds 2 statements, of which the last alone may give rows",
    "selec": 'Parser Error: syntax error at or near "selec"',
    "select 1 from": "Parser Error: syntax error",
    "select 'abc": "Parser Error: unterminated string literal",
    "select (1": "Parser Error",
    "select pric from (select 1 as price)": 'Candidate bindings: "price"',
    "from tick_": "Table with name tick_ does not exist",
    "select $1": "Values were not provided for the following parameters",
    "select cast('x' as int)": "Could not convert string 'x' to INT32",
    "select error('a' || chr(27) || chr(10) || 'b')": r"a\x1b b",
    "from 'nothing.parquet'": "No files found",
    "from 'https://127.0.0.1:9/a.parquet'": "",
    "select 9223372036854775807 + 1": "Overflow",
    "select unknown(1)": "Scalar Function with name unknown does not exist",
    "from query": "Table with name query does not exist",
    "select '\udcff'": "the query is no UTF-8",
    "select error(repeat('y', 100000))": "yyy",
}


@pytest.mark.parametrize("query", BAD)
def test_what_goes_wrong_is_one_printable_line(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Of a bearable length, with DuckDB's own advice."""
    with pytest.raises(BadQuery) as errors:
        ask(connection, statements_of(query), 5)
    line = str(errors.value)
    assert BAD[query] in line
    assert line.isprintable()
    assert 10 < len(line) < 700
    assert "LINE 1" not in line


def test_an_argument_of_a_plain_locale_is_read(connection: duckdb.DuckDBPyConnection) -> None:
    """Its bytes are UTF-8, which Python does not see where LANG=C."""
    query = "select '寬' as x".encode().decode("ascii", errors="surrogateescape")
    assert ask(connection, statements_of(query), 5).rows == (("寬",),)


HOSTILE = b"\x1b[2J\nnext\r\xc2\x9b31m \xe2\x80\xae \xf0\x9f\x92\xa9\xef\xb8\x8f \xff"


def sql(storage: Path, query: str, *words: object) -> Result:
    """The command, on the usual market."""
    where = ["--market", "binance:BTCFDUSD", "--storage", str(storage)]
    return CliRunner().invoke(app, ["sql", query, *(str(w) for w in words), *where])


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small log."""
    folder = tmp_path_factory.mktemp("sql")
    a_cold_log(folder, [a_trade(1), a_quarantine(HOSTILE), a_tick()])
    return folder


def test_hostile_text_stays_one_visible_line(storage: Path) -> None:
    """In a table and as JSON, as a value and as a column's name."""
    query = "select data::varchar, decode(data, 'replace') as text, 5 as \"a\x1b[2J\nb\" from quarantine"
    result = sql(storage, query)
    assert result.exit_code == 0, result.output
    header, row = result.output.splitlines()
    assert header.isprintable()
    assert row.isprintable()
    assert r"\x1b[2J\nb" in header
    assert r"\x1b[2J\nnext\r\x9b31m" in row
    as_json = sql(storage, query, "--json").stdout
    assert "\\u001b[2J\\nnext\\r\\u009b31m \\u202e" in as_json
    assert as_json.isascii()
    assert len(json.loads(as_json)) == 1


def test_columns_stand_below_their_names(storage: Path) -> None:
    """Wide letters take two places, marks none; long cells are cut where one sees it."""
    result = sql(
        storage, "select 'ab' x, 1 y union all select '寬寬é', 2 union all select repeat('z', 99), null order by y"
    )
    assert result.output.splitlines() == [
        f"{'x':<40}  y",
        f"{'ab':<40}  1",
        f"寬寬é{' ' * 35}  2",
        f"{'z' * 39}…  NULL",
    ]


def test_nested_cells_are_json(storage: Path) -> None:
    """One line each."""
    assert (
        sql(storage, "select {'a': [1, null]} x, true y, 'é' z").output.splitlines()[1] == '{"a": [1, null]}  true  é'
    )


def test_more_rows_than_were_asked_for_are_told(storage: Path) -> None:
    """Beside JSON, not inside of it."""
    result = sql(storage, "from range(3)", "--limit", 2)
    assert result.output == "range\n0\n1\n(first 2 rows; --limit shows more)\n"
    result = sql(storage, "from range(3)", "--limit", 2, "--json")
    assert json.loads(result.stdout) == [{"range": 0}, {"range": 1}]
    assert result.stderr == "(first 2 rows; --limit shows more)\n"
    assert sql(storage, "from range(3)", "--limit", 3, "--json").stderr == ""


def test_nothing_but_the_answer_is_printed(storage: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Not even a progress bar that was asked for."""
    bar = "set enable_progress_bar = true; set progress_bar_time = 0"
    result = sql(storage, f"{bar}; select sum(hash(a.range + b.range)) x from range(9000) a, range(3000) b", "--json")
    assert len(json.loads(result.stdout)) == 1
    assert capfd.readouterr().out == ""


def test_more_rows_than_anybody_reads_are_refused(storage: Path) -> None:
    """As a wrong option, not as SQL."""
    result = sql(storage, "select 1", "--limit", 2**63)
    assert result.exit_code == 2
    assert "--limit" in result.stderr


def test_statements_without_rows_say_so(storage: Path) -> None:
    """And are an empty list."""
    assert sql(storage, "create view x as select 1").output == "done; the statement returns no rows\n"
    assert json.loads(sql(storage, "create view x as select 1", "--json").stdout) == []
    assert sql(storage, "from tick limit 0").output.startswith("seq  recv_ns")


def test_a_plan_is_drawn(storage: Path) -> None:
    """Line by line, as DuckDB draws it."""
    assert "│ Projections: 1 │" in sql(storage, "explain select 1").output.splitlines()


def test_a_query_may_begin_with_a_comment(storage: Path) -> None:
    """It is no option; a mistyped option is still none."""
    assert json.loads(sql(storage, "-- all of it\nselect 1 x", "--json").stdout) == [{"x": 1}]
    assert sql(storage, "select 1", "--jsom").exit_code == 2


def test_the_commands_own_variables_are_no_tables(storage: Path) -> None:
    """Python's are not looked through for names that no view has."""
    for name in ("query", "statements", "storage"):
        assert "does not exist" in str(sql(storage, f"from {name}").exception)


def test_a_recording_that_is_not_archived_yet_is_told(tmp_path: Path) -> None:
    """An empty answer must not pass for an empty market."""
    cold = ColdLog(tmp_path, EVENTS)
    cold.create(0)
    result = sql(tmp_path, "select count(*) as n from agg_trade", "--json")
    assert json.loads(result.stdout) == [{"n": 0}]
    assert result.stderr.startswith("note: nothing of this market's recording is archived yet")
    a_cold_log(tmp_path / "whole", [a_trade(1)])
    assert sql(tmp_path / "whole", "select 1", "--json").stderr == ""


def test_runs_are_asked_for_by_name(storage: Path) -> None:
    """Whoever asks for a run's view without its folder is told the option."""
    assert "need --runs" in str(sql(storage, "from run_scores").exception)


def test_damage_is_told_as_such(tmp_path: Path) -> None:
    """Not as an error of SQL."""
    cold = a_cold_log(tmp_path, [a_trade(1)])
    path = next(ColdLog(tmp_path, EVENTS).folder.glob("*.agg_trade.parquet"))
    path.write_bytes(path.read_bytes()[:-9])
    message = str(sql(tmp_path, "select count(*) from agg_trade").exception)
    assert (
        message
        == f"{cold.path_of(cold.catalogue.segments[0].files[0])} is not as it was written; restore it from a backup"
    )
    assert sql(tmp_path, "select 1").exit_code == 0
