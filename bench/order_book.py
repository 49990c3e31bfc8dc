"""
The rebuilt book: level changes a second, compared with hftbacktest's ROIVectorMarketDepth on the same recorded changes.

Theirs simulates more (two clocks, orders, latency), so the ratio is a lower limit for ours, not a contest.
"""

import importlib
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench.measure import Figure, seconds
from eventlog.clock import WallClock
from eventlog.facts.market import DIFF, SNAPSHOT
from eventlog.names import LogName
from eventlog.store.batch import Batch, Rows
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from exchanges.binance.recordings.recording import append_recording
from market.arrays import I64
from market.fixed_point import ONE_E8
from market.instrument import Market
from projections.book.order_book import COLUMNS, OrderBook

NAME = LogName("events", Market.parse("binance:BTCUSDT"))
ROUNDS = 20
TICK = 0.01
NOT_INSTALLED = "skipped the book beside hftbacktest: not installed (pip install hftbacktest into the environment)"


def measure_level_rate(recordings: Path, folder: Path, repetitions: int) -> Figure | None:
    """
    Measure ten minutes of real changes, repeated from their snapshot.

    Both get columns in memory, and only applying them is timed; both must end at the same best quote.

    Args:
        recordings: folder of recorded updates.
        folder: for the imported log.
        repetitions: number of pairs.

    Returns:
        None where hftbacktest is not installed.
    """
    try:
        peer = importlib.import_module("hftbacktest")
    except ImportError:
        return None
    batch = _read_batch(recordings, folder)
    events = _events(peer, batch)
    changes = ROUNDS * int(
        len(_read_changes(batch.rows[DIFF], "bid")[0]) + len(_read_changes(batch.rows[DIFF], "ask")[0])
    )
    books: list[OrderBook] = []

    def run_ours() -> None:
        for _ in range(ROUNDS):
            books[:] = [OrderBook()]
            books[0].apply(batch, traced=False)

    pairs = []
    for repetition in range(repetitions + 1):
        backtest = _build_backtest(peer, events)
        pair = seconds(run_ours), seconds(lambda backtest=backtest: backtest.elapse(2**60))  # type: ignore[misc]
        depth, quote = backtest.depth(0), books[0].quote()
        assert quote is not None
        assert (round(depth.best_bid / TICK), round(depth.best_ask / TICK)) == (
            quote.bid_e8 // (ONE_E8 // 100),
            quote.ask_e8 // (ONE_E8 // 100),
        )
        backtest.close()
        if repetition:  # the first one warms up
            pairs.append(pair)
    our_s, peer_s = (median(column) for column in zip(*pairs, strict=True))
    median_ratio = median(peer_time / our_time for our_time, peer_time in pairs)
    detail = f"{changes / our_s / 1e6:.1f} against {changes / peer_s / 1e6:.1f} million level changes/s"
    return Figure("rebuilt book / hftbacktest ROIVector", median_ratio, 3.0, False, detail)


def _read_batch(recordings: Path, folder: Path) -> Batch:
    """The recording's snapshot and the diffs after it, as one batch."""
    storage = ColdLog(folder / "order_book", NAME)
    importer = Importer(storage, WallClock())
    for path in sorted(recordings.glob("btcusdt-spot-2024-*.gz")):
        append_recording(importer, path)
    importer.close()
    parts = list(Log(storage, None, {}).read(kinds=(SNAPSHOT, DIFF), columns={DIFF: COLUMNS}))
    tables = {k: pa.concat_tables([b.rows[k].columns.table for b in parts if k in b.rows]) for k in (SNAPSHOT, DIFF)}
    is_newer = tables[DIFF].column("last_update_id").to_numpy() > tables[SNAPSHOT].column("last_update_id")[0].as_py()
    tables[DIFF] = tables[DIFF].filter(pa.array(is_newer)).combine_chunks()
    return Batch.from_tables(1, parts[-1].last_seq, tables)


def _read_changes(diffs: Rows, side: str) -> tuple[I64, I64, I64]:
    """Row, price and quantity of each changed level."""
    offsets, price = diffs.columns.flatten(f"{side}_price_e8")
    row = np.repeat(np.arange(len(diffs)), np.diff(offsets))
    return row, price, diffs.columns.flatten(f"{side}_quantity_e8")[1]


def _events(peer: Any, batch: Batch) -> npt.NDArray[Any]:
    """The rounds as hftbacktest's events: at each round's start the sides are cleared and the snapshot is set."""
    diffs, books = batch.rows[DIFF], batch.rows[SNAPSHOT]
    flags = peer.EXCH_EVENT | peer.LOCAL_EVENT
    parts = []
    for side, name in ((peer.BUY_EVENT, "bid"), (peer.SELL_EVENT, "ask")):
        price, quantity = (books.columns.levels(f"{name}_{field}_e8", 0) for field in ("price", "quantity"))
        clear = _rows(flags | peer.DEPTH_CLEAR_EVENT | side, np.array([-2]), price[-1:], quantity[-1:])
        snapshot_rows = _rows(flags | peer.DEPTH_SNAPSHOT_EVENT | side, np.full(len(price), -1), price, quantity)
        parts += [clear, snapshot_rows, _rows(flags | peer.DEPTH_EVENT | side, *_read_changes(diffs, name))]
    round_events = np.concatenate(parts)
    round_events = round_events[np.argsort(round_events["local_ts"], kind="stable")]
    length = len(diffs) + 10
    rounds = [round_events.copy() for _ in range(ROUNDS)]
    for number, events in enumerate(rounds):
        events["exch_ts"] += 1000 * length * number
        events["local_ts"] += 1000 * length * number
    return np.concatenate(rounds)


def _rows(kind: int, row: I64, price_e8: I64, quantity_e8: I64) -> npt.NDArray[Any]:
    fields = [("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8"),
              ("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8")]  # fmt: skip
    events = np.zeros(len(row), np.dtype(fields, align=True))
    events["ev"] = kind
    events["exch_ts"] = events["local_ts"] = 1000 * (row + 10)
    events["px"], events["qty"] = price_e8 / ONE_E8, quantity_e8 / ONE_E8
    return events


def _build_backtest(peer: Any, events: npt.NDArray[Any]) -> Any:
    prices = events["px"][events["ev"] & 0xFF == peer.DEPTH_SNAPSHOT_EVENT]
    asset = (
        peer.BacktestAsset()
        .data(events)
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(TICK)
        .lot_size(0.00001)
        .roi_lb(float(prices.min()) * 0.9)
        .roi_ub(float(prices.max()) * 1.1)
    )
    return peer.ROIVectorMarketDepthBacktest([asset])
