"""
Statistics for samples that are correlated in time: resampling draws whole blocks, never single samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market.arrays import F64

MIN_BLOCKS = 20  # below, a permutation p is not reported
_ROUNDS = 2000  # bootstrap samples, and permutations: no p is below 1 / 2001
_MEAN_RUN = 2  # consecutive blocks of a bootstrap sample, on average


@dataclass(frozen=True, slots=True)
class Difference:
    """
    The mean of advice against that of its placebos.

    Attributes:
        advice, placebo: the means, None without samples. samples, placebo_samples: their numbers.
        blocks: the number of blocks that hold both.
        low, high: 95 % interval of the difference, stationary block bootstrap; None with fewer than two blocks.
        p: two-sided permutation p by flipping whole blocks; None with fewer than 20 blocks: too few.
    """

    advice: float | None
    placebo: float | None
    samples: int
    placebo_samples: int
    blocks: int
    low: float | None
    high: float | None
    p: float | None


def difference(
    advice: F64, advice_block: npt.NDArray[np.int64], placebo: F64, placebo_block: npt.NDArray[np.int64], seed: int
) -> Difference:
    """
    Compare samples of advice with samples of its placebos.

    Args:
        advice, placebo: values; NaN is left out, and so is a block that holds only one of both
            (where no block holds both, the means are those of all, and nothing is compared).
        advice_block, placebo_block: the block of time each belongs to; a placebo belongs to its episode's block.
            Blocks are at least as long as the horizon.
        seed: of the bootstrap and of the permutations.
    """
    is_defined, is_defined_placebo = ~np.isnan(advice), ~np.isnan(placebo)
    advice, advice_block = advice[is_defined], advice_block[is_defined]
    placebo, placebo_block = placebo[is_defined_placebo], placebo_block[is_defined_placebo]
    blocks = np.intersect1d(advice_block, placebo_block)
    if len(blocks):
        is_shared, is_shared_placebo = np.isin(advice_block, blocks), np.isin(placebo_block, blocks)
        advice, advice_block = advice[is_shared], advice_block[is_shared]
        placebo, placebo_block = placebo[is_shared_placebo], placebo_block[is_shared_placebo]
    sums = np.array(
        [
            [advice[advice_block == b].sum(), (advice_block == b).sum(),
             placebo[placebo_block == b].sum(), (placebo_block == b).sum()]
            for b in blocks
        ],
        np.float64,
    ).reshape(-1, 4)  # fmt: skip
    low, high = _interval(sums, seed) if len(blocks) >= 2 else (None, None)
    return Difference(
        _mean(advice), _mean(placebo), len(advice), len(placebo), len(blocks), low, high,
        _permutation_p(sums, seed) if len(blocks) >= MIN_BLOCKS else None,
    )  # fmt: skip


def holm(values: Sequence[float | None]) -> list[float | None]:
    """
    Holm's correction of all p-values of a table: of many figures some look good by chance.

    >>> holm([0.01, None, 0.04])
    [0.02, None, 0.04]
    """
    order = sorted((p, n) for n, p in enumerate(values) if p is not None)
    p_values: list[float | None] = [None] * len(values)
    worst = 0.0
    for rank, (p, n) in enumerate(order):
        worst = max(worst, min(1.0, p * (len(order) - rank)))
        p_values[n] = round(worst, 6)
    return p_values


def _mean(values: F64) -> float | None:
    return round(float(values.mean()), 6) if len(values) else None


def _interval(sums: F64, seed: int) -> tuple[float, float]:
    """Stationary bootstrap (Politis, Romano 1994) over blocks in time order."""
    chance = np.random.Generator(np.random.PCG64([seed, 1]))
    n = len(sums)
    restarts = chance.random((_ROUNDS, n)) < 1 / _MEAN_RUN
    starts = chance.integers(0, n, (_ROUNDS, n))
    picks = np.empty((_ROUNDS, n), np.int64)
    picks[:, 0] = starts[:, 0]
    for i in range(1, n):
        picks[:, i] = np.where(restarts[:, i], starts[:, i], (picks[:, i - 1] + 1) % n)
    totals = sums[picks].sum(axis=1)
    effects = totals[:, 0] / totals[:, 1] - totals[:, 2] / totals[:, 3]
    low, high = np.quantile(effects, (0.025, 0.975))
    return round(float(low), 6), round(float(high), 6)


def _permutation_p(sums: F64, seed: int) -> float:
    """Flip which side is advice in whole blocks; each block's difference weighs as its advice samples."""
    chance = np.random.Generator(np.random.PCG64([seed, 2]))
    gaps = (sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3]) * sums[:, 1]
    observed_sum = abs(gaps.sum())
    signs = chance.integers(0, 2, (_ROUNDS, len(gaps))) * 2 - 1
    as_extreme = int((np.abs((signs * gaps).sum(axis=1)) >= observed_sum - 1e-12).sum())
    return round((as_extreme + 1) / (_ROUNDS + 1), 6)
