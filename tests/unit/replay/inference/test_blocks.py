"""Differences, their intervals and their p-values, on data whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.inference.blocks import MIN_BLOCKS, Difference, difference, holm


def compare(advice: list[float], blocks: list[int], placebo: list[float], placebo_blocks: list[int]) -> Difference:
    return difference(
        np.array(advice, np.float64), np.array(blocks, np.int64), np.array(placebo, np.float64),
        np.array(placebo_blocks, np.int64), 1,
    )  # fmt: skip


def a_trial(seed: int, effect: float, blocks: int = 40) -> Difference:
    """
    Advice and placebo whose samples share a block's own mood; advice is better by `effect`.
    """
    chance = np.random.default_rng(seed)
    block = np.repeat(np.arange(blocks), chance.integers(3, 9, blocks))
    placebo_block = np.repeat(block, 4)
    mood = chance.normal(0, 1, blocks)
    advice = mood[block] + effect + chance.normal(0, 1, len(block))
    placebo = mood[placebo_block] + chance.normal(0, 1, len(placebo_block))
    return difference(advice, block, placebo, placebo_block, seed)


def test_known_means() -> None:
    """Means and counts of the common blocks by hand; NaN and blocks of one side alone are left out of all of them."""
    nan = float("nan")
    result = compare([1, 0, 1, nan], [1, 1, 2, 2], [0, 0, 1, 1, nan], [1, 2, 2, 3, 4])
    assert (result.advice, result.placebo) == (0.666667, 0.333333)
    assert (result.samples, result.placebo_samples, result.blocks) == (3, 3, 2)


def test_a_constant_effect_has_a_point_interval() -> None:
    """Where every block shows the same difference, so does every resample."""
    blocks = list(range(30))
    result = compare([0.75] * 30, blocks, [0.5] * 30, blocks)
    assert (result.low, result.high) == (0.25, 0.25)
    assert result.p == round(1 / 2001, 6)


def test_nothing_to_compare() -> None:
    """Without samples there are no means, no interval, no p."""
    assert compare([], [], [], []) == Difference(None, None, 0, 0, 0, None, None, None)
    assert compare([1], [1], [], []) == Difference(1.0, None, 1, 0, 0, None, None, None)
    assert compare([1], [1], [0], [2]).low is None


@pytest.mark.parametrize("blocks", [1, 2, MIN_BLOCKS - 1, MIN_BLOCKS])
def test_few_blocks_have_no_p(blocks: int) -> None:
    """No interval from one block, no p below twenty."""
    result = a_trial(3, 0.5, blocks)
    assert result.blocks == blocks
    assert (result.low is None) == (result.high is None) == (blocks < 2)
    assert (result.p is None) == (blocks < 20)


def test_the_interval_covers_a_planted_effect() -> None:
    """Over 200 seeded trials the 95 % interval holds the true effect in 89–98 %."""
    effect = 0.3
    trials = [a_trial(seed, effect) for seed in range(200)]
    coverage = sum(t.low is not None and t.high is not None and t.low <= effect <= t.high for t in trials)
    assert 0.89 <= coverage / 200 <= 0.98
    assert all(t.low is not None and t.high is not None and t.low < t.high for t in trials)


def test_p_is_uniform_where_there_is_no_effect() -> None:
    """Under the null p has mean one half, and falls below 0.1 a tenth of the time."""
    result = np.array([a_trial(1000 + seed, 0.0).p for seed in range(200)], np.float64)
    assert 0.43 <= result.mean() <= 0.57
    assert 0.05 <= (result < 0.1).mean() <= 0.16
    assert 0.05 <= (result > 0.9).mean() <= 0.16


def test_a_large_effect_is_found() -> None:
    """An effect of one standard deviation is beyond chance in nearly every trial, with its sign."""
    trials = [a_trial(2000 + seed, 1.0) for seed in range(30)]
    assert all(t.p is not None and t.p < 0.01 for t in trials)
    assert all(t.low is not None and t.low > 0 for t in trials)
    worse = a_trial(2000, -1.0)
    assert worse.high is not None
    assert worse.high < 0


def test_samples_of_a_block_are_no_independent_evidence() -> None:
    """A hundred copies of every sample leave interval and p as they were."""
    blocks = np.arange(24)
    chance = np.random.default_rng(1)
    advice, placebo = chance.normal(0.2, 1, 24), chance.normal(0, 1, 24)
    once = difference(advice, blocks, placebo, blocks, 1)
    copies = difference(np.repeat(advice, 100), np.repeat(blocks, 100), placebo, blocks, 1)
    assert (once.low, once.high) == pytest.approx((copies.low, copies.high), abs=1e-5)
    assert once.p == copies.p


def test_the_seed_alone_decides() -> None:
    """Equal seeds, equal figures; the order of samples inside blocks does not matter."""
    chance = np.random.default_rng(9)
    block = np.repeat(np.arange(25), 4)
    advice, placebo = chance.random(100), chance.random(100)
    order = chance.permutation(100)
    one = difference(advice, block, placebo, block, 5)
    assert difference(advice, block, placebo, block, 5) == one
    assert difference(advice[order], block[order], placebo, block, 5) == one
    assert difference(advice, block, placebo, block, 6) != one


def test_holm_by_hand() -> None:
    """.005·4, .01·3, .03·2, and .04 as no smaller than the one before; what has no p is not counted."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == [0.03, 0.06, 0.06, 0.02]
    assert holm([None, 0.01, None, 0.04, 0.03, 0.005]) == [None, 0.03, None, 0.06, 0.06, 0.02]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([None]) == [None]


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_helps(values: list[float]) -> None:
    """No corrected p is smaller than it was, none above one, and the order of any two is kept."""
    p_values = [p for p in holm(values) if p is not None]
    assert all(round(p, 6) <= c <= 1 for p, c in zip(values, p_values, strict=True))
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(np.array(p_values)[order]) >= 0)
