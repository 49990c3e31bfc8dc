"""
Scores of signals: each figure beside that of its control, at each horizon, with an interval.
"""

from dataclasses import dataclass, replace

import numpy as np

from eventlog.store.log import Log
from market.arrays import F64
from market.timestamps import HOUR_NS, MINUTE_NS, SECOND_NS
from replay.decisions import Ticks
from replay.inference.blocks import Samples, difference, holm
from replay.recorded.price_path import PricePath
from replay.scoring.levels import distances
from replay.scoring.outcomes import BROKEN, HORIZONS_S, OPEN, REJECTED, UNTOUCHED, Levels, outcomes_at
from replay.scoring.rules import ScoringRules
from replay.signals.signal_controls import SignalSample, draw_controls, draw_random_levels, select_sample
from replay.signals.signal_record import SignalSamples
from replay.signals.signals import EXTREME_ALONE, SAME_DISTANCE, SIGNALS

TARGETS = (0.55, 0.60)
"""The hit rates that a signal should reach."""

_SHORT_BLOCK_NS = 30 * MINUTE_NS  # for directions whose horizon is no longer
_LONG_BLOCK_NS = 2 * HOUR_NS  # an hour to the touch, an hour to the outcome
# From price, in σ: all of them, then classes of twice the distance each.
_DISTANCES = ((0.5, 8.0), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0))


@dataclass(frozen=True, slots=True)
class SignalScore:
    """
    One figure of one signal.

    Attributes:
        figure: `rejected` (share of touched levels that held), `hit` (share of moves in the signal's direction) or
            `move_bp` (mean move in its direction, basis points).
        sightings: their number. samples, control_samples: the number of values behind each mean.
        horizon_s: None for `rejected`, which has an hour. p: Holm-corrected over all figures with a p.
    """

    signal: str
    control: str
    figure: str
    horizon_s: int | None
    sightings: int
    value: float | None
    control_value: float | None
    samples: int
    control_samples: int
    low: float | None
    high: float | None
    blocks: int
    p: float | None


@dataclass(frozen=True, slots=True)
class RandomLevels:
    """
    Outcomes of levels at random prices, at some distances from the price (docs/measures.md §4).

    Attributes:
        levels: their number. touched: that a trade came within ε of, within an hour.
        open: of the touched, neither rejected nor broken within the next hour.
        rejected: the share of the other touched ones, None where there are none.
    """

    from_sigma: float
    to_sigma: float
    levels: int
    touched: int
    open: int
    rejected: float | None


def load_price_path(log: Log, ticks: Ticks) -> PricePath:
    """Load the trades from the first of some ticks to the end of the log, by which signals at them are scored."""
    return PricePath.from_log(log, log.seq_before(int(ticks.boundary_ns[0])))


def score_signals(path: PricePath, record: SignalSamples, rules: ScoringRules) -> list[SignalScore]:
    """
    The figures of all signals beside those of their controls; signals never sighted are listed without figures.

    Args:
        path: the trades from the first tick on.
        record: sightings, and ticks to draw controls from.
        rules: latency, distances and seed.

    Returns:
        Scores whose p-values are Holm-corrected over all of them.
    """
    scores: list[SignalScore] = []
    for number, (signal, control) in enumerate(SIGNALS.items()):
        numbers = [i for i, s in enumerate(record.signal) if s.signal == signal and not s.as_control]
        sample = select_sample(record, numbers)
        if control == EXTREME_ALONE:
            control_sample = select_sample(
                record, [i for i, s in enumerate(record.signal) if s.signal == signal and s.as_control]
            )
        else:
            control_sample = draw_controls(record, signal, sample, control == SAME_DISTANCE, [rules.seed, number])
        scores += _scores(signal, control, sample, control_sample, record, path, rules)
    return [replace(s, p=p) for s, p in zip(scores, holm([s.p for s in scores]), strict=True)]


def score_random_levels(path: PricePath, record: SignalSamples, rules: ScoringRules) -> list[RandomLevels]:
    """
    Test levels at random prices, as many above the price as below: the placebo of all levels.

    Args:
        path: the trades from the first tick on.
        record: the ticks at which levels are drawn.
        rules: latency, distances and seed.

    Returns:
        A row for all distances, then one for each octave of distance.
    """
    sample, distance = draw_random_levels(record, _DISTANCES[0], [rules.seed, len(SIGNALS)])
    outcome = outcomes_at(path, _levels(sample, record, rules)).outcome
    rows = []
    for low, high in _DISTANCES:
        inside = outcome[(distance >= low) & (distance < high)]
        rejections, breaks = int((inside == REJECTED).sum()), int((inside == BROKEN).sum())
        rate = round(rejections / (rejections + breaks), 4) if rejections + breaks else None
        touches = int((inside != UNTOUCHED).sum())
        rows.append(RandomLevels(low, high, len(inside), touches, int((inside == OPEN).sum()), rate))
    return rows


def _scores(
    signal: str,
    control: str,
    sample: SignalSample,
    control_sample: SignalSample,
    record: SignalSamples,
    path: PricePath,
    rules: ScoringRules,
) -> list[SignalScore]:
    outcomes = _outcomes(sample, record, path, rules)
    controls = _outcomes(control_sample, record, path, rules)
    level = bool((sample.price_e8 > 0).any())
    rows: list[tuple[str, int | None, F64, F64]] = [("rejected", None, outcomes[0], controls[0])] if level else []
    for column, horizon_s in enumerate(HORIZONS_S):
        hit, hit_control = (_hits(m[1][:, column]) for m in (outcomes, controls))
        rows += [("hit", horizon_s, hit, hit_control),
                 ("move_bp", horizon_s, outcomes[1][:, column], controls[1][:, column])]  # fmt: skip
    scores = []
    for figure, horizon, value, control_value in rows:
        short = not level and horizon is not None and horizon * SECOND_NS <= _SHORT_BLOCK_NS
        block_ns = _SHORT_BLOCK_NS if short else _LONG_BLOCK_NS
        block, control_block = sample.sighted_ns // block_ns, control_sample.sighted_ns // block_ns
        result = difference(Samples(value, block), Samples(control_value, control_block))
        scores.append(
            SignalScore(signal, control, figure, horizon, len(sample.tick), result.advice, result.control,
                        result.samples, result.control_samples, result.low, result.high, result.blocks, result.p)
        )  # fmt: skip
    return scores


def _hits(move_bp: F64) -> F64:
    """1 where price went in the signal's direction, 0 where it went the other way, ½ where it did not move."""
    return np.where(np.isnan(move_bp), np.nan, (np.sign(move_bp) + 1) / 2)


def _outcomes(sample: SignalSample, record: SignalSamples, path: PricePath, rules: ScoringRules) -> tuple[F64, F64]:
    """
    Whether each level held (NaN where it was not touched or is open), and the move in the signal's direction at each
    horizon, basis points: from the trade that touched a level, from the last before the sighting of a direction.
    """
    start = record.at_ns[sample.tick] + rules.latency_ms * 1_000_000
    direction = np.where(sample.up, 1.0, -1.0)
    rejection = np.full(len(sample.tick), np.nan)
    level = sample.price_e8 > 0
    if level.any():
        outcomes = outcomes_at(path, _levels(sample, record, rules))
        is_decided = (outcomes.outcome == REJECTED) | (outcomes.outcome == BROKEN)
        rejection[is_decided] = outcomes.outcome[is_decided] == REJECTED
        is_known, from_ns, base_e8 = outcomes.touch_ns >= 0, outcomes.touch_ns, outcomes.touch_e8
    else:
        from_ns = start
        base_e8 = path.price_at(start)
        is_known = base_e8 > 0
    moves = np.full((len(sample.tick), len(HORIZONS_S)), np.nan)
    for column, horizon_s in enumerate(HORIZONS_S):
        later = path.price_at(from_ns + horizon_s * SECOND_NS)
        usable = is_known & (later > 0) & (base_e8 > 0)
        moves[usable, column] = np.round(
            direction[usable] * (later[usable] - base_e8[usable]) / base_e8[usable] * 1e4, 4
        )
    return rejection, moves


def _levels(sample: SignalSample, record: SignalSamples, rules: ScoringRules) -> Levels:
    """Touched by a trade within ε, in the hour after the sighting; how far off or through counts from the price."""
    start = record.at_ns[sample.tick] + rules.latency_ms * 1_000_000
    unit, near = record.unit_e8[sample.tick], record.near_e8[sample.tick]
    away, beyond = (np.maximum(distances(unit, sigmas) - near, 1) for sigmas in (rules.away_sigma, rules.beyond_sigma))
    low, high = sample.price_e8 - near, sample.price_e8 + near
    return Levels(sample.up, low, high, away, beyond, start, start + HOUR_NS, record.seq[sample.tick])
