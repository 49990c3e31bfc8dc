"""A whole real day of trades: complete, summed as others sum it, the same whatever way it is read."""

import csv
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from eventlog.clock import ManualClock
from eventlog.facts.capture import GAP, TICK
from eventlog.facts.market import AGG_TRADE
from eventlog.names import LogName
from eventlog.proof.check import check
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer, ImportSummary
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import read_agg_trades
from exchanges.binance.mapper import BinanceMapper
from market.fixed_point import format_e8
from market.instrument import Market
from market.timestamps import DAY_NS, HOUR_NS, MINUTE_NS
from projections.trades.minute_buckets import COLUMNS, MinuteBuckets
from tests.builders import NOW, T0
from tests.conftest import ROOT

NAME = LogName("events", Market("binance", "BTCUSDT"))
TRADES = 863_403
FIRST_ID, LAST_ID = 2_807_759_891, 2_808_623_293
MINUTES = 24 * 60


@pytest.fixture(scope="module")
def archive(real_data: Path) -> Path:
    """Binance's own file of the day."""
    return real_data / "aggtrades" / "BTCUSDT-aggTrades-2024-01-01.zip"


@pytest.fixture(scope="module")
def storage(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with the day imported."""
    storage = tmp_path_factory.mktemp("real_day")
    importer = Importer(ColdLog(storage, NAME), ManualClock(NOW))
    done = import_trades(importer, archive.name, read_agg_trades(archive))
    importer.close()
    assert done == ImportSummary(added=TRADES, known=0, ticks=MINUTES)
    return storage


@pytest.fixture(scope="module")
def log(storage: Path) -> Log:
    """The day's log."""
    return Log(ColdLog(storage, NAME), None, BinanceMapper("BTCUSDT").decoders)


@pytest.fixture(scope="module")
def day(log: Log) -> Batch:
    """The day's trades in one batch."""
    return at_once(log, AGG_TRADE, COLUMNS)


def at_once(log: Log, kind: str, columns: Sequence[str] | None = None) -> Batch:
    """All entries of a kind in one batch."""
    wanted = None if columns is None else {kind: columns}
    parts = [b.rows[kind].columns.table for b in log.read(kinds=[kind], columns=wanted) if kind in b.rows]
    return Batch.from_tables(1, log.last_seq(), {kind: pa.concat_tables(parts)})


@pytest.fixture(scope="module")
def rows(archive: Path) -> list[list[str]]:
    """The file's rows as text, read by the standard library."""
    with zipfile.ZipFile(archive) as packed:
        (name,) = packed.namelist()
        return list(csv.reader(io.TextIOWrapper(packed.open(name), "ascii")))


def folded(batches: Iterator[Batch] | list[Batch]) -> MinuteBuckets:
    """The day's buckets, closed at its end."""
    buckets = MinuteBuckets(MINUTES)
    for batch in batches:
        buckets.apply(batch)
    buckets.close(T0 + DAY_NS)
    return buckets


@pytest.fixture(scope="module")
def buckets(day: Batch) -> MinuteBuckets:
    """The day's buckets."""
    return folded([day])


def in_batches_of(day: Batch, size: int, count: int | None = None) -> Iterator[Batch]:
    """The day's first trades as batches of a size, each a table of its own."""
    table = day.rows[AGG_TRADE].columns.table
    seqs = table.column("seq").to_numpy()
    rows = len(seqs) if count is None else count
    for start in range(0, rows, size):
        part = table.slice(start, min(size, rows - start))
        yield Batch.from_tables(int(seqs[start]), int(seqs[start + len(part) - 1]), {AGG_TRADE: part})


def test_the_day_is_complete(log: Log) -> None:
    """Every id, every trade id in chain, no gap to name; every file as it was written."""
    report = check(log)
    assert report.complete
    assert (report.trades, report.first_agg_id, report.last_agg_id) == (TRADES, FIRST_ID, LAST_ID)
    assert report.kinds == {"agg_trade": TRADES, "instrument": 1, "tick": MINUTES}
    assert report.kinds.get(GAP) is None
    assert report.entries == report.last_seq == TRADES + 1 + MINUTES


def test_every_row_of_the_file_is_an_entry(log: Log, rows: list[list[str]]) -> None:
    """Column by column, as plain integers and text."""
    trades = at_once(log, AGG_TRADE).rows[AGG_TRADE]
    assert trades["agg_id"].tolist() == [int(r[0]) for r in rows]
    assert trades["price_e8"].tolist() == [int(r[1].replace(".", "")) for r in rows]
    assert trades["quantity_e8"].tolist() == [int(r[2].replace(".", "")) for r in rows]
    assert trades["first_trade_id"].tolist() == [int(r[3]) for r in rows]
    assert trades["last_trade_id"].tolist() == [int(r[4]) for r in rows]
    assert (trades["trade_time_ns"] // 10**6).tolist() == [int(r[5]) for r in rows]
    assert trades["buyer_is_maker"].tolist() == [r[6] == "True" for r in rows]
    assert trades["best_match"].tolist() == [r[7] == "True" for r in rows]
    assert {len(r[1].split(".")[1]) for r in rows} == {len(r[2].split(".")[1]) for r in rows} == {8}


def test_every_minute_is_what_the_rows_sum_to(buckets: MinuteBuckets, rows: list[list[str]]) -> None:
    """All 1,440 minutes: each level's bought and sold quantity and count, in arithmetic that is not ours."""
    expected: dict[int, dict[int, list[int]]] = {}
    for _, price, quantity, _, _, time_ms, maker, _ in rows:
        levels = expected.setdefault(int(time_ms) // 60_000, {})
        sums = levels.setdefault(int(price.partition(".")[0]), [0, 0, 0])
        sums[maker == "True"] += int(quantity.replace(".", ""))
        sums[2] += 1
    assert len(expected) == MINUTES
    found = {}
    for minute_ns, minute in buckets.minutes():
        columns = (minute.level_e8 // 10**8, minute.buy_e8, minute.sell_e8, minute.count)
        levels = zip(*(c.tolist() for c in columns), strict=True)
        found[minute_ns // MINUTE_NS] = {level: sums for level, *sums in levels}
        assert minute.level_e8.tolist() == sorted(minute.level_e8.tolist())
    assert found == expected


def test_bars_are_the_first_and_last_trade_of_each_minute(buckets: MinuteBuckets, rows: list[list[str]]) -> None:
    """Open, high, low and close from the rows as they stand in the file."""
    prices: dict[int, list[int]] = {}
    for row in rows:
        prices.setdefault(int(row[5]) // 60_000, []).append(int(row[1].replace(".", "")))
    starts, bars = buckets.bars(MINUTES)
    assert (starts // MINUTE_NS).tolist() == list(prices)
    assert bars.tolist() == [[p[0], max(p), min(p), p[-1]] for p in prices.values()]


def test_hours_equal_the_exchanges_own_klines(buckets: MinuteBuckets, real_data: Path) -> None:
    """Volume and taker-buy volume, 24 of 24, to the last digit; prices and trade counts too."""
    with open(real_data / "klines" / "BTCUSDT-1h-2024-01-01.csv", newline="") as file:
        klines = list(csv.DictReader(file))
    assert len(klines) == 24
    starts, bars = buckets.bars(MINUTES)
    for hour, kline in enumerate(klines):
        first = T0 + hour * HOUR_NS
        minutes = [buckets.minute(first + i * MINUTE_NS) for i in range(60)]
        buy = sum(int(m.buy_e8.sum()) for m in minutes if m is not None)
        sell = sum(int(m.sell_e8.sum()) for m in minutes if m is not None)
        assert Decimal(format_e8(buy + sell)) == Decimal(kline["volume"])
        assert Decimal(format_e8(buy)) == Decimal(kline["taker_buy_base_asset_volume"])
        inside = bars[(starts >= first) & (starts < first + HOUR_NS)]
        shown = [inside[0][0], inside[:, 1].max(), inside[:, 2].min(), inside[-1][3]]
        told = [Decimal(kline[name]) for name in ("open", "high", "low", "close")]
        assert [Decimal(format_e8(int(price))) for price in shown] == told


def test_ticks_stand_behind_their_minutes(log: Log) -> None:
    """One a minute, after the last trade before it and before the first trade after it."""
    trade, tick = at_once(log, AGG_TRADE).rows[AGG_TRADE], at_once(log, TICK).rows[TICK]
    assert tick["boundary_ns"].tolist() == [T0 + (i + 1) * MINUTE_NS for i in range(MINUTES)]
    before = np.searchsorted(trade["seq"], tick["seq"])
    assert (trade["agg_id"][before - 1] == tick["last_agg_id"]).all()
    assert (trade["trade_time_ns"][before - 1] < tick["boundary_ns"]).all()
    after = before[:-1]
    assert (trade["trade_time_ns"][after] >= tick["boundary_ns"][:-1]).all()
    assert all(b - a == MINUTE_NS for a, b in pairwise(tick["boundary_ns"].tolist()))


@pytest.mark.parametrize("size", [pytest.param(7, marks=pytest.mark.soak), 1_000, 100_000])
def test_any_batch_size_gives_the_same_digest(day: Batch, buckets: MinuteBuckets, size: int) -> None:
    """The whole day, in pieces."""
    assert folded(in_batches_of(day, size)).digest() == buckets.digest()


def test_one_trade_a_batch_gives_the_same_digest(day: Batch) -> None:
    """The first 20,000 trades, one by one, asked now and then in between."""
    whole = folded(in_batches_of(day, 20_000, 20_000))
    single = MinuteBuckets(MINUTES)
    for i, batch in enumerate(in_batches_of(day, 1, 20_000)):
        single.apply(batch)
        if i % 997 == 0:
            single.digest()
    single.close(T0 + DAY_NS)
    assert single.digest() == whole.digest()


DIGEST = """
import sys
from contextlib import nullcontext
from pathlib import Path
from freezegun import freeze_time
from eventlog.store.cold import ColdLog
from eventlog.names import LogName
from market.instrument import Market
from market.timestamps import DAY_NS
from projections.trades.minute_buckets import COLUMNS, MinuteBuckets

storage, frozen = sys.argv[1:]
with freeze_time(frozen) if frozen else nullcontext():
    buckets = MinuteBuckets(1440)
    cold = ColdLog(Path(storage), LogName("events", Market("binance", "BTCUSDT")))
    last = 0
    for batch in cold.read(0, cold.catalogue.last_seq, ["agg_trade"], {"agg_trade": COLUMNS}):
        buckets.apply(batch)
        if "agg_trade" in batch.rows:
            last = int(batch.rows["agg_trade"]["trade_time_ns"].max())
    buckets.close(last - last % DAY_NS + DAY_NS)
    print(buckets.digest())
"""


@pytest.mark.soak
def test_other_seeds_zones_and_dates_give_the_same_digest(storage: Path, buckets: MinuteBuckets) -> None:
    """Hash seeds 0 and 1, UTC and Shanghai, the wall clock and two frozen dates: in processes of their own."""
    ways = [("0", "UTC", ""), ("1", "Asia/Shanghai", ""), ("0", "UTC", "2001-02-03"), ("1", "UTC", "2038-01-20")]
    running = []
    for seed, zone, frozen in ways:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-c", DIGEST, str(storage), frozen]
        running.append(subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True))
    said = []
    for process in running:
        with process:
            said.append(process.communicate(timeout=60)[0].strip())
    assert said == [buckets.digest()] * len(ways)


def test_importing_the_day_again_adds_nothing(storage: Path, archive: Path) -> None:
    """All 863,403 are there already."""
    importer = Importer(ColdLog(storage, NAME), ManualClock(NOW))
    done = import_trades(importer, archive.name, read_agg_trades(archive))
    importer.close()
    assert done == ImportSummary(added=0, known=TRADES)
