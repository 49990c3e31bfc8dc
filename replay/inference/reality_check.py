"""
White's reality check: whether the best of many strategies is better than chance makes the best of as many.

White 2000 takes the distribution of the best from a bootstrap; of a dozen blocks that is too narrow (it says 0.12 where
Student's t says 0.24). Blocks are independent and gains without edge as often below 0 as above, so here whole blocks
change their sign, for all strategies at once, which keeps what strategies have in common.
"""

import numpy as np

from market.arrays import F64
from replay.inference.blocks import MIN_BLOCKS

_ROUNDS = 4000  # draws of signs: no p is below 1 / 4001
_ALL_UP_TO = 12  # blocks: their 4,096 combinations of signs are all taken


def reality_check(gains: F64, seed: int) -> float | None:
    """
    Test the best of k strategies against the benchmark that all were compared with.

    Args:
        gains: (k, b) gain of each strategy over the benchmark in each of b blocks.
        seed: of the draws.

    Returns:
        The probability that the best of k strategies without edge gains as much; None with fewer than `MIN_BLOCKS`
        blocks, or without a strategy.
    """
    strategies, blocks = gains.shape
    if strategies == 0 or blocks < MIN_BLOCKS:
        return None
    best = float(gains.mean(axis=1).max())
    if blocks <= _ALL_UP_TO:
        signs = 1 - 2 * ((np.arange(2**blocks)[:, None] >> np.arange(blocks)) & 1)
        return round(float((_best(gains, signs) >= best - 1e-12).mean()), 6)
    signs = np.random.Generator(np.random.PCG64(seed)).integers(0, 2, (_ROUNDS, blocks)) * 2 - 1
    as_good = int((_best(gains, signs) >= best - 1e-12).sum())
    return round((as_good + 1) / (_ROUNDS + 1), 6)


def _best(gains: F64, signs: "np.ndarray[tuple[int, int], np.dtype[np.int64]]") -> F64:
    """For each draw of signs, the best mean of a strategy."""
    means: F64 = signs @ gains.T / gains.shape[1]
    return means.max(axis=1)
