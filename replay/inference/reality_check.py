"""
White's reality check: whether the best of many strategies is better than chance makes the best of as many.

White 2000; blocks are drawn as in the stationary bootstrap (Politis, Romano 1994).
"""

import numpy as np

from market.arrays import F64
from replay.inference.blocks import MIN_BLOCKS

_ROUNDS = 2000  # bootstrap samples: no p is below 1 / 2001
_MEAN_RUN = 2  # consecutive blocks of a bootstrap sample, on average: a block is as long as its horizon


def reality_check(gains: F64, seed: int) -> float | None:
    """
    Test the best of k strategies against the benchmark that all were compared with.

    Args:
        gains: (k, b) gain of each strategy over the benchmark in each of b blocks, in order of time.
        seed: of the bootstrap.

    Returns:
        The probability that the best of k strategies without edge gains as much; None with fewer than `MIN_BLOCKS`
        blocks, or without a strategy.
    """
    strategies, blocks = gains.shape
    if strategies == 0 or blocks < MIN_BLOCKS:
        return None
    chance = np.random.Generator(np.random.PCG64(seed))
    means = gains.mean(axis=1)
    best = float(means.max())
    picks = _stationary_picks(chance, blocks)
    resampled = gains[:, picks].mean(axis=2) - means[:, None]
    as_good = int((resampled.max(axis=0) >= best).sum())
    return round((as_good + 1) / (_ROUNDS + 1), 6)


def _stationary_picks(chance: np.random.Generator, blocks: int) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    restarts = chance.random((_ROUNDS, blocks)) < 1 / _MEAN_RUN
    starts = chance.integers(0, blocks, (_ROUNDS, blocks))
    picks = np.empty((_ROUNDS, blocks), np.int64)
    picks[:, 0] = starts[:, 0]
    for i in range(1, blocks):
        picks[:, i] = np.where(restarts[:, i], starts[:, i], (picks[:, i - 1] + 1) % blocks)
    return picks
