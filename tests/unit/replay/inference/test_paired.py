"""Two sides on the same minutes: figures by hand, refusals, and laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.arrays import F64
from replay.inference.paired import PairedDifference, compare
from replay.inference.student_t import critical_t, two_sided_p

NAN = float("nan")
LAW = settings(deadline=None, max_examples=40)


def two_sides(seed: int, n: int = 1200, half_life_min: float = 0.0) -> tuple[F64, F64]:
    """Scores that share a market; what is their own lasts as long as is asked."""
    chance = np.random.default_rng(seed)
    stays = 0.5 ** (1 / half_life_min) if half_life_min else 0.0
    own = chance.normal(0, 1, (n, 2))
    for i in range(1, n):
        own[i] += stays * own[i - 1]
    scores = own + chance.standard_t(3, (n, 1))
    return scores[:, 0], scores[:, 1]


def compare_all(a: F64, b: F64, horizon_min: int = 1) -> PairedDifference:
    return compare(a, b, np.arange(len(a)), horizon_min)


def test_error_and_p_by_their_definition() -> None:
    """Eight equal blocks: the error of their eight means, and Student's t with seven degrees."""
    a, b = two_sides(1, 1200)
    comparison = compare_all(a, b)
    means = (a - b).reshape(8, 150).mean(axis=1)
    mean, error = means.mean(), means.std(ddof=1) / math.sqrt(8)
    reach = critical_t(0.05, 7) * error
    assert (comparison.blocks, comparison.block_min) == (8, 150)
    assert (comparison.error, comparison.mean) == pytest.approx((error, mean), abs=1e-6)
    assert (comparison.low, comparison.high) == pytest.approx((mean - reach, mean + reach), abs=1e-6)
    assert comparison.p == pytest.approx(two_sided_p(mean / error, 7), abs=1e-6)
    assert comparison.too_few is None


def test_power_stands_beside_it() -> None:
    """The shift of a t with seven degrees that is found four times in five, 3.27 errors; half of it in 4 × 20 hours."""
    comparison = compare_all(*two_sides(6))
    assert comparison.detectable is not None
    assert comparison.error is not None
    assert comparison.detectable / comparison.error == pytest.approx(3.2698, abs=1e-3)
    assert comparison.days_for_half == 3.3


@pytest.mark.parametrize(
    ("hours", "horizon_min", "blocks", "block_min"),
    [(16, 1, 8, 120), (20, 1, 8, 150), (32, 60, 8, 240), (64, 120, 8, 480), (96, 60, 8, 720), (240, 60, 10, 1440)],
)
def test_blocks(hours: int, horizon_min: int, blocks: int, block_min: int) -> None:
    """Eight as long as the trial gives, from two hours or four horizons on; of a day where there are more."""
    comparison = compare_all(*two_sides(2, hours * 60), horizon_min)
    assert (comparison.blocks, comparison.block_min, comparison.too_few) == (blocks, block_min, None)


def test_independent_minutes() -> None:
    """Over 40 seeds nearly all are where nothing persists, and a few where decisions do."""
    fresh = [compare_all(*two_sides(seed)).effective or 0 for seed in range(40)]
    lasting = [compare_all(*two_sides(seed, half_life_min=20)).effective or 0 for seed in range(40)]
    assert np.median(fresh) > 900
    assert np.median(lasting) < 60


def test_persistence_widens_the_interval() -> None:
    """At a half-life of 10 min the error is √((1+φ)/(1−φ)) = 5.4 times that of independent minutes."""
    ratios = []
    for seed in range(60):
        a, b = two_sides(seed, 5000, 10)
        error = compare_all(a, b).error
        assert error is not None
        ratios.append((error / float(np.std(a - b) / math.sqrt(5000))) ** 2)
    assert math.sqrt(np.mean(ratios)) == pytest.approx(5.37, rel=0.1)


def test_repeats_are_averaged_first() -> None:
    """A minute is one observation however often it was asked for; the spread is that inside minutes."""
    a, b = two_sides(2)
    offsets = np.tile([-1.0, 0.0, 1.0], (1200, 1))
    comparison = compare_all(a[:, None] + offsets, b)
    assert (comparison.spread_a, comparison.spread_b) == (1.0, None)
    once = compare_all(a, b)
    assert (comparison.minutes, comparison.blocks) == (1200, once.blocks)
    assert (comparison.mean, comparison.error) == pytest.approx((once.mean, once.error), abs=2e-6)


def test_a_repeat_that_failed_is_left_out() -> None:
    """Means and spread by hand: (1, 3), (5, –), (–, –) give 2 and 5, √2 apart."""
    a = np.array([[1.0, 3.0], [5.0, NAN], [NAN, NAN]])
    b = np.array([1.0, 1.0, 1.0])
    comparison = compare_all(a, b)
    assert (comparison.a, comparison.b, comparison.mean, comparison.minutes) == (3.5, 1.0, 2.5, 2)
    assert comparison.spread_a == round(math.sqrt(2), 9)
    assert compare_all(a[:, :1], b).spread_a is None


@pytest.mark.parametrize(
    ("n", "horizon_min", "why"),
    [
        (959, 1, "959 minutes are 7 blocks of 2.0 h, and 8 are needed: compare at least 1 h more"),
        (300, 1, "300 minutes are 2 blocks of 2.0 h, and 8 are needed: compare at least 11 h more"),
        (1440, 60, "1,440 minutes are 6 blocks of 4.0 h, and 8 are needed: compare at least 8 h more"),
        (1440, 120, "1,440 minutes are 3 blocks of 8.0 h, and 8 are needed: compare at least 40 h more"),
    ],
)
def test_too_short_is_refused(n: int, horizon_min: int, why: str) -> None:
    """The means are given, and how much more must be compared; an error, an interval, a p and power are not."""
    comparison = compare_all(*two_sides(3, n), horizon_min)
    assert comparison.too_few == why
    assert comparison.mean is not None
    assert comparison.blocks < 8
    assert (comparison.error, comparison.low, comparison.high, comparison.p) == (None, None, None, None)
    assert (comparison.detectable, comparison.days_for_half, comparison.effective) == (None, None, None)


def test_sides_that_hardly_differ_are_refused() -> None:
    """Where a few blocks alone differ, chance cannot be measured; nor where all differ by the same."""
    a, _ = two_sides(4, 2400)
    b = a.copy()
    few = "blocks of 5.0 h, and must in 8: compare more days"
    assert compare_all(a, b).too_few == f"the sides differ in 0 of 8 {few}"
    b[100:2000:300] += 5
    assert compare_all(a, b).too_few == f"the sides differ in 7 of 8 {few}"
    alike = compare_all(a, a + 0.5)
    assert (alike.mean, alike.p) == (-0.5, None)
    assert alike.too_few == "the difference is the same in every block: chance has no part in it"


def test_a_gap_is_no_time_that_was_scored() -> None:
    """Minutes a horizon apart share nothing, so each stands for a horizon; a year between two halves adds one."""
    a, b = two_sides(5, 1500)
    assert compare(a, b, np.arange(1500), 60).too_few is not None
    assert compare(a, b, np.arange(1500) * 60, 60).too_few is None
    halves = np.where(np.arange(1500) < 750, 0, 500_000) + np.arange(1500)
    assert compare(a, b, halves, 60).too_few == (
        "1,559 minutes are 6 blocks of 4.0 h, and 8 are needed: compare at least 7 h more"
    )


def test_nothing_to_compare() -> None:
    """No minute on both sides."""
    comparison = compare(np.array([1.0, NAN]), np.array([NAN, 2.0]), np.array([1, 2]), 1)
    assert comparison == PairedDifference(None, None, None, None, 0, None, too_few="no minute is scored on both sides")


@pytest.mark.parametrize(
    ("a", "b", "minute", "horizon_min"),
    [([1.0], [1.0, 2.0], [1, 2], 1), ([1.0, 2.0], [1.0, 2.0], [1, 1], 1), ([1.0], [1.0], [1], 0)],
)
def test_columns_that_do_not_fit(a: list[float], b: list[float], minute: list[int], horizon_min: int) -> None:
    """A caller's mistake is not compared."""
    with pytest.raises(ValueError, match="different minutes"):
        compare(np.array(a), np.array(b), np.array(minute, np.int64), horizon_min)


@LAW
@given(seed=st.integers(0, 10_000), half_life_min=st.sampled_from([0.0, 3.0, 20.0]))
def test_the_sides_may_be_swapped(seed: int, half_life_min: float) -> None:
    """The difference turns its sign, its chance stays."""
    a, b = two_sides(seed, half_life_min=half_life_min)
    one, other = compare_all(a, b), compare_all(b, a)
    assert (one.a, one.b, one.blocks, one.too_few) == (other.b, other.a, other.blocks, other.too_few)
    assert one.mean == -(other.mean or 0.0)
    assert (one.error, one.p, one.effective) == (other.error, other.p, other.effective)


@LAW
@given(seed=st.integers(0, 10_000))
def test_order_and_unscored_minutes_do_not_matter(seed: int) -> None:
    """Minutes are sorted, and one that a side has no score for is as if it were not there."""
    a, b = two_sides(seed)
    chance = np.random.default_rng(seed)
    absent, minute = chance.random(1200) < 0.1, np.arange(1200)
    order = chance.permutation(1200)
    with_gaps = compare(np.where(absent, NAN, a)[order], b[order], minute[order], 5)
    assert with_gaps == compare(a[~absent], b[~absent], minute[~absent], 5)


@LAW
@given(seed=st.integers(0, 10_000), unit=st.sampled_from([0.1, 1.0, 100.0]))
def test_units_do_not_matter(seed: int, unit: float) -> None:
    """In other units, and with the same added to both sides, the chance is the same."""
    a, b = two_sides(seed, half_life_min=3.0)
    one, other = compare_all(a, b), compare_all(a * unit + 7, b * unit + 7)
    assert (one.blocks, one.too_few) == (other.blocks, other.too_few)
    assert other.p == pytest.approx(one.p, abs=2e-6)
