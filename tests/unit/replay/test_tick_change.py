"""A tick size that changes within a log: zones lie on the grid of their moment, live, in replay, and proven."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from agents.rules import RulesAnalyst
from analysis.render.view_json import render_view
from eventlog.clock import ManualClock
from eventlog.store.log import Log
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from projections.state import MarketState
from replay.decisions import decide_all, ticks_between
from replay.runs.run import Request, run
from replay.scoring.rules import rules_of
from replay.verify.verify import verify_log
from runtime.analysis_config import AnalysisConfig, analysis_config
from runtime.decide import Decider, TickDecision
from runtime.loop import drive
from runtime.settings.settings import Settings
from tests.grids import Grid, a_market_that_changes
from tests.market_builders import MARKET, T0, Tables, batches, write_log
from tests.unit.replay.verify.test_verify import decision_log, logged

MINUTES = 60
COARSE = Grid(12 * ONE_E8, ONE_E8 // 100, 0.6, quantity=10 * ONE_E8)
FINE = Grid(12 * ONE_E8, ONE_E8 // 1000, 6.0, quantity=10 * ONE_E8)
CHANGES = {"finer": (COARSE, FINE), "coarser": (FINE, COARSE), "there and back": (COARSE, FINE, COARSE)}
PROVEN = [*(pytest.param(name, marks=pytest.mark.soak) for name in ("finer", "coarser")), "there and back"]
"""The third holds the other two: those are for the long tests."""
MARKETS = [
    pytest.param(name, False, id=f"{name}-trades alone", marks=pytest.mark.slow if name != PROVEN[-1] else ())
    for name in CHANGES
] + [pytest.param(name, True, id=f"{name}-with books", marks=pytest.mark.soak) for name in CHANGES]
SETTINGS = Settings()
SIGHT = analysis_config(SETTINGS, MARKET.symbol)


def live(tables: Tables, cuts: int = 1) -> list[TickDecision]:
    """What an analyzer decides that follows the log, entry by entry or in larger pieces."""
    state = MarketState(SIGHT.windows)
    decider = Decider(MARKET.symbol, state, RulesAnalyst(SIGHT.parameters), SIGHT.parameters)
    tick_decisions: list[TickDecision] = []
    ends = range(cuts, 100_000, cuts)
    drive(batches(tables, list(ends)), state, lambda tick, now: tick_decisions.append(decider.decide(tick, now)))
    return tick_decisions


@pytest.mark.parametrize(("name", "books"), MARKETS)
def test_zones_lie_on_the_grid_of_their_moment(name: str, books: bool, tmp_path: Path) -> None:
    """Edges, ladders and invalidation; a replay, and one that begins after the change, decides the same."""
    grids = CHANGES[name]
    tables = a_market_that_changes(grids, 5, MINUTES, books)
    live_decisions = live(tables, 997)
    off, counts = [], np.zeros(len(grids), int)
    for decision in live_decisions:
        n = min(
            (decision.tick.boundary_ns - T0) // (MINUTES * MINUTE_NS), len(grids) - 1
        )  # what is logged before the tick
        assert decision.view.tick_size_e8 == grids[n].tick_e8
        for zone in decision.advice.zones if decision.advice else ():
            counts[n] += 1
            prices = (zone.low_e8, zone.high_e8, zone.invalidation_e8, *(r.price_e8 for r in zone.ladder))
            off += [p for p in prices if p % grids[n].tick_e8]
    assert off == []
    assert (counts > 60).all()
    log = write_log(tmp_path, tables, segments=5)
    again = list(decide_all(lambda: nullcontext(log), ticks_between(log, 0, 2**61), SIGHT, 1, lambda _: None))
    assert [d.advice for d in again] == [e.advice.render() if e.advice else None for e in live_decisions]
    from_middle = _from_middle(log, SIGHT)
    assert from_middle == [d.advice for d in again][-len(from_middle) :]


def _from_middle(log: Log, sight: AnalysisConfig) -> list[bytes | None]:
    """What a process decides that begins after the first change."""
    ticks = ticks_between(log, T0 + (MINUTES + 20) * MINUTE_NS, 2**61)
    return [d.advice for d in decide_all(lambda: nullcontext(log), ticks, sight, 1, lambda _: None)]


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVEN)
def test_a_log_is_proven_over_the_change(name: str, tmp_path: Path) -> None:
    """Every analysis, the digests of the folds in it included, comes out again to the byte; so does the run."""
    tables = a_market_that_changes(CHANGES[name], 5, MINUTES)
    log = write_log(tmp_path / "log", tables, segments=4)
    decisions = decision_log(tmp_path / "decisions", logged(SETTINGS, tables))
    verdict = verify_log(log, decisions, MARKET.symbol, lambda *_: None)
    assert (verdict.identical, verdict.total) == (True, MINUTES * len(CHANGES[name]))
    request = Request(str(MARKET), 0, 2**61, SIGHT, rules_of(SETTINGS.scoring, SIGHT.parameters))
    for expected in (None, []):
        result = run(lambda: nullcontext(log), request, tmp_path, 1, ManualClock(T0), lambda *_: None)
        assert result.differing_files == expected


@pytest.mark.slow
def test_how_a_log_is_read_does_not_matter(tmp_path: Path) -> None:
    """The change in the middle of a batch, at its end, or in a batch of its own."""
    tables = a_market_that_changes(CHANGES["finer"], 7, 30)
    renders = [render_view(decision.view) for decision in live(tables, 100_000)]
    for cuts in (1, 61, 1009):
        assert [render_view(decision.view) for decision in live(tables, cuts)] == renders
