"""
The real day: import, size, read and fold, and a full replay.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from bench.measure import Figure, ratio
from eventlog.clock import WallClock
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import read_agg_trades
from market.instrument import Market
from projections.state import READS, STATE_KINDS, MarketState, Windows
from projections.trades.minute_buckets import COLUMNS
from runtime.loop import drive

MARKET = Market.parse("binance:BTCUSDT")
NAME = LogName("events", MARKET)


def measure_import(archive: Path, folder: Path, repetitions: int) -> Figure:
    """
    Measure the import against unzipping and parsing the same file with pyarrow alone.

    Args:
        archive: zip of a day's trades.
        folder: for the imported log.
        repetitions: number of pairs.
    """

    def run_ours() -> None:
        shutil.rmtree(folder / "import", ignore_errors=True)
        importer = Importer(ColdLog(folder / "import", NAME), WallClock())
        import_trades(importer, archive.name, read_agg_trades(archive))
        importer.close()

    def run_reference() -> None:
        with zipfile.ZipFile(archive) as file:
            text = file.read(file.namelist()[0])
        pcsv.read_csv(pa.BufferReader(text), read_options=pcsv.ReadOptions(autogenerate_column_names=True))

    median_ratio, ours_s, reference_s = ratio(run_ours, run_reference, repetitions)
    return Figure("import / (unzip + pyarrow.csv)", median_ratio, 2.0, True, f"{ours_s:.3f} s / {reference_s:.3f} s")


def measure_bytes_per_trade(_: Path, folder: Path, __: int) -> Figure:
    """Measure the size of an archive import on disk; the arguments are those of `measure_import`."""
    cold = ColdLog(folder / "import", NAME)
    files = [f for s in cold.catalogue.segments for f in s.files]
    trades = sum(f.rows for f in files if f.kind == "agg_trade")
    size = sum(f.size for f in files)
    return Figure("bytes a trade on disk", size / trades, 9.0, True, f"{size:,} B, {trades:,} trades, ticks included")


def measure_read_and_fold(_: Path, folder: Path, repetitions: int) -> Figure:
    """
    Measure reading the day into minute buckets, 1440 ticks, against pyarrow reading the same columns into numpy; the
    arguments are those of `measure_import`.
    """
    cold = ColdLog(folder / "import", NAME)
    (path,) = (cold.path_of(f) for s in cold.catalogue.segments for f in s.files if f.kind == "agg_trade")
    names = ["seq", *COLUMNS]

    def run_ours() -> None:
        state = MarketState(Windows())
        drive(Log(cold, None, {}).read(kinds=STATE_KINDS, columns=READS), state, lambda tick, now: None)
        assert state.buckets.last_price_e8() is not None

    def run_reference() -> None:
        table = pq.read_table(path, columns=names)
        for name in names:
            table.column(name).to_numpy()

    median_ratio, ours_s, reference_s = ratio(run_ours, run_reference, 3 * repetitions)
    return Figure(
        "read + fold / pyarrow read", median_ratio, 3.0, True, f"{ours_s * 1e3:.1f} ms / {reference_s * 1e3:.1f} ms"
    )


_FOLD_ONLY = """
import sys
from pathlib import Path
from eventlog.store.cold import ColdLog
from runtime.open_log import open_log
from market.instrument import Market
from projections.state import KINDS, READS, MarketState, Windows
from runtime.loop import drive
with open_log(Path(sys.argv[1]), Market.parse("binance:BTCUSDT")) as log:
    state = MarketState(Windows())
    drive(log.read(kinds=KINDS, columns=READS), state, lambda tick, now: None)
    state.buckets.last_price_e8()
"""


def measure_replay(_: Path, folder: Path, repetitions: int) -> Figure:
    """
    Measure a `liquidity replay run` process against one that only loads and folds; the arguments are those of
    `measure_import`.
    """
    storage = str(folder / "import")

    def run_ours() -> None:
        shutil.rmtree(folder / "runs", ignore_errors=True)
        command = ["-m", "replay", "run", "--market", str(MARKET), "--storage", storage, "--out", str(folder / "runs")]
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)

    def run_reference() -> None:
        subprocess.run([sys.executable, "-c", _FOLD_ONLY, storage], check=True)

    median_ratio, ours_s, reference_s = ratio(run_ours, run_reference, max(3, repetitions // 2))
    detail = f"{ours_s:.2f} s / {reference_s:.2f} s: 1440 analyses, scores, report"
    return Figure("replay run / load and fold, whole processes", median_ratio, 5.0, True, detail)
