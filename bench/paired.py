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
from replay.inference.paired import PairedDifference, compare
from replay.inference.student_t import power_of_t

MINUTES = 5000
_BAND = (0.03, 0.07)  # of the size: intervals cover 93 to 97 %
_SIGNIFICANCE = 0.05
_POWER_TOLERANCE = 0.03  # measured power against computed: two and a half standard errors of 2,000 repetitions
_WORTH_BP = 3.0
_RETURN_BP = 5.0
_WILDNESS = 0.5  # standard deviation of the log of volatility
_CALM_HALF_LIFE_MIN = 120.0
_TAIL = 3  # degrees of freedom of a one-minute return
_BATCH_SIZE = 50
_SEEDS_PER_LINE = 100_000  # seeds between two lines: no two share their chance
_BURN_IN = 3  # lengths of a series before its first minute: a long memory needs a past


@dataclass(frozen=True, slots=True)
class World:
    """
    How the scores of two equal sides are generated.

    Attributes:
        half_life_min: of a decision. exposed: whether the market's return counts as far as a side is exposed to it;
            otherwise it is the same for both. held: a decision stays unchanged until it is drawn again, now and then an
            extreme one; otherwise it drifts. gaps: minutes are missing, one by one and in stretches. horizon_min: a
            score is the mean of this number of minutes.
        memory: of decisions without a half-life: the order of fractional integration, 0 to 0.5; correlations fall with
            the lag to the power 2·memory − 1, and never add up. worth_bp: of a unit of decision, without the market.
        promised: whether the size is to be in its band.
    """

    name: str
    half_life_min: float
    exposed: bool = True
    held: bool = False
    gaps: bool = False
    horizon_min: int = 1
    minutes: int = MINUTES
    memory: float = 0.0
    worth_bp: float = _WORTH_BP
    promised: bool = True


POWER_WORLDS = [
    World("exposed, half-life 10 min", 10),
    World("common market, half-life 10 min", 10, exposed=False),
]
"""Those whose true error follows from how they are made."""

WORLDS = [
    *(World(f"exposed, half-life {h:g} min", h) for h in (0, 3, 30, 60)),
    *(World(f"common market, half-life {h:g} min", h, exposed=False) for h in (0, 3, 30, 60)),
    *POWER_WORLDS,
    World("held then redrawn, half-life 10 min", 10, exposed=False, held=True),
    World("gaps, half-life 10 min", 10, gaps=True),
    *(World(f"horizon 60 min, half-life {h:g} min", h, horizon_min=60) for h in (0, 10, 30, 60)),
    *(World(f"horizon 120 min, half-life {h:g} min", h, horizon_min=120) for h in (10, 30)),
    *(World(f"horizon 60 min, 32 h, half-life {h:g} min", h, horizon_min=60, minutes=1920) for h in (0, 10)),
    *(World(f"horizon 120 min, 64 h, half-life {h:g} min", h, horizon_min=120, minutes=3840) for h in (10, 30)),
    World("horizon 60 min, 10 days, half-life 60 min", 60, horizon_min=60, minutes=14400),
    World("decisions of long memory 0.4, no worth", 0, memory=0.4, worth_bp=0.0),
    World("decisions of long memory 0.4, no worth, 32 h", 0, memory=0.4, worth_bp=0.0, horizon_min=60, minutes=1920),
    *(
        World(f"horizon 60 min, 32 h, half-life {h:g} min", h, horizon_min=60, minutes=1920, promised=False)
        for h in (30, 60)
    ),
    World("half-life 120 min", 120, promised=False),
    *(World(f"scores of long memory {d:g}", 0, False, memory=d, promised=False) for d in (0.1, 0.2, 0.4)),
]
"""A half-life is promised up to ten minutes in the shortest trials that are tested, up to an hour in 5,000 minutes."""


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
    volatility = np.exp(_WILDNESS * _drift(rng, shape, _CALM_HALF_LIFE_MIN))
    market = rng.standard_t(_TAIL, shape) * (_RETURN_BP / np.sqrt(_TAIL)) * volatility
    sides = []
    for _ in range(2):
        decision = _simulate_decisions(rng, shape, world)
        score = decision * (world.worth_bp + market) if world.exposed else decision * world.worth_bp + market
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
    return math.sqrt(2 * (world.worth_bp**2 * variance_factor + market) / n)


def _persistence(half_life_min: float) -> float:
    return 0.5 ** (1 / half_life_min) if half_life_min else 0.0


def _start_seed(seed: int, line: int) -> int:
    return (seed * 100 + line) * _SEEDS_PER_LINE


def _simulate_decisions(rng: np.random.Generator, shape: tuple[int, int], world: World) -> F64:
    if world.memory:
        return _remember(rng, shape, world.memory)
    return (_hold if world.held else _drift)(rng, shape, world.half_life_min)


def _hold(rng: np.random.Generator, shape: tuple[int, int], half_life_min: float) -> F64:
    decision = rng.standard_t(_TAIL, shape) / np.sqrt(_TAIL)
    persists = rng.random(shape) < _persistence(half_life_min)
    for minute in range(1, shape[0]):
        decision[minute] = np.where(persists[minute], decision[minute - 1], decision[minute])
    return decision


def _drift(rng: np.random.Generator, shape: tuple[int, int], half_life_min: float) -> F64:
    stays = _persistence(half_life_min)
    decision = rng.standard_normal(shape)
    for minute in range(1, shape[0]):
        decision[minute] = stays * decision[minute - 1] + np.sqrt(1 - stays * stays) * decision[minute]
    return decision


def _remember(rng: np.random.Generator, shape: tuple[int, int], memory: float) -> F64:
    """Fractionally integrated noise of variance 1 (Hosking 1981), by the moving average of its past."""
    n = shape[0] * (1 + _BURN_IN)
    lag = np.arange(1, n)
    weights = np.concatenate([np.ones(1), np.cumprod((lag - 1 + memory) / lag)])
    noise = np.fft.rfft(rng.standard_normal((n, shape[1])), 2 * n, axis=0)
    decision = np.fft.irfft(np.fft.rfft(weights, 2 * n)[:, None] * noise, 2 * n, axis=0)[n - shape[0] : n]
    return np.asarray(decision / np.sqrt((weights**2).sum()), np.float64)


def _draw_gaps(rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    missing = rng.random(shape) < 0.05
    for column in range(shape[1]):
        for start in rng.integers(0, shape[0], 20).tolist():
            missing[start : start + int(rng.exponential(40)), column] = True
    return missing


def _size_line(world: World, trials: list[PairedDifference]) -> tuple[str, bool]:
    size = rejection_rate(trials)
    hours = float(np.median([t.block_min for t in trials])) / 60
    blocks = int(np.median([t.blocks for t in trials]))
    is_ok = not world.promised or _BAND[0] <= size <= _BAND[1]
    verdict = ("ok" if is_ok else "MISS") if world.promised else "not promised"
    return f"{world.name:<46}{size:>8.4f}{1 - size:>10.4f}{blocks:>8}{hours:>7.1f} h   {verdict}", is_ok


def _power_lines(world: World, equal: list[PairedDifference], better: list[PairedDifference]) -> tuple[list[str], bool]:
    power_found = rejection_rate(better)
    observed_error = float(np.std([t.mean for t in equal if t.mean is not None]))
    power_expected = power_of_t(1 / true_error(world), equal[0].blocks - 1, _SIGNIFICANCE)
    stated = [t.detectable for t in equal if t.detectable is not None]
    is_ok = abs(power_found - power_expected) <= _POWER_TOLERANCE
    return [
        f"{world.name}: +1 bp is found in {power_found:.4f}, computed {power_expected:.4f}   "
        f"{'ok' if is_ok else 'MISS'}",
        f"  detectable, as stated from one experiment each: median {np.median(stated):.4f} bp",
        f"  error of the mean: by design {true_error(world):.4f}, over the experiments {observed_error:.4f}",
    ], is_ok


def main(
    repetitions: int = typer.Option(2000, min=50, max=_SEEDS_PER_LINE, help="experiments a line"),
    seed: int = typer.Option(1, min=0, help="of all chance"),
) -> None:
    """Print size and power; exit code 1 where a bar is missed."""
    lines, is_ok = [f"{'two equal sides':<46}{'size':>8}{'coverage':>10}{'blocks':>8}{'of':>7}"], True
    with typer.progressbar(length=repetitions * (len(WORLDS) + len(POWER_WORLDS)), label="experiments") as bar:
        powers: list[str] = []
        for number, world in enumerate(WORLDS):
            trials = run_trials(world, repetitions, _start_seed(seed, number), 0.0, bar.update)
            line, passes = _size_line(world, trials)
            lines, is_ok = [*lines, line], is_ok and passes
            if world in POWER_WORLDS:
                better_trials = run_trials(world, repetitions, _start_seed(seed, 50 + number), 1.0, bar.update)
                power_lines, passes = _power_lines(world, trials, better_trials)
                powers, is_ok = [*powers, *power_lines], is_ok and passes
    for line in [*lines, "", *powers]:
        print(line)
    raise typer.Exit(0 if is_ok else 1)


if __name__ == "__main__":
    typer.run(main)
