"""
The ledger of every run ever made: of many that were tried on the same prices the best looks good by chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from market.arrays import F64
from market.timestamps import parse_iso
from replay.inference.blocks import MIN_BLOCKS
from replay.inference.reality_check import reality_check
from replay.inference.sharpe import deflated_sharpe, probabilistic_sharpe
from replay.ledger_file import LedgerFile, Versioned
from replay.notes.in_sample import days_between
from replay.runs.own_zones import NAME as OWN_ZONES
from replay.scoring.figures import HEADLINE

LEDGER = "runs.jsonl"
"""The name of the file in the folder of all runs."""

_STRETCH = ("market", "from", "to", "log")
_ADVISER = ("analyst", "parameters", "answers", "zones")
_VERSION = 1  # raised when a line's fields change; others are not read
_MAX_NAMED = 7  # days that a line names one by one
_SEED = 1  # of the bootstrap: the same ledger gives the same figures


class TriedRun(Versioned):
    """
    A run and what it gained over its placebos.

    Attributes:
        run_id: of its folder. at_ns: when it was made.
        stretch: what prices it was scored on: market, range, digest of the log.
        adviser: who decided: the analyst, digests of parameters and zones. decisions: digest of what was decided.
        metric: what is gained, `HEADLINE`. gains: by block of time, its number as text, see `blocks.block_gains`.
    """

    run_id: str
    at_ns: int
    stretch: str
    adviser: str
    decisions: str
    metric: str
    gains: dict[str, float]


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    A run among all that were tried on the same prices.

    Attributes:
        tried: number of runs with different decisions, this one included. blocks: number of those that all have.
        best_p: the probability that the best of as many without edge gains as much (White); None below 8 blocks.
        is_best: whether this run is that best.
        sharpe: mean gain of a block over its deviation; None below 8 blocks, like what follows.
        above_zero: the probability that the true ratio is above 0. above_best: that it is above the best to expect of
            as many without edge.
        days_before: UTC days of it that were scored before under other thresholds, or with other zones of a file.
    """

    tried: int
    blocks: int
    best_p: float | None = None
    is_best: bool = False
    sharpe: float | None = None
    above_zero: float | None = None
    above_best: float | None = None
    days_before: tuple[str, ...] = ()


def record_run(runs_dir: Path, manifest: Mapping[str, Any], gains: Mapping[int, float], at_ns: int) -> None:
    """
    Append a new run to the ledger.

    Args:
        runs_dir: the folder of all runs.
        manifest: of the run.
        gains: by block of time.
        at_ns: now.

    Raises:
        BadLedger: it cannot be read, or another process has locked it.
    """
    inputs = manifest["inputs"]
    stretch, adviser = (" ".join(str(inputs[k]) for k in names if k in inputs) for names in (_STRETCH, _ADVISER))
    by_block = {str(block): gain for block, gain in gains.items()}
    decisions = manifest["files"]["recommendations.parquet"]
    line = TriedRun(_VERSION, manifest["run_id"], at_ns, stretch, adviser, decisions, HEADLINE, by_block)
    _file(runs_dir).append(line)


def tried_runs(runs_dir: Path) -> list[TriedRun]:
    """
    All runs of a ledger, oldest first.

    Raises:
        BadLedger: it cannot be read, or another process has locked it.
    """
    return _file(runs_dir).lines()


def judge(runs: Sequence[TriedRun], run_id: str) -> Judgement | None:
    """
    Judge a run among those that were scored on the same prices; the same decisions are one.

    Args:
        runs: of the ledger.
        run_id: one of theirs.

    Returns:
        None where the ledger does not have it.
    """
    own = next((run for run in reversed(runs) if run.run_id == run_id), None)
    if own is None:
        return None
    rivals = {run.decisions: run for run in runs if (run.stretch, run.metric) == (own.stretch, own.metric)}
    rivals[own.decisions] = own
    before = tuple(_days_before(runs, run_id))
    common = sorted(set.intersection(*(set(run.gains) for run in rivals.values())), key=int)
    gains = np.array([[run.gains[block] for block in common] for run in rivals.values()], np.float64)
    if len(common) < MIN_BLOCKS:
        return Judgement(len(rivals), len(common), days_before=before)
    ratios = [_sharpe(row) for row in gains]
    place = list(rivals).index(own.decisions)
    skewness, kurtosis = _shape(gains[place])
    variance = float(np.var(ratios, ddof=1)) if len(ratios) > 1 else 0.0
    return Judgement(
        tried=len(rivals),
        blocks=len(common),
        best_p=reality_check(gains, _SEED),
        is_best=int(np.argmax(gains.mean(axis=1))) == place,
        sharpe=round(ratios[place], 4),
        above_zero=round(probabilistic_sharpe(ratios[place], len(common), skewness, kurtosis), 4),
        above_best=round(
            deflated_sharpe(ratios[place], len(common), skewness, kurtosis, variance, len(rivals)), 4
        ),
        days_before=before,
    )  # fmt: skip


def sentence(judgement: Judgement) -> str:
    """A judgement as a line of the output."""
    head = f"tried on these prices: {judgement.tried:,}"
    if judgement.best_p is None or judgement.sharpe is None:
        return f"{head}; {judgement.blocks} blocks are too few to judge the best of them"
    best = "this one" if judgement.is_best else "another one"
    return (
        f"{head}; best by {HEADLINE}: {best}; the best of as many without edge gains as much with probability"
        f" {judgement.best_p:.3f}; Sharpe ratio a block {judgement.sharpe:+.2f}, above 0 with probability"
        f" {judgement.above_zero:.3f}, above that best with {judgement.above_best:.3f}"
    )


def in_sample_sentence(judgement: Judgement) -> str | None:
    """What the days before mean, as a line of the output; None without such days."""
    if not judgement.days_before:
        return None
    days = judgement.days_before
    if len(days) <= _MAX_NAMED:
        named = f"{', '.join(days)} {'was' if len(days) == 1 else 'were'}"
    else:
        named = f"{len(days):,} days from {days[0]} to {days[-1]} were"
    return f"in sample: {named} scored before with other thresholds, coefficients or zones; these may be picked on that"


def _days_before(runs: Sequence[TriedRun], run_id: str) -> list[str]:
    """
    The days of a run on which other thresholds, or other zones of a file, had been scored when it was first made.
    """
    first = next(n for n, run in enumerate(runs) if run.run_id == run_id)
    own = runs[first]
    days: set[str] = set()
    for run in runs[:first]:
        if _is_other_choice(run, own):
            days |= _days_of(run) & _days_of(own)
    return sorted(days)


def _is_other_choice(one: TriedRun, two: TriedRun) -> bool:
    """Whether two runs differ in what somebody chose: the digest of thresholds, or the file of zones."""
    (who, *chosen), (other, *other_chosen) = one.adviser.split(" "), two.adviser.split(" ")
    if OWN_ZONES in (who, other):
        return who == other and chosen[1:] != other_chosen[1:]
    return chosen[:1] != other_chosen[:1]


def _days_of(run: TriedRun) -> set[str]:
    """The days of a run's stretch, of any market: markets move together."""
    try:
        _, first, last, _ = run.stretch.split(" ")
        return days_between(parse_iso(first), parse_iso(last))
    except ValueError:  # a ledger from elsewhere: no days, no claim
        return set()


def _sharpe(gains: F64) -> float:
    deviation = float(gains.std(ddof=1))
    return float(gains.mean()) / deviation if deviation > 0 else 0.0


def _shape(gains: F64) -> tuple[float, float]:
    """Skewness and kurtosis; those of a normal distribution where all are equal."""
    deviation = float(gains.std())
    if deviation == 0:
        return 0.0, 3.0
    scaled = (gains - gains.mean()) / deviation
    return float((scaled**3).mean()), float((scaled**4).mean())


def _file(runs_dir: Path) -> LedgerFile[TriedRun]:
    return LedgerFile(runs_dir / LEDGER, TriedRun, _VERSION, "run")
