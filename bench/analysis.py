"""
A minute's analysis with full windows: 72 h of trades, 60 books of 5000 levels, an hour of book updates.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from agents.rules import RulesAnalyst
from analysis.book.book_side import Side
from analysis.book.static_book import StaticLayer
from analysis.flow.book_flow import book_flow
from analysis.order_flow import OrderFlowLayer
from analysis.parameters import Parameters
from bench.measure import Figure, seconds
from eventlog.facts.capture import TICK
from eventlog.facts.market import DIFF
from eventlog.store.batch import Batch
from eventlog.store.log import Log
from market.fixed_point import ONE_E8
from market.instrument import Market
from market.timestamps import HOUR_NS, MINUTE_NS
from projections.state import READS, STATE_KINDS, MarketState, TickEntry, Windows
from runtime.decide import Decider
from runtime.loop import drive
from runtime.open_log import open_log

_MARKET = Market("binance", "BTCFDUSD")
_MINUTES_MEASURED = 30
_SIGMA = 0.0005
_BUDGETS_MS = {"books": 10.0, "order flow": 5.0, "of it book flow": 3.0}
"""What the user's documents allow the two layers, and the features of the book's updates."""

_UPDATES_NS = 3 * HOUR_NS  # flow looks back an hour, on a book that rests on what is an hour older


class _TimedState(MarketState):
    """Folds that record how long the last stretch of log took them."""

    folding_s = 0.0

    def apply(self, batch: Batch) -> None:
        """Apply a stretch of the log, and record the time."""
        self.folding_s = seconds(lambda: super(_TimedState, self).apply(batch))


def record_three_days(folder: Path) -> Path:
    """Record 72 h of a simulated market and a little more, with one book a minute and its updates between."""
    storage = folder / "three-days"
    if not storage.exists():
        record = ["-m", "simulators.exchange", "record", "--market", str(_MARKET), "--storage", str(storage)]
        subprocess.run([sys.executable, *record, "--days", "3.1", "--diffs"], check=True, stdout=subprocess.DEVNULL)
    return storage


def measure_minute(folder: Path, _: int) -> Figure:
    """
    Measure folding, analysing and deciding one minute against numpy binning 60 books and summing 72 h from scratch.
    """
    state, parameters = _TimedState(Windows()), Parameters()
    decider = Decider("BTCFDUSD", state, RulesAnalyst(parameters), parameters)
    books, trades = StaticLayer(parameters), OrderFlowLayer(state, parameters)
    last_ns = 0
    durations: list[tuple[float, float]] = []
    layers: dict[str, list[float]] = {name: [] for name in _BUDGETS_MS}

    def on_tick(tick: TickEntry, state_at_tick: MarketState) -> None:
        if tick.boundary_ns < last_ns - _MINUTES_MEASURED * MINUTE_NS:
            if tick.boundary_ns >= last_ns - HOUR_NS:
                decider.decide(tick, state_at_tick), time_layers(state_at_tick)
            return
        our_s = state.folding_s + seconds(lambda: decider.decide(tick, state_at_tick))
        durations.append((our_s, seconds(lambda: _compute_from_scratch(state_at_tick))))
        for name, layer_s in zip(_BUDGETS_MS, time_layers(state_at_tick), strict=True):
            layers[name].append(layer_s)

    def time_layers(now: MarketState) -> tuple[float, float, float]:
        consumption: dict[Side, float] = {"bid": 1e8, "ask": 1e8}
        start_s = time.perf_counter()
        static = books.analyze(now.snapshots.snapshots(), now.trades.between, now.tick_size_e8 or 1, consumption)
        middle_s = time.perf_counter()
        trades.analyze(now, _SIGMA, static)
        end_s = time.perf_counter()
        book_flow(now.book_flow, now.order_book.status, now.tick_size_e8 or 1, parameters.book_flow)
        return middle_s - start_s, end_s - middle_s, time.perf_counter() - end_s

    with open_log(record_three_days(folder), _MARKET) as log:
        last_ns = max(int(b.rows[TICK]["boundary_ns"][-1]) for b in log.read(kinds=[TICK]) if TICK in b.rows)
        drive(_read_batches(log, last_ns), state, on_tick)
    our_s, reference = (median(pair[i] for pair in durations) for i in (0, 1))
    layer_text = ", ".join(f"{n} {1e3 * median(v):.1f} of {_BUDGETS_MS[n]:.0f} ms" for n, v in layers.items())
    detail = f"{1e3 * our_s:.1f} ms / {1e3 * reference:.1f} ms; {layer_text}"
    return Figure("a minute's analysis / numpy from scratch", median(o / r for o, r in durations), 2.0, True, detail)


def _read_batches(log: Log, last_ns: int) -> Iterator[Batch]:
    book_seq = log.seq_before(last_ns - _UPDATES_NS)
    yield from log.read(0, book_seq, [kind for kind in STATE_KINDS if kind != DIFF], READS)
    yield from log.read(book_seq, None, STATE_KINDS, READS)


def _compute_from_scratch(state: MarketState) -> float:
    """The least work without any cache: every book in $1 bins, every minute's levels summed."""
    checksum = 0.0
    for book in state.snapshots.snapshots():
        for price, quantity in ((book.bid_price_e8, book.bid_quantity_e8), (book.ask_price_e8, book.ask_quantity_e8)):
            index = price // ONE_E8
            checksum += float(np.bincount(index - index.min(), quantity).max())
    minutes = [minute for _, minute in state.buckets.minutes()]
    levels, level_index = np.unique(np.concatenate([m.level_e8 for m in minutes]), return_inverse=True)
    for name in ("buy_e8", "sell_e8", "count"):
        checksum += float(np.bincount(level_index, np.concatenate([getattr(m, name) for m in minutes])).max())
    return checksum + len(levels)
