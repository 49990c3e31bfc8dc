"""
Whether a wall will be pulled: a forecast fitted on some seeds and scored on others, between the base rate and the best
possible forecast, which knows the true hazard.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context

import numpy as np

from analysis.fitted import PULL_FEATURES, pull_features
from analysis.observe import Findings, Observer
from analysis.parameters import Parameters
from bench.planted import MARKET, START_NS, WINDOWS
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from projections.state import MarketState, TickEntry
from replay.signals.fitting import HORIZON_NS, PullSamples, Samples, fit
from runtime.loop import drive
from simulators.exchange.market.planting import Hazard, Plant, PlantRecord, Side, WallMinute
from simulators.exchange.market.pulls import Volatility, pull_probability
from simulators.exchange.market.rates import usual_volatility
from simulators.exchange.planted.planted_market import PlantedMarket
from simulators.exchange.playback.record import batches

_MINUTES = 200
_LAST_PLANT_MINUTE = 120
_WALLS_PER_SIDE = 14
_SHARES = (0.015, 0.08)
_DISTANCES_BP = (20.0, 75.0)
_OBSERVE_EVERY = 3
_PATHS = 400
_CALM = replace(MARKET, daily_volatility=0.006)
"""Quiet enough that walls are pulled more often than reached: what is judged is the forecast of pulls."""

VARYING = Hazard(0.05, 0.8, -1.0, -0.5)
"""Large walls are pulled sooner, near ones much sooner, old ones later."""
CONSTANT = Hazard(0.012)


@dataclass(frozen=True, slots=True)
class Observation:
    """
    A wall in a detector's findings, whether it was pulled within the hour before a touch, and the true probability.
    """

    features: tuple[float, ...]
    pulled: bool
    best: float


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """Brier scores on seeds that nothing was fitted on."""

    observations: int
    base_rate: float
    base: float
    model: float
    best: float

    @property
    def covered(self) -> float:
        """
        The part of the way from the base rate's score to the best one: 1 for as good as knowing the hazard, 0 for no
        better than the base rate.
        """
        return (self.base - self.model) / (self.base - self.best) if self.base > self.best else 0.0


def evaluate_hazard(hazard: Hazard, seeds: int, workers: int) -> ForecastScore:
    """
    Fit as `liquidity fit` does, on the books alone, and score by the ledger on as many other seeds.

    Args:
        hazard: of the planted walls.
        seeds: number of seeds to fit on, and of others to score on.
        workers: number of processes.
    """
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        sample_sets = list(pool.map(partial(collect_samples, hazard=hazard), range(1, seeds + 1)))
        observations = [
            o for m in pool.map(partial(observe_walls, hazard=hazard), range(seeds + 1, 2 * seeds + 1)) for o in m
        ]
    samples = Samples()
    for sample_set in sample_sets:
        for features, outcome in zip(sample_set.features, sample_set.outcome, strict=True):
            samples.add(features, bool(outcome))
    model = fit(samples, PULL_FEATURES, "planted walls")
    base_rate = float(np.mean(samples.outcome))
    return ForecastScore(
        len(observations), round(base_rate, 4), *(
            round(_brier(forecasts, observations), 5)
            for forecasts in (
                [base_rate] * len(observations),
                [model.probability(o.features) for o in observations],
                [o.best for o in observations],
            )
        ),
    )  # fmt: skip


def collect_samples(seed: int, hazard: Hazard) -> Samples:
    """The samples that the product would collect from a market: endings inferred from its books and trades."""
    market = PlantedMarket(_CALM, _plants(seed, hazard), seed, START_NS)
    state = MarketState(WINDOWS)
    observer, walls = Observer(MARKET.symbol, state, Parameters()), PullSamples()
    drive(
        batches(market, START_NS, _MINUTES),
        state,
        lambda tick, now: walls.add_tick(tick.boundary_ns, observer.find(now).static),
    )
    return walls.samples


def observe_walls(seed: int, hazard: Hazard) -> list[Observation]:
    """
    Observe, every few minutes, the detected walls that are still untouched, in a market full of walls with a hazard.
    """
    market = PlantedMarket(_CALM, _plants(seed, hazard), seed, START_NS)
    state = MarketState(WINDOWS)
    observer = Observer(MARKET.symbol, state, Parameters())
    sightings: list[tuple[int, Side, int, tuple[float, ...]]] = []

    def on_tick(tick: TickEntry, state_at_tick: MarketState) -> None:
        minute = (tick.boundary_ns - START_NS) // MINUTE_NS
        if minute % _OBSERVE_EVERY == 0 and minute <= _MINUTES - HORIZON_NS // MINUTE_NS:
            sightings.extend(_walls(observer.find(state_at_tick), tick.boundary_ns))

    drive(batches(market, START_NS, _MINUTES), state, on_tick)
    rng = np.random.default_rng([seed, 5])
    observations = []
    for at_ns, side, price, features in sightings:
        record = _record_of(market.records, at_ns, side, price)
        minute = None if record is None else next((m for m in record.minutes if m.time_ns == at_ns), None)
        if record is None or minute is None or not minute.alive:
            continue
        if record.touched_ns is not None and record.touched_ns <= at_ns:
            continue
        observations.append(Observation(features, _is_pulled(record, at_ns), _true_probability(hazard, minute, rng)))
    return observations


def format_report(seeds: int, workers: int) -> Iterator[tuple[str, bool]]:
    """Format a line for each hazard, each with whether its bar is met."""
    varying, constant = evaluate_hazard(VARYING, seeds, workers), evaluate_hazard(CONSTANT, seeds, workers)
    yield f"{'pull forecast, hazard':<24}{'n':>7}{'base rate':>11}{'Brier: base':>13}{'model':>9}{'best':>9}", True
    for name, score in (("by size, distance, age", varying), ("constant", constant)):
        yield f"{name:<24}{score.observations:>7,}{score.base_rate:>11.3f}{score.base:>13.4f}{score.model:>9.4f}" \
              f"{score.best:>9.4f}", True  # fmt: skip
    yield f"covered of the way to the best: {varying.covered:.2f} ≥ 0.60", varying.covered >= 0.6
    gain = 1 - constant.model / constant.base
    yield f"gain over the base rate at a constant hazard: {gain:+.3f} ≤ 0.02", gain <= 0.02


def _plants(seed: int, hazard: Hazard) -> list[Plant]:
    rng = np.random.default_rng([seed, 9])
    sides: tuple[Side, Side] = ("bid", "ask")
    low, high = np.log(_SHARES)
    near, far = np.log(_DISTANCES_BP)
    return [
        Plant("wall", side, int(rng.integers(2, _LAST_PLANT_MINUTE)), float(np.exp(rng.uniform(low, high))),
              float(np.exp(rng.uniform(near, far))), hazard=hazard)
        for side in sides
        for _ in range(_WALLS_PER_SIDE)
    ]  # fmt: skip


def _walls(findings: Findings, at_ns: int) -> Iterator[tuple[int, Side, int, tuple[float, ...]]]:
    for side, static_side in (findings.static.sides or {}).items():
        for standing in static_side.walls:
            features = pull_features(standing.wall.bin.share, standing.distance_bp, standing.wall.age_min)
            yield at_ns, side, standing.wall.bin.price_e8, features


def _record_of(records: Sequence[PlantRecord], at_ns: int, side: Side, price_e8: int) -> PlantRecord | None:
    for record in records:
        has_started = record.start_ns is not None and record.start_ns <= at_ns
        has_ended = record.end_ns is not None and record.end_ns <= at_ns
        if has_started and not has_ended and record.side == side and record.low_e8 // ONE_E8 == price_e8 // ONE_E8:
            return record
    return None


def _is_pulled(record: PlantRecord, at_ns: int) -> bool:
    if record.ending != "pulled" or record.end_ns is None or record.end_ns > at_ns + HORIZON_NS:
        return False
    return record.touched_ns is None or record.touched_ns >= record.end_ns


def _true_probability(hazard: Hazard, minute: WallMinute, rng: np.random.Generator) -> float:
    usual = usual_volatility(_CALM)
    volatility = Volatility(minute.sigma_bp, usual.usual_bp, usual.spread, usual.memory_min)
    horizon = HORIZON_NS // MINUTE_NS
    return pull_probability(hazard, minute.share, minute.distance_bp, minute.age_min, horizon, volatility, rng, _PATHS)


def _brier(forecasts: Sequence[float], observations: Sequence[Observation]) -> float:
    return float(np.mean([(f - o.pulled) ** 2 for f, o in zip(forecasts, observations, strict=True)]))
