"""Differences, their intervals and their p-values, on data whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.inference.blocks import MIN_BLOCKS, Difference, Samples, difference, holm, jackknife


def compare(advice: list[float], blocks: list[int], control: list[float], control_blocks: list[int]) -> Difference:
    return difference(
        Samples(np.array(advice, np.float64), np.array(blocks, np.int64)),
        Samples(np.array(control, np.float64), np.array(control_blocks, np.int64)),
    )


def a_trial(seed: int, effect: float, blocks: int = 12, shared: float = 0.9) -> Difference:
    """
    Advice and controls whose samples share a block's own mood, in part only; blocks differ in size.
    """
    chance = np.random.default_rng(seed)
    block = np.repeat(np.arange(blocks), chance.integers(3, 12, blocks))
    control_block = np.repeat(block, 4)
    mood, own = chance.normal(0, 1, blocks), chance.normal(0, 1, blocks)
    advice = (shared * mood + (1 - shared) * own)[block] + effect + chance.normal(0, 1, len(block))
    control = mood[control_block] * shared + chance.normal(0, 1, len(control_block))
    return difference(Samples(advice, block), Samples(control, control_block))


def test_the_jackknife_by_hand() -> None:
    """The blocks of docs/decisions/0020: 0.08333, its error, and an interval three times as wide as a bootstrap's."""
    hits = np.array([[3, 6, 10, 20], [4, 6, 11, 20], [2, 6, 9, 20], [5, 6, 10, 20]], np.float64)
    mean, error, degrees, _ = jackknife(hits)
    assert (round(mean, 5), round(error, 5), degrees) == (0.08333, 0.09598, 3)
    assert [round(mean + sign * 3.182446 * error, 4) for sign in (-1, 1)] == [-0.2221, 0.3888]


def test_the_jackknife_of_one_mean_is_its_standard_error() -> None:
    """With one sample a block it is the textbook's standard error of a mean."""
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    mean, error, degrees, _ = jackknife(np.column_stack((values, np.ones(5))))
    assert (mean, degrees) == (4.0, 4)
    assert error == pytest.approx(values.std(ddof=1) / 5**0.5)


def test_large_blocks_leave_fewer_degrees() -> None:
    """Nine equal blocks have eight; where one holds half of all, there are two: shares of 1/2 and eight of 1/16."""
    sums = np.column_stack((np.arange(9.0), np.ones(9)))
    assert jackknife(sums)[2:] == (8, 9)
    sums[4] *= 8
    assert jackknife(sums)[2:] == (round(1 / (1 / 4 + 8 / 256)) - 1, 9) == (3, 9)


@pytest.mark.slow
def test_intervals_of_unequal_blocks_cover_as_they_say() -> None:
    """Two thousand tables of twelve blocks whose sizes differ by the factor two: with one degree less it is 0.937."""
    chance, covered = np.random.default_rng(4), []
    for _ in range(2000):
        size = 1 + chance.poisson(3 * np.exp(chance.normal(0, 0.6, 12)))
        hits = chance.binomial(size, np.clip(0.55 + chance.normal(0, 0.15, 12), 0.02, 0.98))
        block = np.repeat(np.arange(12), size)
        values = np.concatenate([np.arange(n) < h for n, h in zip(size, hits, strict=True)]).astype(np.float64)
        result = difference(Samples(values, block), Samples(np.full(12, 0.55), np.arange(12)))
        if result.low is not None and result.high is not None:
            covered.append(result.low <= 0 <= result.high)
    assert len(covered) > 1900
    assert 0.94 <= np.mean(covered) <= 0.97


def test_known_means() -> None:
    """Means and counts of the common blocks by hand; NaN and blocks of one side alone are left out of all of them."""
    nan = float("nan")
    result = compare([1, 0, 1, nan], [1, 1, 2, 2], [0, 0, 1, 1, nan], [1, 2, 2, 3, 4])
    assert (result.advice, result.control, result.mean) == (0.666667, 0.333333, 0.333333)
    assert (result.samples, result.control_samples, result.blocks) == (3, 3, 2)


def test_weights_count() -> None:
    """A sample of weight three is as three of it; the weights of the other side are its own."""
    heavy = difference(
        Samples(np.array([1.0, 0.0]), np.array([1, 1]), np.array([3.0, 1.0])), Samples(np.array([0.5]), np.array([1]))
    )
    assert (heavy.advice, heavy.control, heavy.mean, heavy.samples) == (0.75, 0.5, 0.25, 2)


def test_a_constant_effect_needs_no_test() -> None:
    """Where every block shows the same difference there is no error to speak of, so nothing is said of chance."""
    blocks = list(range(30))
    result = compare([0.75] * 30, blocks, [0.5] * 30, blocks)
    assert (result.mean, result.error, result.low, result.p) == (0.25, None, None, None)


def test_nothing_to_compare() -> None:
    """Without samples there are no means, no interval, no p."""
    assert compare([], [], [], []) == Difference(None, None, 0, 0)
    assert compare([1], [1], [], []) == Difference(1.0, None, 1, 0)
    assert compare([1], [1], [0], [2]).low is None


@pytest.mark.parametrize("blocks", [1, 2, MIN_BLOCKS - 1, MIN_BLOCKS])
def test_few_blocks_have_no_interval(blocks: int) -> None:
    """No interval, no p and no power below eight blocks."""
    result = a_trial(3, 0.5, blocks)
    assert result.blocks == blocks
    for figure in (result.low, result.high, result.p, result.detectable, result.blocks_for_half):
        assert (figure is None) == (blocks < MIN_BLOCKS)


@pytest.mark.parametrize("blocks", [8, 12, 60])
def test_the_interval_covers_as_it_says(blocks: int) -> None:
    """Over 400 seeded trials of few or many blocks the 95 % interval contains the true effect in 92–98 %."""
    trials = [a_trial(seed, 0.3, blocks) for seed in range(400)]
    coverage = np.mean([t.low is not None and t.high is not None and t.low <= 0.3 <= t.high for t in trials])
    assert 0.92 <= coverage <= 0.98


def test_p_is_uniform_where_there_is_no_effect() -> None:
    """Under the null p has mean one half, and falls below 0.1 a tenth of the time."""
    result = np.array([a_trial(1000 + seed, 0.0).p for seed in range(400)], np.float64)
    assert 0.46 <= result.mean() <= 0.54
    assert 0.06 <= (result < 0.1).mean() <= 0.14
    assert 0.06 <= (result > 0.9).mean() <= 0.14


def test_the_detectable_effect_is_found_four_times_in_five() -> None:
    """Planted at the size that trials name as detectable, it is significant in 74–86 % of others."""
    sizes = np.array([a_trial(seed, 0.0).detectable for seed in range(200)], np.float64)
    size = float(np.sqrt(np.mean(sizes**2)))  # estimates of an error are right in the mean of their squares
    found = np.mean([(a_trial(5000 + seed, size).p or 1.0) < 0.05 for seed in range(400)])
    assert 0.74 <= found <= 0.86


def test_samples_of_a_block_are_no_independent_evidence() -> None:
    """A hundred copies of every sample leave interval, p and the number of independent ones as they were."""
    blocks = np.arange(24)
    chance = np.random.default_rng(1)
    advice, control = chance.normal(0.2, 1, 24), chance.normal(0, 1, 24)
    once = difference(Samples(advice, blocks), Samples(control, blocks))
    copies = difference(Samples(np.repeat(advice, 100), np.repeat(blocks, 100)), Samples(control, blocks))
    assert (once.low, once.high, once.p) == (copies.low, copies.high, copies.p)
    assert once.effective is not None
    assert copies.effective is not None
    assert abs(copies.effective - once.effective) <= 1
    assert copies.samples == 2400


def test_the_order_of_samples_does_not_matter() -> None:
    """Nothing is drawn: the same samples in another order give the same figures."""
    chance = np.random.default_rng(9)
    block = np.repeat(np.arange(25), 4)
    advice, control = chance.random(100), chance.random(100)
    order = chance.permutation(100)
    one = difference(Samples(advice, block), Samples(control, block))
    assert difference(Samples(advice[order], block[order]), Samples(control, block)) == one


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
