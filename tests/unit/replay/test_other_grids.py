"""Markets unlike BTC with the settings of a user who sets nothing: runs, signals, pictures, fits, and their figures."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from agents.rules import RulesAnalyst
from analysis.render.view_json import render_view
from eventlog.clock import ManualClock
from eventlog.facts.market import AGG_TRADE, INSTRUMENT, SNAPSHOT
from eventlog.store.log import Log
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from projections.state import READS, STATE_KINDS
from replay.decisions import ticks_between
from replay.pictures.picture import draw
from replay.pictures.scene import build_scene
from replay.runs.run import Request, Result, run
from replay.scoring.rules import rules_of
from replay.signals.fitting import build_training_set, fit_models
from replay.signals.signal_record import record_signals
from replay.signals.signal_scores import load_price_path, score_random_levels, score_signals
from runtime.analysis_config import analysis_config
from runtime.decide import Decider, TickDecision
from runtime.loop import drive
from runtime.settings.settings import Settings
from runtime.warm_up import state_of
from tests.grids import GRIDS, a_market_on
from tests.market_builders import MARKET, T0, Tables, write_log

MINUTES = 100
SETTINGS = Settings()
SIGHT = analysis_config(SETTINGS, MARKET.symbol)
RULES = rules_of(SETTINGS.scoring, SIGHT.parameters)


def replay_run(log: Log, folder: Path) -> Result:
    """A run of a whole log."""
    request = Request(str(MARKET), 0, 2**61, SIGHT, RULES)
    return run(lambda: nullcontext(log), request, folder, 1, ManualClock(T0), lambda *_: None)


def decide_ticks(log: Log) -> list[TickDecision]:
    """Every tick."""
    state = state_of(log, SIGHT.windows)
    decider = Decider(MARKET.symbol, state, RulesAnalyst(SIGHT.parameters), SIGHT.parameters)
    tick_decisions: list[TickDecision] = []
    drive(
        log.read(kinds=STATE_KINDS, columns=READS),
        state,
        lambda tick, now: tick_decisions.append(decider.decide(tick, now)),
    )
    return tick_decisions


def without_digests(decision: TickDecision) -> Any:
    """What is seen at a tick, but for the digests of the folds, and what is cut into whole counts."""
    view_json = json.loads(render_view(decision.view))
    del view_json["state"]
    view_json["orderflow_analysys"]["book_flow"].get("vpin", {}).pop("bucket", None)  # in whole counts
    return view_json


OFTEN = ("sixty cents", "239 ticks of 1e-8")
QUICK = OFTEN[0]
MARKETS = [
    pytest.param(name, False, id=f"{name}-trades alone", marks=pytest.mark.slow if name != QUICK else ())
    for name in GRIDS
] + [
    pytest.param(name, True, id=f"{name}-with books", marks=pytest.mark.slow if name in OFTEN else pytest.mark.soak)
    for name in GRIDS
]


@pytest.mark.parametrize(("name", "books"), MARKETS)
def test_every_command_gives_sane_figures(name: str, books: bool, tmp_path: Path) -> None:
    """Zones at nearly every tick that σ is known at, a few a side and on the grid; scores; signals; a picture."""
    grid = GRIDS[name]
    log = write_log(tmp_path / "storage", a_market_on(grid, 3, MINUTES, books))
    result = replay_run(log, tmp_path / "runs")
    assert MINUTES - 20 <= result.manifest["with_zones"] <= MINUTES - 15
    zones = [z for decision in decide_ticks(log) if decision.advice for z in decision.advice.zones]
    assert len(zones) <= 6 * MINUTES
    assert all(p % grid.tick_e8 == 0 for z in zones for p in (z.low_e8, z.high_e8, z.invalidation_e8))
    figures = {(row["metric"], row["model"]): row["advice"] for row in result.scores}
    assert 0 < figures["touched", None] <= 1
    assert figures["filled", "touch"] >= figures["filled", "through"]
    ticks = ticks_between(log, 0, 2**61)
    record = record_signals(log, ticks, SIGHT, 0, lambda _: None)
    path = load_price_path(log, ticks)
    signals = {score.signal for score in score_signals(path, record, RULES) if score.sightings}
    assert {"poc", "hvn"} & signals
    assert score_random_levels(path, record, RULES)[0].touched > 0
    draw(build_scene(log, T0 + MINUTES * MINUTE_NS, SIGHT), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_a_log_on_any_grid_teaches(name: str, tmp_path: Path) -> None:
    """Outcomes are found, or a reason why there is nothing to learn from."""
    log = write_log(tmp_path, a_market_on(GRIDS[name], 4, MINUTES))
    training_set = build_training_set(log, SIGHT, RULES, lambda _: None)
    assert len(training_set.confidence.outcome) > 4
    assert "pull" in fit_models([training_set])


def in_1e8_counts(tables: Tables) -> Tables:
    """The same coins, counted in 1e-8 instead of whole."""
    columns = dict(tables)
    for kind, names in ((AGG_TRADE, ["quantity_e8"]), (SNAPSHOT, ["bid_quantity_e8", "ask_quantity_e8"])):
        table = tables[kind]
        for column in names:
            values = [
                [q * ONE_E8 for q in row] if isinstance(row, list) else row * ONE_E8
                for row in table.column(column).to_pylist()
            ]
            at = table.schema.get_field_index(column)
            table = table.set_column(at, table.schema.field(column), pa.array(values, table.schema.field(column).type))
        columns[kind] = table
    at = tables[INSTRUMENT].schema.get_field_index("quantity_decimals")
    n = tables[INSTRUMENT].num_rows
    columns[INSTRUMENT] = tables[INSTRUMENT].set_column(
        at, tables[INSTRUMENT].schema.field("quantity_decimals"), pa.array([8] * n, pa.int64())
    )
    return columns


def test_coins_counted_whole_are_the_same_coins(tmp_path: Path) -> None:
    """Every figure, wall and zone, the threshold of walls included: counts differ, coins do not."""
    grid = replace(GRIDS["coins counted whole"], quantity=40_000)
    tables = a_market_on(grid, 3, 40)
    here = decide_ticks(write_log(tmp_path / "whole", tables))
    there = decide_ticks(write_log(tmp_path / "parts", in_1e8_counts(tables)))
    assert any(e.basis == "wall" for decision in here for e in decision.view.evidence)
    for one, two in zip(here, there, strict=True):
        assert without_digests(one) == without_digests(two)
        assert (one.advice and one.advice.render()) == (two.advice and two.advice.render())


def test_an_instrument_that_is_logged_late_says_how_the_log_counts(tmp_path: Path) -> None:
    """Figures before it are in coins as well, not a hundred million times too small; the tick it cannot know then."""
    grid = replace(GRIDS["coins counted whole"], quantity=40_000)
    early, late = (
        decide_ticks(write_log(tmp_path / str(at), a_market_on(grid, 3, 40, known_ns=T0 + at * MINUTE_NS)))
        for at in (0, 30)
    )
    volumes = [
        [decision.view.order_flow["profiles"]["60min"]["volume"] for decision in tick_decisions[:25]]
        for tick_decisions in (early, late)
    ]
    assert volumes[0] == volumes[1]
    assert float(volumes[0][-1]) > 1e6
    assert "no instrument on record: prices step by 0.00000001 as far as was seen" in late[20].view.warnings
    assert late[35].view.warnings == early[35].view.warnings
    assert [z.low_e8 for z in early[20].advice.zones] == [z.low_e8 for z in late[20].advice.zones]  # type: ignore[union-attr]
