"""
What signals were worth: each figure beside its control's, at each horizon, with an interval.
"""

from dataclasses import dataclass, replace

import numpy as np

from eventlog.store.log import Log
from market.arrays import F64
from market.timestamps import HOUR_NS, MINUTE_NS, SECOND_NS
from replay.decisions import Ticks
from replay.scoring.outcomes import BROKEN, HORIZONS_S, OPEN, REJECTED, UNTOUCHED, Levels, outcomes_at
from replay.scoring.price_path import READS, PricePath
from replay.scoring.scoring import Rules, distances
from replay.scoring.statistics import difference, holm
from replay.signals.signal_controls import SignalSample, draw_controls, draw_random_levels, select_sample
from replay.signals.signal_record import SignalSamples
from replay.signals.signals import EXTREME_ALONE, SAME_DISTANCE, SIGNALS

TARGETS = (0.55, 0.60)
"""The hit rates asked of a signal."""

_SHORT_BLOCK_NS = 30 * MINUTE_NS
_LONG_BLOCK_NS = 2 * HOUR_NS  # an hour to the touch, an hour to the outcome
_DISTANCES = ((0.5, 8.0), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0))


@dataclass(frozen=True, slots=True)
class SignalScore:
    """
    One figure of one signal.

    Attributes:
        figure: `rejected` (touched levels that held), `hit` (price went the way it said) or `move_bp` (how far).
        samples, control_samples: how many the values are means of.
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
    What became of levels that nobody chose, at some distances from the price (ANALYSIS §4).

    Attributes:
        touched: how many a trade came within ε of, within an hour. open: of these, neither rejected nor broken within
            the next hour. rejected: the part of the others, None where there is none.
    """

    from_sigma: float
    to_sigma: float
    levels: int
    touched: int
    open: int
    rejected: float | None


def load_price_path(log: Log, ticks: Ticks) -> PricePath:
    """The trades that signals at some ticks are judged by."""
    return PricePath.from_batches(log.read(log.seq_before(int(ticks.boundary_ns[0])), None, list(READS), READS))


def score_signals(path: PricePath, seen: SignalSamples, rules: Rules) -> list[SignalScore]:
    """Every signal's figures beside its control's; signals never sighted are in the list, without figures."""
    scores: list[SignalScore] = []
    for number, (signal, control) in enumerate(SIGNALS.items()):
        mine = [i for i, s in enumerate(seen.signal) if s.signal == signal and not s.as_control]
        trial = select_sample(seen, mine)
        if control == EXTREME_ALONE:
            other = select_sample(seen, [i for i, s in enumerate(seen.signal) if s.signal == signal and s.as_control])
        else:
            other = draw_controls(seen, signal, trial, control == SAME_DISTANCE, [rules.seed, number])
        scores += _scores(signal, control, trial, other, seen, path, rules)
    return [replace(s, p=p) for s, p in zip(scores, holm([s.p for s in scores]), strict=True)]


def random_levels(path: PricePath, seen: SignalSamples, rules: Rules) -> list[RandomLevels]:
    """The placebo of all levels: as many above the price as below, all distances first, then octave by octave."""
    trial, distance = draw_random_levels(seen, _DISTANCES[0], [rules.seed, len(SIGNALS)])
    outcome = outcomes_at(path, _levels(trial, seen, rules)).outcome
    found = []
    for low, high in _DISTANCES:
        inside = outcome[(distance >= low) & (distance < high)]
        rejected, broken = int((inside == REJECTED).sum()), int((inside == BROKEN).sum())
        rate = round(rejected / (rejected + broken), 4) if rejected + broken else None
        touched = int((inside != UNTOUCHED).sum())
        found.append(RandomLevels(low, high, len(inside), touched, int((inside == OPEN).sum()), rate))
    return found


def _scores(
    signal: str,
    control: str,
    trial: SignalSample,
    other: SignalSample,
    seen: SignalSamples,
    path: PricePath,
    rules: Rules,
) -> list[SignalScore]:
    mine, theirs = _outcomes(trial, seen, path, rules), _outcomes(other, seen, path, rules)
    level = bool((trial.price_e8 > 0).any())
    rows: list[tuple[str, int | None, F64, F64]] = [("rejected", None, mine[0], theirs[0])] if level else []
    for column, horizon_s in enumerate(HORIZONS_S):
        hit, hit_control = (_hits(m[1][:, column]) for m in (mine, theirs))
        rows += [("hit", horizon_s, hit, hit_control),
                 ("move_bp", horizon_s, mine[1][:, column], theirs[1][:, column])]  # fmt: skip
    scores = []
    for figure, horizon, value, control_value in rows:
        short = not level and horizon is not None and horizon * SECOND_NS <= _SHORT_BLOCK_NS
        block_ns = _SHORT_BLOCK_NS if short else _LONG_BLOCK_NS
        found = difference(value, trial.sighted_ns // block_ns, control_value, other.sighted_ns // block_ns, rules.seed)
        scores.append(
            SignalScore(signal, control, figure, horizon, len(trial.tick), found.advice, found.placebo, found.samples,
                        found.placebo_samples, found.low, found.high, found.blocks, found.p)
        )  # fmt: skip
    return scores


def _hits(move_bp: F64) -> F64:
    """1 where price went the way that was said, 0 where it went the other, half where it stood still."""
    return np.where(np.isnan(move_bp), np.nan, (np.sign(move_bp) + 1) / 2)


def _outcomes(trial: SignalSample, seen: SignalSamples, path: PricePath, rules: Rules) -> tuple[F64, F64]:
    """
    Whether each level held (NaN where it was not touched or is open), and the move in the signal's direction at each
    horizon, basis points: from the trade that touched a level, from the last before the sighting of a direction.
    """
    start = seen.at_ns[trial.tick] + rules.latency_ms * 1_000_000
    way = np.where(trial.up, 1.0, -1.0)
    held = np.full(len(trial.tick), np.nan)
    level = trial.price_e8 > 0
    if level.any():
        tested = outcomes_at(path, _levels(trial, seen, rules))
        decided = (tested.outcome == REJECTED) | (tested.outcome == BROKEN)
        held[decided] = tested.outcome[decided] == REJECTED
        known, from_ns = tested.touch >= 0, path.at_ns[np.maximum(tested.touch, 0)] if len(path) else start
        base = np.where(known, path.price_e8[np.maximum(tested.touch, 0)] if len(path) else -1, -1)
    else:
        from_ns = start
        base = path.price_at(start)
        known = base > 0
    moves = np.full((len(trial.tick), len(HORIZONS_S)), np.nan)
    for column, horizon_s in enumerate(HORIZONS_S):
        later = path.price_at(from_ns + horizon_s * SECOND_NS)
        usable = known & (later > 0) & (base > 0)
        moves[usable, column] = np.round(way[usable] * (later[usable] - base[usable]) / base[usable] * 1e4, 4)
    return held, moves


def _levels(trial: SignalSample, seen: SignalSamples, rules: Rules) -> Levels:
    """Touched by a trade within ε, in the hour after the sighting; how far off or through counts from the price."""
    start = seen.at_ns[trial.tick] + rules.latency_ms * 1_000_000
    unit, near = seen.unit_e8[trial.tick], seen.near_e8[trial.tick]
    away, beyond = (np.maximum(distances(unit, sigmas) - near, 1) for sigmas in (rules.away_sigma, rules.beyond_sigma))
    low, high = trial.price_e8 - near, trial.price_e8 + near
    return Levels(trial.up, low, high, away, beyond, start, start + HOUR_NS, seen.seq[trial.tick])
