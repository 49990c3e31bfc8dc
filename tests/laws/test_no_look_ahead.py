"""
No look-ahead: what comes after a tick, be it cut off or garbled, changes nothing that was decided up to it.
"""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from agents.rules import RulesAnalyst
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, INSTRUMENT
from eventlog.store.batch import Batch
from exchanges.binance.archives.archive import read_agg_trades
from market.timestamps import MINUTE_NS
from projections.state import MarketState, TickEntry
from replay.decisions import Decision, decide_all, decision_of, ticks_between
from runtime.analysis_config import AnalysisConfig, analysis_config
from runtime.decide import Decider
from runtime.loop import drive
from runtime.open_log import open_log
from runtime.settings.settings import Settings
from tests.market_builders import (
    MARKET,
    SIGHT,
    Tables,
    a_market,
    batches,
    garbled,
    instrument_columns,
    last_seq_of,
    numbered,
    rows_between,
    tick_columns,
    trade_columns,
    write_log,
)

pytestmark = pytest.mark.slow

SAMPLED = 50
DATA = Path(os.environ.get("REAL_DATA_DIR") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
REAL_DAY = DATA / "aggtrades" / "BTCUSDT-aggTrades-2024-01-01.zip"


def decide(source: Iterator[Batch], sight: AnalysisConfig, from_seq: int, until_seq: int) -> list[Decision]:
    """The decisions of the ticks from one seq to another; ticks outside are folded only."""
    state = MarketState(sight.windows)
    decider = Decider(sight.symbol, state, RulesAnalyst(sight.parameters), sight.parameters)
    made: list[Decision] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if from_seq <= tick.seq <= until_seq:
            made.append(decision_of(decider.decide(tick, now)))

    drive(source, state, on_tick)
    return made


def sampled(decisions: Sequence[Decision], seed: int, count: int = SAMPLED) -> list[int]:
    """Which of the decisions are looked at, spread by chance, the first and the last among them."""
    chance = np.random.default_rng(seed)
    inner = chance.choice(np.arange(1, len(decisions) - 1), count - 2, replace=False).tolist()
    return sorted({0, len(decisions) - 1, *inner})


@pytest.fixture(scope="module")
def market() -> Tables:
    """Five hours with books, late trades and late books."""
    return a_market(51, 300)


@pytest.fixture(scope="module")
def original(market: Tables) -> list[Decision]:
    found = decide(batches(market), SIGHT, 0, 2**62)
    assert len(found) == 300
    assert sum(d.zones > 0 for d in found) > 200
    return found


def test_cutting_the_log_changes_nothing_before(market: Tables, original: list[Decision]) -> None:
    """A log that ends at a tick gives, for fifty such ticks, the decisions that the whole log gave there and before."""
    for at in sampled(original, 1):
        cut = rows_between(market, 0, original[at].seq)
        first = max(0, at - 3)
        assert decide(batches(cut), SIGHT, original[first].seq, 2**62) == original[first : at + 1]


def test_garbling_the_future_changes_nothing_before(market: Tables, original: list[Decision]) -> None:
    """With every later price, quantity, side, book and trade time random, decisions up to fifty ticks stay the same."""
    for at in sampled(original, 2):
        other = garbled(market, original[at].seq, seed=at)
        first = max(0, at - 3)
        # one batch over the tick and its garbled future: nothing may be read ahead inside it either
        assert decide(batches(other), SIGHT, original[first].seq, original[at].seq) == original[first : at + 1]


def test_every_earlier_decision_stays(market: Tables, original: list[Decision]) -> None:
    """For three ticks every decision from the first on is made again, from the cut log and from the garbled one."""
    for at in (40, 150, 260):
        seq = original[at].seq
        assert decide(batches(rows_between(market, 0, seq)), SIGHT, 0, seq) == original[: at + 1]
        ends = list(range(200, last_seq_of(market), 777))
        assert decide(batches(garbled(market, seq, seed=at), ends), SIGHT, 0, seq) == original[: at + 1]


def test_the_garbled_future_is_another_one(market: Tables, original: list[Decision]) -> None:
    """The control: decisions after the cut do change, so the law above is tested on something."""
    at = 150
    later = decide(batches(garbled(market, original[at].seq, seed=9)), SIGHT, original[at + 1].seq, 2**62)
    same = sum(a == b for a, b in zip(later, original[at + 1 :], strict=True))
    assert same == 0


def test_workers_decide_the_same(market: Tables, original: list[Decision], tmp_path: Path) -> None:
    """Two processes over a log in many segments decide what one does: a warm-up is all the past there is."""
    write_log(tmp_path, market, segments=12)
    opened = partial(open_log, tmp_path, MARKET)
    with opened() as log:
        ticks = ticks_between(log, 0, 2**62)
    one = list(decide_all(opened, ticks, SIGHT, 1, lambda n: None))
    assert one == original
    assert list(decide_all(opened, ticks, SIGHT, 2, lambda n: None)) == one


def test_a_late_start_decides_the_same(original: list[Decision], market: Tables, tmp_path: Path) -> None:
    """From the last hour alone, in segments of minutes, comes what the whole log gave, its old tick size included."""
    write_log(tmp_path, market, segments=60)
    opened = partial(open_log, tmp_path, MARKET)
    with opened() as log:
        ticks = ticks_between(log, original[239].boundary_ns, 2**62)
        skipped = log.seq_before(original[240].boundary_ns - SIGHT.windows.warmup_ns)
    assert skipped > 1
    assert list(decide_all(opened, ticks, SIGHT, 1, lambda n: None)) == original[240:]


# The same laws on a recorded day


@pytest.fixture(scope="module")
def real_day() -> Tables:
    """A recorded day of trades as an import stores it, with the columns the folds read."""
    if not REAL_DAY.exists():
        pytest.skip(f"no recorded day at {REAL_DAY}; set REAL_DATA_DIR to the folder that holds aggtrades/")
    trades = read_agg_trades(REAL_DAY)
    recv = np.maximum.accumulate(trades.trade_time_ns)
    first = int(recv[0]) // MINUTE_NS * MINUTE_NS
    ends = first + MINUTE_NS * np.arange(1, 1441)
    columns = trade_columns(
        recv, trades.price_e8, trades.quantity_e8, trades.buyer_is_maker, trades.agg_id, trades.trade_time_ns
    )
    parts = {TICK: tick_columns(ends.tolist(), depth="down"), INSTRUMENT: instrument_columns(int(recv[0])),
             AGG_TRADE: columns}  # fmt: skip
    return numbered(parts)


REAL_SIGHT = analysis_config(Settings(), "BTCUSDT")


@pytest.fixture(scope="module")
def real_decisions(real_day: Tables) -> list[Decision]:
    found = decide(batches(real_day), REAL_SIGHT, 0, 2**62)
    assert len(found) == 1440
    return found


@pytest.mark.soak
def test_real_day_garbled(real_day: Tables, real_decisions: list[Decision]) -> None:
    """At fifty ticks of a recorded day the decision is the same whatever is put behind it."""
    for at in sampled(real_decisions, 3):
        seq = real_decisions[at].seq
        # a decision can depend on the facts before it; those far behind it are garbled too, but need not all be read
        horizon = min(seq + 20_000, last_seq_of(real_day))
        other = garbled(rows_between(real_day, 0, horizon), seq, seed=at)
        assert decide(batches(other), REAL_SIGHT, seq, seq) == [real_decisions[at]]


@pytest.mark.soak
def test_real_day_cut(real_day: Tables, real_decisions: list[Decision]) -> None:
    """At fifty ticks of a recorded day the decision is the same when the record ends there."""
    for at in sampled(real_decisions, 4):
        seq = real_decisions[at].seq
        assert decide(batches(rows_between(real_day, 0, seq)), REAL_SIGHT, seq, seq) == [real_decisions[at]]


@pytest.mark.soak
def test_real_day_whole_stretches(real_day: Tables, real_decisions: list[Decision]) -> None:
    """For two ticks every earlier decision of the day is made again from a garbled log."""
    for at in (200, 420):
        seq = real_decisions[at].seq
        other = garbled(rows_between(real_day, 0, real_decisions[at + 60].seq), seq, seed=at)
        assert decide(batches(other), REAL_SIGHT, 0, seq) == real_decisions[: at + 1]
