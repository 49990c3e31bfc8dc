"""
The rebuilt book: level changes a second, beside hftbacktest's ROIVectorMarketDepth on the same recorded changes.

Theirs simulates more (two clocks, orders, latency), so the ratio is a floor that ours must clear, no contest.
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


def levels_a_second(recordings: Path, folder: Path, repetitions: int) -> Figure | None:
    """
    Ten minutes of real changes, over and over from their snapshot; None where hftbacktest is not installed.

    Both are handed columns in memory, and only following them is timed; both must end at the same best quote.
    """
    try:
        theirs = importlib.import_module("hftbacktest")
    except ImportError:
        return None
    batch = _whole(recordings, folder)
    events = _events(theirs, batch)
    changes = ROUNDS * int(len(_changed(batch.rows[DIFF], "bid")[0]) + len(_changed(batch.rows[DIFF], "ask")[0]))
    books: list[OrderBook] = []

    def ours() -> None:
        for _ in range(ROUNDS):
            books[:] = [OrderBook()]
            books[0].apply(batch, traced=False)

    pairs = []
    for repetition in range(repetitions + 1):
        simulated = _simulated(theirs, events)
        pair = seconds(ours), seconds(lambda simulated=simulated: simulated.elapse(2**60))  # type: ignore[misc]
        depth, quote = simulated.depth(0), books[0].quote()
        assert quote is not None
        assert (round(depth.best_bid / TICK), round(depth.best_ask / TICK)) == (
            quote.bid_e8 // (ONE_E8 // 100),
            quote.ask_e8 // (ONE_E8 // 100),
        )
        simulated.close()
        if repetition:  # the first one warms up
            pairs.append(pair)
    mine, other = (median(column) for column in zip(*pairs, strict=True))
    found = median(them / us for us, them in pairs)
    detail = f"{changes / mine / 1e6:.1f} against {changes / other / 1e6:.1f} million level changes/s"
    return Figure("rebuilt book / hftbacktest ROIVector", found, 3.0, False, detail)


def _whole(recordings: Path, folder: Path) -> Batch:
    """The recording's snapshot and the diffs that it does not hold, as one batch."""
    storage = ColdLog(folder / "order_book", NAME)
    importer = Importer(storage, WallClock())
    for path in sorted(recordings.glob("btcusdt-spot-2024-*.gz")):
        append_recording(importer, path)
    importer.close()
    parts = list(Log(storage, None, {}).read(kinds=(SNAPSHOT, DIFF), columns={DIFF: COLUMNS}))
    tables = {k: pa.concat_tables([b.rows[k].columns.table for b in parts if k in b.rows]) for k in (SNAPSHOT, DIFF)}
    known = tables[DIFF].column("last_update_id").to_numpy() > tables[SNAPSHOT].column("last_update_id")[0].as_py()
    tables[DIFF] = tables[DIFF].filter(pa.array(known)).combine_chunks()
    return Batch.from_tables(1, parts[-1].last_seq, tables)


def _changed(diffs: Rows, side: str) -> tuple[I64, I64, I64]:
    """Row, price and quantity of each changed level."""
    offsets, price = diffs.columns.flatten(f"{side}_price_e8")
    row = np.repeat(np.arange(len(diffs)), np.diff(offsets))
    return row, price, diffs.columns.flatten(f"{side}_quantity_e8")[1]


def _events(theirs: Any, batch: Batch) -> npt.NDArray[Any]:
    """The rounds as hftbacktest's events: at each round's start the sides are cleared and the snapshot is set."""
    diffs, books = batch.rows[DIFF], batch.rows[SNAPSHOT]
    both = theirs.EXCH_EVENT | theirs.LOCAL_EVENT
    parts = []
    for side, name in ((theirs.BUY_EVENT, "bid"), (theirs.SELL_EVENT, "ask")):
        price, quantity = (books.columns.levels(f"{name}_{what}_e8", 0) for what in ("price", "quantity"))
        clear = _rows(both | theirs.DEPTH_CLEAR_EVENT | side, np.array([-2]), price[-1:], quantity[-1:])
        shown = _rows(both | theirs.DEPTH_SNAPSHOT_EVENT | side, np.full(len(price), -1), price, quantity)
        parts += [clear, shown, _rows(both | theirs.DEPTH_EVENT | side, *_changed(diffs, name))]
    one = np.concatenate(parts)
    one = one[np.argsort(one["local_ts"], kind="stable")]
    length = len(diffs) + 10
    rounds = [one.copy() for _ in range(ROUNDS)]
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


def _simulated(theirs: Any, events: npt.NDArray[Any]) -> Any:
    prices = events["px"][events["ev"] & 0xFF == theirs.DEPTH_SNAPSHOT_EVENT]
    asset = (
        theirs.BacktestAsset()
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
    return theirs.ROIVectorMarketDepthBacktest([asset])
