"""What the folds of a log begin with: as far back as each of them looks, and no further."""

from collections.abc import Iterator

import pytest

from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from eventlog.clock import WallClock
from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from eventlog.names import LogName
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from market.timestamps import HOUR_NS, MINUTE_NS
from projections.state import MarketState, TickEntry, Windows
from replay.decisions import decide_all, decision_of, ticks_between
from runtime.analysis_config import AnalysisConfig
from runtime.decide import Decider
from runtime.loop import drive
from runtime.open_log import open_log
from runtime.warm_up import read_past
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.playback.record import record
from tests.builders import MARKET
from tests.market_builders import T0

WINDOWS = Windows(bucket_minutes=120, snapshot_slots=5, trade_minutes=60, flow_seconds=300)
"""Trades of two hours, books of twenty-five minutes."""
HOURS = 5

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """Hours of a market with updates of its book, a segment an hour."""
    folder = tmp_path_factory.mktemp("log")
    importer = Importer(ColdLog(folder, LogName("events", MARKET)), WallClock())
    try:
        record(importer, MarketParameters(trades_per_second=0.5), 3, T0, HOURS, lambda _: None, True)
    finally:
        importer.close()
    with open_log(folder, MARKET) as log_of_folder:
        yield log_of_folder


def kinds_of(batches: Iterator[Batch]) -> dict[str, list[int]]:
    """The seqs of each kind."""
    seqs: dict[str, list[int]] = {}
    for batch in batches:
        for kind, rows in batch.rows.items():
            seqs.setdefault(kind, []).extend(rows["seq"].tolist())
    return seqs


def test_books_are_read_from_the_segment_on_that_a_tick_rests_on(log: Log) -> None:
    """Trades from two hours and ten minutes before a tick on; no book until the last segment begins."""
    boundary = T0 + HOURS * HOUR_NS - 10 * MINUTE_NS
    past, after = read_past(log, boundary, WINDOWS)
    seqs = kinds_of(past)
    assert not {SNAPSHOT, DIFF} & seqs.keys()
    bounds = [(s.first_seq, s.last_seq) for s in log.cold.catalogue.segments]
    assert after in [last for _, last in bounds]
    assert max(seqs[AGG_TRADE]) <= after
    assert min(seqs[AGG_TRADE]) > bounds[1][1]
    (first_book, *_) = kinds_of(log.read(after, kinds=[SNAPSHOT]))[SNAPSHOT]
    (arrivals_ns,) = (
        rows["recv_ns"][rows["seq"] == first_book]
        for batch in log.read(after, kinds=[SNAPSHOT])
        if (rows := batch.rows.get(SNAPSHOT)) is not None and first_book in rows["seq"]
    )
    assert int(arrivals_ns[0]) <= boundary - WINDOWS.book_warmup_ns + HOUR_NS


def test_what_is_decided_is_what_a_fold_of_everything_decides(log: Log) -> None:
    """Byte for byte, at each tick of the last half hour, whichever is the first."""
    sight = AnalysisConfig(MARKET.symbol, WINDOWS, Parameters())
    state = MarketState(WINDOWS)
    decider = Decider(sight.symbol, state, RulesAnalyst(sight.parameters), sight.parameters)
    end, full_state = T0 + HOURS * HOUR_NS, {}

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if tick.boundary_ns > end - HOUR_NS // 2:
            full_state[tick.seq] = decision_of(decider.decide(tick, now))

    drive(log.read(), state, on_tick)
    assert len(full_state) == 30
    for minutes in (30, 12, 1):
        ticks = ticks_between(log, end - minutes * MINUTE_NS, end)
        decisions = list(decide_all(lambda: open_log(log.cold.storage, MARKET), ticks, sight, 1, lambda _: None))
        assert [d.seq for d in decisions] == ticks.seq.tolist()
        assert all(d == full_state[d.seq] for d in decisions)
