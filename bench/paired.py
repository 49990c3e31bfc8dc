"""
`python -m bench.paired`: how often the comparison of two analysts is wrong, where the truth is known.

Two sides decide by the same rule, each with its own random numbers; decisions persist over time. Then one side is made
better by 1 bp.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import typer

from market.arrays import F64
from replay.inference.blocks import difference
from replay.inference.paired import PairedDifference, compare, power
from replay.inference.student_t import power_of_t

MINUTES = 5000
_BAND = (0.04, 0.06)
_SIGNIFICANCE = 0.05
_POWER_TOLERANCE = 0.02  # measured power against computed: more than two standard errors of 2,000 repetitions
_WORTH_BP = 3.0
_RETURN_BP = 5.0
_WILDNESS = 0.5  # standard deviation of the log of volatility
_CALM_HALF_LIFE_MIN = 120.0
_TAIL = 3  # degrees of freedom of a one-minute return
_BATCH_SIZE = 50
_HOUR_MIN = 60
_SEEDS_PER_LINE = 100_000  # seeds between two lines: no two share their chance


@dataclass(frozen=True, slots=True)
class World:
    """
    How the scores of two equal sides are generated.

    Attributes:
        half_life_min: of a decision. exposed: whether the market's return counts as far as a side is exposed to it;
            otherwise it is the same for both. held: a decision stays unchanged until it is drawn again, now and then an
            extreme one; otherwise it drifts. gaps: minutes are missing, one by one and in stretches. horizon_min: a
            score is the mean of this number of minutes.
    """

    name: str
    half_life_min: float
    exposed: bool = True
    held: bool = False
    gaps: bool = False
    horizon_min: int = 1
    minutes: int = MINUTES


WORLDS = [
    *(World(f"exposed, half-life {h:g} min", h) for h in (0, 3, 10, 30)),
    *(World(f"common market, half-life {h:g} min", h, exposed=False) for h in (0, 3, 10, 30)),
    World("held then redrawn, half-life 10 min", 10, exposed=False, held=True),
    World("gaps, half-life 10 min", 10, gaps=True),
    World("horizon 60 min, half-life 10 min", 10, horizon_min=60),
    World("half-life 60 min", 60),
    World("1,500 minutes, half-life 10 min", 10, minutes=1500),
]
BARS = [WORLDS[2], WORLDS[6]]
"""The experiment the size is promised for: 5,000 minutes, half-life 10 min, horizon 1 min."""


def simulate_scores(world: World, repetitions: int, seed: int) -> tuple[F64, F64]:
    """
    Simulate the scores of both sides.

    Args:
        world: how they are generated.
        repetitions: number of experiments.
        seed: of all random numbers.

    Returns:
        Two (minutes, repetitions) arrays, bps, NaN in gaps.
    """
    rng = np.random.default_rng([seed, 11])
    shape = (world.minutes + world.horizon_min - 1, repetitions)
    volatility = np.exp(_WILDNESS * _simulate_decisions(rng, shape, _CALM_HALF_LIFE_MIN, False))
    market = rng.standard_t(_TAIL, shape) * (_RETURN_BP / np.sqrt(_TAIL)) * volatility
    sides = []
    for _ in range(2):
        decision = _simulate_decisions(rng, shape, world.half_life_min, world.held)
        score = decision * (_WORTH_BP + market) if world.exposed else decision * _WORTH_BP + market
        sums = np.cumsum(np.vstack([np.zeros((1, repetitions)), score]), axis=0)
        sides.append((sums[world.horizon_min :] - sums[: -world.horizon_min]) / world.horizon_min)
    if world.gaps:
        sides[0][_draw_gaps(rng, (world.minutes, repetitions))] = np.nan
    return sides[0], sides[1]


def run_trials(
    world: World, repetitions: int, seed: int, effect_bp: float, on_done: Callable[[int], None]
) -> list[PairedDifference]:
    """
    Compare the sides in every repetition.

    Args:
        world: how scores are generated.
        repetitions: number of experiments.
        seed: of all random numbers.
        effect_bp: by which side a is better.
        on_done: called with the number of experiments of each batch.
    """
    trials = []
    minute = np.arange(world.minutes)
    for first in range(0, repetitions, _BATCH_SIZE):
        count = min(_BATCH_SIZE, repetitions - first)
        a, b = simulate_scores(world, count, seed + first)
        trials += [compare(a[:, i] + effect_bp, b[:, i], minute, world.horizon_min) for i in range(count)]
        on_done(count)
    return trials


def rejection_rate(trials: list[PairedDifference]) -> float:
    """The part of the tested comparisons that call the sides different."""
    p_values = [trial.p for trial in trials if trial.p is not None]
    return float(np.mean([p < _SIGNIFICANCE for p in p_values])) if p_values else float("nan")


def true_error(world: World) -> float:
    """Standard error of the mean difference, by the design of a world without gaps and with a horizon of 1 min."""
    n, persistence = world.minutes, _persistence(world.half_life_min)
    variance_factor = (1 + persistence) / (1 - persistence) - 2 * persistence * (1 - persistence**n) / (
        n * (1 - persistence) ** 2
    )
    market = _RETURN_BP**2 * math.exp(2 * _WILDNESS**2) if world.exposed else 0.0
    return math.sqrt(2 * (_WORTH_BP**2 * variance_factor + market) / n)


def _persistence(half_life_min: float) -> float:
    return 0.5 ** (1 / half_life_min) if half_life_min else 0.0


def _start_seed(seed: int, line: int) -> int:
    return (seed * 100 + line) * _SEEDS_PER_LINE


def _simulate_decisions(rng: np.random.Generator, shape: tuple[int, int], half_life_min: float, is_held: bool) -> F64:
    stays = _persistence(half_life_min)
    decision = rng.standard_t(_TAIL, shape) / np.sqrt(_TAIL) if is_held else rng.standard_normal(shape)
    persists = rng.random(shape) < stays if is_held else np.zeros(shape, np.bool_)
    for minute in range(1, shape[0]):
        previous = decision[minute - 1]
        if is_held:
            decision[minute] = np.where(persists[minute], previous, decision[minute])
        else:
            decision[minute] = stays * previous + np.sqrt(1 - stays * stays) * decision[minute]
    return decision


def _draw_gaps(rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    missing = rng.random(shape) < 0.05
    for column in range(shape[1]):
        for start in rng.integers(0, shape[0], 20).tolist():
            missing[start : start + int(rng.exponential(40)), column] = True
    return missing


def _flip_hours(world: World, repetitions: int, seed: int, on_done: Callable[[int], None]) -> float:
    """The rejection rate of a test that flips whole hours, on the same scores."""
    block = np.arange(world.minutes) // _HOUR_MIN
    rejections = 0
    for first in range(0, repetitions, _BATCH_SIZE):
        count = min(_BATCH_SIZE, repetitions - first)
        a, b = simulate_scores(world, count, seed + first)
        for i in range(count):
            p = difference(a[:, i], block, b[:, i], block, seed + first + i).p
            rejections += p is not None and p < _SIGNIFICANCE
        on_done(count)
    return rejections / repetitions


def _size_line(world: World, trials: list[PairedDifference]) -> tuple[str, bool]:
    refusal_rate = sum(t.p is None for t in trials) / len(trials)
    size = rejection_rate(trials)
    blocks = int(np.median([t.blocks for t in trials]))
    overall = 0.0 if refusal_rate == 1 else size * (1 - refusal_rate)
    is_ok = world not in BARS or _BAND[0] <= size <= _BAND[1]
    verdict = ("ok" if is_ok else "MISS") if world in BARS else ""
    return f"{world.name:<38}{size:>9.4f}{refusal_rate:>9.3f}{overall:>9.4f}{blocks:>8}   {verdict}".rstrip(), is_ok


def _power_lines(world: World, equal: list[PairedDifference], better: list[PairedDifference]) -> tuple[list[str], bool]:
    power_found = rejection_rate(better)
    stated_powers = [power(1.0, t) for t in equal]
    observed_error = float(np.std([t.mean for t in equal if t.mean is not None]))
    power_expected = power_of_t(1 / true_error(world), int(np.median([t.blocks for t in equal])), _SIGNIFICANCE)
    is_ok = abs(power_found - power_expected) <= _POWER_TOLERANCE
    return [
        f"{world.name}: +1 bp is found in {power_found:.4f}, computed {power_expected:.4f}   "
        f"{'ok' if is_ok else 'MISS'}",
        f"  as stated from one experiment each: mean {np.mean([s for s in stated_powers if s is not None]):.4f}",
        f"  error of the mean: by design {true_error(world):.4f}, over the experiments {observed_error:.4f}",
    ], is_ok


def main(
    repetitions: int = typer.Option(2000, min=50, max=_SEEDS_PER_LINE, help="experiments a line"),
    seed: int = typer.Option(1, min=0, help="of all chance"),
) -> None:
    """Print size and power; exit code 1 where a bar is missed."""
    lines, is_ok = [f"{'two equal sides':<38}{'size':>9}{'refused':>9}{'overall':>9}{'blocks':>8}"], True
    with typer.progressbar(length=repetitions * (len(WORLDS) + 2 * len(BARS)), label="experiments") as bar:
        powers: list[str] = []
        for number, world in enumerate(WORLDS):
            trials = run_trials(world, repetitions, _start_seed(seed, number), 0.0, bar.update)
            line, passes = _size_line(world, trials)
            lines, is_ok = [*lines, line], is_ok and passes
            if world in BARS:
                better_trials = run_trials(world, repetitions, _start_seed(seed, 50 + number), 1.0, bar.update)
                power_lines, passes = _power_lines(world, trials, better_trials)
                powers, is_ok = [*powers, *power_lines], is_ok and passes
                hour_rate = _flip_hours(world, repetitions, _start_seed(seed, number), bar.update)
                powers.append(f"  flipping whole hours instead would reject equal sides in {hour_rate:.4f}")
    for line in [*lines, "", *powers]:
        print(line)
    raise typer.Exit(0 if is_ok else 1)


if __name__ == "__main__":
    typer.run(main)
