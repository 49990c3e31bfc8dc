"""Minute bars of a whole real day: the venue's own hourly klines, from the export and from SQL."""

import csv
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from market.instrument import Market
from research.views import connect
from tests.conftest import ROOT

MARKET = Market("binance", "BTCUSDT")
HOURS = 24

Row = dict[str, Decimal]


def command(storage: Path, *words: object) -> None:
    """A command of the event log, which must succeed."""
    where = ["--market", str(MARKET), "--storage", str(storage)]
    subprocess.run([sys.executable, "-m", "eventlog", *map(str, words), *where], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def storage(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with the day imported."""
    storage = tmp_path_factory.mktemp("bars")
    command(storage, "import", "binance-aggtrades", real_data / "aggtrades" / "BTCUSDT-aggTrades-2024-01-01.zip")
    return storage


@pytest.fixture(scope="module")
def exported(storage: Path) -> list[Row]:
    """The day's bars as a file of them says."""
    command(storage, "export", "--kind", "minute_bars", "-o", storage / "bars.csv")
    with open(storage / "bars.csv", newline="") as file:
        return [{k: Decimal(v) for k, v in row.items() if k != "minute"} for row in csv.DictReader(file)]


def hour_of(bars: Sequence[Row]) -> Row:
    """60 minutes as one bar."""
    return {
        "open": bars[0]["open"],
        "high": max(bar["high"] for bar in bars),
        "low": min(bar["low"] for bar in bars),
        "close": bars[-1]["close"],
        "volume": sum((bar["total_vol"] for bar in bars), Decimal()),
        "number_of_trades": sum((bar["trades"] for bar in bars), Decimal()),
        "taker_buy_base_asset_volume": sum((bar["buy_vol"] for bar in bars), Decimal()),
    }


def test_hours_of_bars_are_the_official_klines(real_data: Path, exported: list[Row]) -> None:
    """Prices, volumes, single trades and what takers bought: 24 of 24, to the last digit."""
    with open(real_data / "klines" / "BTCUSDT-1h-2024-01-01.csv", newline="") as file:
        klines = list(csv.DictReader(file))
    assert len(exported) == HOURS * 60
    hours = [hour_of(exported[60 * i : 60 * (i + 1)]) for i in range(HOURS)]
    assert hours == [{name: Decimal(kline[name]) for name in hours[0]} for kline in klines]


def test_sql_has_the_same_bars_row_by_row(storage: Path, exported: list[Row]) -> None:
    """And its minutes are the day's."""
    with connect(storage, MARKET) as connection:
        columns = ", ".join(exported[0])
        rows = connection.execute(f"select {columns} from minute_bars").fetchall()
        ends = connection.execute("select min(minute)::varchar, max(minute)::varchar from minute_bars").fetchall()
    assert [tuple(row.values()) for row in exported] == rows
    assert ends == [("2024-01-01 00:00:00", "2024-01-01 23:59:00")]


def test_sql_sums_the_official_turnover(real_data: Path, storage: Path) -> None:
    """Price times quantity of 863,403 trades, exact; the official file keeps 6 to 8 digits of it."""
    with open(real_data / "klines" / "BTCUSDT-1h-2024-01-01.csv", newline="") as file:
        official = [Decimal(kline["quote_asset_volume"]) for kline in csv.DictReader(file)]
    query = "select sum(price * quantity) from agg_trade group by hour(trade_at) order by hour(trade_at)"
    with connect(storage, MARKET) as connection:
        sums = [row[0] for row in connection.execute(query).fetchall()]
    assert [each.quantize(official[i]) for i, each in enumerate(sums)] == official
