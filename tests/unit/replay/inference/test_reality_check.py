"""The best of many is judged as the best of many: p is uniform without edge, whatever the strategies share."""

import numpy as np
import pytest

from market.arrays import F64
from replay.inference.reality_check import reality_check


def some_gains(seed: int, strategies: int, blocks: int, shared: float, edge: float = 0.0) -> F64:
    """Gains of strategies that have a part in common; the first has an edge."""
    chance = np.random.default_rng(seed)
    gains = shared * chance.normal(0, 1, blocks) + (1 - shared) * chance.normal(0, 1, (strategies, blocks))
    gains[0] += edge
    return gains


@pytest.mark.parametrize(("strategies", "blocks", "shared"), [(1, 12, 0.0), (20, 12, 0.5), (20, 30, 0.0), (5, 8, 0.9)])
def test_without_edge_p_is_uniform(strategies: int, blocks: int, shared: float) -> None:
    """Below 0.05 about one time in twenty, below one half every other time."""
    p = np.array([reality_check(some_gains(seed, strategies, blocks, shared), 1) for seed in range(300)], np.float64)
    assert 0.02 <= (p < 0.05).mean() <= 0.09
    assert 0.42 <= (p < 0.5).mean() <= 0.58


def test_an_edge_among_many_is_noticed() -> None:
    """One of twenty gains a deviation a block: of a dozen blocks that is beyond the best of twenty by chance."""
    p = [reality_check(some_gains(seed, 20, 12, 0.0, edge=1.5), 1) for seed in range(50)]
    assert np.mean(np.array(p, np.float64) < 0.05) > 0.9


def test_more_that_were_tried_make_the_same_gain_less() -> None:
    """The same best among five and among five hundred."""
    gains = some_gains(3, 500, 12, 0.0)
    gains[0] = np.abs(gains[0])
    few, many = reality_check(gains[:5], 1), reality_check(gains, 1)
    assert few is not None
    assert many is not None
    assert few < many


def test_one_strategy_by_hand() -> None:
    """Of 2^8 signs of equal gains only all plus gain as much: 1/256."""
    assert reality_check(np.ones((1, 8)), 1) == round(1 / 256, 6)


def test_too_little_to_judge() -> None:
    """Seven blocks, or no strategy."""
    assert reality_check(np.ones((3, 7)), 1) is None
    assert reality_check(np.ones((0, 12)), 1) is None
