"""
The content of a tick's picture, from the log up to that tick.
"""

import numpy as np

from agents.rules import RulesAnalyst
from analysis.observe import Observer
from eventlog.store.log import Log
from market.timestamps import iso
from projections.state import MarketState, TickEntry
from projections.trades.volume_profile import IncrementalProfile
from replay.decisions import ticks_between
from replay.errors import NothingToReplay
from replay.pictures.picture import Scene
from replay.verify.origin import Origin
from runtime.analysis_config import AnalysisConfig
from runtime.decide import Decider
from runtime.loop import drive
from runtime.warm_up import read_with_warm_up, state_of

_PROFILE_MINUTES = 1440  # the profile beside the prices is that of a day
_BY_RULES = "no decision log: what the rules advise"


def find_tick(log: Log, at_ns: int) -> tuple[int, int]:
    """
    The seq and the boundary of the last tick at or before a time.

    Raises:
        NothingToReplay: the log holds no tick so early.
    """
    ticks = ticks_between(log, -1, at_ns)
    if len(ticks) == 0:
        raise NothingToReplay(f"{log.name} holds no tick at or before {iso(at_ns)}")
    return int(ticks.seq[-1]), int(ticks.boundary_ns[-1])


def build_scene(log: Log, at_ns: int, config: AnalysisConfig, origin: Origin | None = None) -> Scene:
    """
    Build the scene of the last tick at or before a time, from the log up to that tick and nothing after.

    Args:
        log: the market log.
        at_ns: the time.
        config: the symbol, windows and thresholds to analyse with.
        origin: what the decision log says of that tick; None where there is no such log: the rules decide then.

    Raises:
        NothingToReplay: the log holds no tick so early.
    """
    seq, boundary = find_tick(log, at_ns)
    state = state_of(log, config.windows)
    scenes: list[Scene] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if tick.seq == seq:
            scenes.append(_scene(tick, now, config, origin))

    drive(read_with_warm_up(log, boundary, seq, config.windows), state, on_tick)
    return scenes[0]


def _scene(tick: TickEntry, state: MarketState, config: AnalysisConfig, origin: Origin | None) -> Scene:
    if origin is None:
        rules = Decider(config.symbol, state, RulesAnalyst(config.parameters), config.parameters)
        origin = Origin(rules.decide(tick, state).advice, _BY_RULES, None)
    findings = Observer(config.symbol, state, config.parameters).find(state)
    minutes = min(_PROFILE_MINUTES, state.windows.bucket_minutes)
    profile = IncrementalProfile(state.buckets, minutes)
    profile.refresh()
    level, buy, sell, _ = profile.levels()
    return Scene(
        symbol=config.symbol,
        as_of_ns=tick.boundary_ns,
        reference_e8=findings.reference_e8,
        snapshots=state.snapshots.snapshots(),
        trades=state.trades.columns(),
        profile=(np.array(level), np.array(buy + sell)),
        profile_minutes=minutes,
        static=findings.static,
        quantity_unit=10**state.quantity_decimals,
        tick_size_e8=state.grid_e8(),
        advice=origin.advice,
        origin=origin.sentence,
        probability_name=config.parameters.confidence.word,
    )
