"""`python -m eventlog export`: bars and buckets as files, and what the command says of itself."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from cli.log.app import app
from market.timestamps import MINUTE_NS
from projections.trades.minute_bars import SCHEMA
from tests.builders import T0, a_cold_log, a_tick, a_trade, an_instrument


def export(storage: Path, *words: object) -> Result:
    """The command, on the usual market."""
    where = ["--market", "binance:BTCFDUSD", "--storage", str(storage)]
    return CliRunner().invoke(app, ["export", *(str(w) for w in words), *where])


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV read back."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def a_log_of(storage: Path, *prices: str) -> None:
    """A trade a minute."""
    a_cold_log(storage, [a_trade(i + 1, p, "0.5", T0 + i * MINUTE_NS) for i, p in enumerate(prices)])


def test_minute_bars(tmp_path: Path) -> None:
    """A row a minute that is known, under the names of OHLC files."""
    a_cold_log(tmp_path, [a_trade(1, "100"), a_trade(2, "101.5", "2", T0 + 1, seller=True), a_tick(T0 + 2 * MINUTE_NS)])
    result = export(tmp_path, "--kind", "minute_bars", "-o", tmp_path / "bars.csv")
    assert result.output == f"2 rows of minute_bars in {tmp_path / 'bars.csv'}\n"
    assert rows(tmp_path / "bars.csv") == [
        {
            "minute": "2024-01-01T00:00:00Z", "open": "100", "high": "101.5", "low": "100", "close": "101.5",
            "buy_vol": "1", "sell_vol": "2", "total_vol": "3", "trades": "2", "vwap": "101",
        },
        {
            "minute": "2024-01-01T00:01:00Z", "open": "101.5", "high": "101.5", "low": "101.5", "close": "101.5",
            "buy_vol": "0", "sell_vol": "0", "total_vol": "0", "trades": "0", "vwap": "",
        },
    ]  # fmt: skip


def test_minute_bars_as_parquet_keep_the_integers(tmp_path: Path) -> None:
    """And as JSON lines, text and nulls."""
    a_cold_log(tmp_path, [a_trade(1, "100"), a_tick(T0 + 2 * MINUTE_NS)])
    export(tmp_path, "--kind", "minute_bars", "--format", "parquet", "-o", tmp_path / "bars.parquet")
    table = pq.read_table(tmp_path / "bars.parquet")
    assert table.schema == SCHEMA
    assert table.column("vwap_e8").to_pylist() == [100 * 10**8, None]
    export(tmp_path, "--kind", "minute_bars", "--format", "json", "-o", tmp_path / "bars.json")
    lines = [json.loads(line) for line in (tmp_path / "bars.json").read_text().splitlines()]
    assert [(line["close"], line["trades"], line["vwap"]) for line in lines] == [("100", 1, "100"), ("100", 0, None)]


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("minute_bars", '"minute","open","high","low","close","buy_vol"'),
        ("minute_buckets", '"minute","level","buy","sell","total","delta","count"'),
    ],
)
def test_a_log_without_trades_still_gives_a_readable_file(tmp_path: Path, kind: str, header: str) -> None:
    """Its columns and no rows, as of every kind."""
    a_cold_log(tmp_path, [a_tick()])
    for form in ("csv", "json", "parquet"):
        assert export(tmp_path, "--kind", kind, "--format", form, "-o", tmp_path / form).exit_code == 0
    assert (tmp_path / "csv").read_text().startswith(header)
    assert (tmp_path / "json").read_bytes() == b""
    assert pq.read_table(tmp_path / "parquet").num_rows == 0


def test_volumes_count_in_the_markets_unit(tmp_path: Path) -> None:
    """A coin counted in trillions keeps whole coins."""
    a_cold_log(tmp_path, [an_instrument(step="1.00", largest="92141578736.00")])
    a_cold_log(tmp_path, [a_trade(1, "0.00001", "0.00000005")])  # the builder counts 1e-8; the log's unit is one coin
    export(tmp_path, "--kind", "minute_bars", "-o", tmp_path / "bars.csv")
    (row,) = rows(tmp_path / "bars.csv")
    assert (row["total_vol"], row["vwap"]) == ("5", "0.00001")


def test_a_level_may_be_named(tmp_path: Path) -> None:
    """Prices are floored to it."""
    a_log_of(tmp_path, "0.6123", "0.6199")
    export(tmp_path, "--kind", "minute_buckets", "--level", "0.01", "-o", tmp_path / "out")
    assert [row["level"] for row in rows(tmp_path / "out")] == ["0.61", "0.61"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kind", "minute_buckets", "--level", "1e-3"], "--level: '1e-3' is not a plain decimal number"),
        (["--kind", "minute_buckets", "--level", "0"], "--level: '0' is zero"),
        (["--kind", "agg_trade", "--level", "1"], "--level is for minute_buckets and trade_files"),
        (["--kind", "bars"], "unknown kind 'bars'; kinds: agg_trade, "),
    ],
)
def test_what_cannot_be_done_writes_nothing(tmp_path: Path, words: list[str], message: str) -> None:
    """One line names the option."""
    a_log_of(tmp_path, "1")
    result = export(tmp_path, *words, "-o", tmp_path / "out")
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "count"), [("agg_trade", 2), ("minute_bars", 2), ("trade_files", 2), ("raw_ndjson", 2)]
)
def test_the_result_as_json(tmp_path: Path, kind: str, count: int) -> None:
    """For programs: how many, and where."""
    a_log_of(tmp_path, "100", "101")
    message: dict[str, Any] = json.loads(export(tmp_path, "--kind", kind, "-o", tmp_path / "out", "--json").output)
    assert (message["kind"], message["count"], message["output"]) == (kind, count, str(tmp_path / "out"))
