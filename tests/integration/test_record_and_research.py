"""
Simulated days straight into a log, and SQL over what was recorded.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eventlog.clock import ManualClock
from eventlog.errors import ImportRefused
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.transfer.importing import Importer
from market.instrument import Market
from market.timestamps import HOUR_NS, MINUTE_NS
from research.views import connect
from runtime.open_log import open_log
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.playback.record import record

ROOT = Path(__file__).resolve().parent.parent.parent
MARKET = Market.parse("binance:BTCFDUSD")
START = 1_767_600_000_000_000_000


def an_hour(storage: Path, seed: int = 3) -> tuple[int, int]:
    """Record one simulated hour."""
    importer = Importer(ColdLog(storage, LogName("events", MARKET)), ManualClock(START + 100 * HOUR_NS))
    try:
        return record(importer, MarketParameters(), seed, START, 1, lambda _: None)
    finally:
        importer.close()


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with one simulated hour."""
    folder = tmp_path_factory.mktemp("hour")
    assert an_hour(folder)[1] == 60
    return folder


def test_a_recorded_hour_is_in_order_and_whole(storage: Path) -> None:
    """Seqs have no hole, every tick follows its book, every trade arrives before the tick that closes its minute."""
    with open_log(storage, MARKET) as log:
        batches = list(log.read())
    rows = {
        k: np.concatenate([b.rows[k]["seq"] for b in batches if k in b.rows]) for k in ("agg_trade", "snapshot", "tick")
    }
    every = np.sort(np.concatenate([*rows.values(), [1]]))
    assert np.array_equal(every, np.arange(1, len(every) + 1))
    assert np.array_equal(rows["tick"], rows["snapshot"] + 1)
    trades = next(b.rows["agg_trade"] for b in batches if "agg_trade" in b.rows)
    ticks = next(b.rows["tick"] for b in batches if "tick" in b.rows)
    closing = np.searchsorted(ticks["seq"], trades["seq"])
    assert np.all(trades["trade_time_ns"] <= ticks["boundary_ns"][closing])
    assert np.all(trades["trade_time_ns"] > ticks["boundary_ns"][closing] - MINUTE_NS - 1)


def test_the_same_seed_records_the_same_bytes_and_a_used_log_is_refused(storage: Path, tmp_path: Path) -> None:
    """Two recordings of one seed have equal files; a log that holds something is not written into."""
    an_hour(tmp_path)
    one, two = (ColdLog(s, LogName("events", MARKET)).catalogue.segments for s in (storage, tmp_path))
    assert [f.sha256 for s in one for f in s.files] == [f.sha256 for s in two for f in s.files]
    with pytest.raises(ImportRefused, match="another --storage"):
        an_hour(tmp_path)


def test_views_show_the_log_as_sql(storage: Path) -> None:
    """Trades carry columns for reading, and exact integers that sum as integers."""
    with connect(storage, MARKET) as connection:
        names = {row[0] for row in connection.execute("show tables").fetchall()}
        (count, total, low, high) = connection.execute(
            "select count(*), sum(quantity_e8), min(price), max(price) from agg_trade"
        ).fetchall()[0]
        sides = connection.execute(
            "select aggressor, bool_and(buyer_is_maker) from agg_trade group by 1 order by 1"
        ).fetchall()
    with open_log(storage, MARKET) as log:
        rows = [b.rows["agg_trade"] for b in log.read(kinds=["agg_trade"]) if "agg_trade" in b.rows]
    assert {"agg_trade", "tick", "snapshot", "instrument"} <= names
    assert count == sum(len(r) for r in rows)
    assert total == sum(int(r["quantity_e8"].sum()) for r in rows)
    assert 90_000 < low < high < 110_000
    assert sides == [("buy", False), ("sell", True)]


def test_the_research_command_prints_rows_and_json(storage: Path, tmp_path: Path) -> None:
    """As a user types it, with a run to look at."""
    where = ["--market", str(MARKET), "--storage", str(storage)]
    replay = [sys.executable, "-m", "replay", "run", *where, "--out", str(tmp_path)]
    subprocess.run(replay, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    query = "select metric, samples from run_scores where unit = 'episode' order by metric"
    command = [sys.executable, "-m", "research", "sql", query, *where, "--runs", str(tmp_path)]
    plain = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert plain.splitlines()[0].split() == ["metric", "samples"]
    found = json.loads(
        subprocess.run([*command, "--json"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    )
    assert [row["metric"] for row in found] == ["rejected", "rejected_martingale", "touched"]
