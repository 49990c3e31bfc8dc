"""Two sides on the same minutes: figures by hand, refusals, and laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.arrays import F64
from replay.inference.paired import PairedDifference, compare, detectable_difference, power
from replay.inference.persistence import flatness
from replay.inference.student_t import critical_t, two_sided_p

NAN = float("nan")
LAW = settings(deadline=None, max_examples=40)


def two_sides(seed: int, n: int = 800, half_life_min: float = 0.0) -> tuple[F64, F64]:
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
    """The mean square weight of the slowest cosines, summed minute by minute, is the long-run variance."""
    a, b = two_sides(1, 500)
    comparison = compare_all(a, b)
    difference = (a - b).tolist()
    weights = [
        math.sqrt(2 / 500) * math.fsum(d * math.cos(math.pi * j * (t + 0.5) / 500) for t, d in enumerate(difference))
        for j in range(1, comparison.blocks + 1)
    ]
    flat = float(flatness(a - b, comparison.blocks)[-1])
    error = math.sqrt(math.fsum(w * w for w in weights) / comparison.blocks / flat / 500)
    mean = math.fsum(difference) / 500
    reach = critical_t(0.05, comparison.blocks) * error
    assert comparison.blocks == int(0.4 * 500 ** (2 / 3)) == 25
    assert (comparison.error, comparison.mean) == pytest.approx((error, mean), abs=2e-9)
    assert (comparison.low, comparison.high) == pytest.approx((mean - reach, mean + reach), abs=2e-9)
    assert comparison.p == pytest.approx(two_sided_p(mean / error, 25), abs=2e-6)
    assert comparison.too_few is None


def test_without_persistence_the_error_is_the_usual_one() -> None:
    """Over 60 seeds of independent minutes it is s/√n on average."""
    ratios = []
    for seed in range(60):
        a, b = two_sides(seed, 2000)
        error = compare_all(a, b).error
        assert error is not None
        ratios.append(error / float(np.std(a - b) / math.sqrt(2000)))
    assert 0.97 < np.mean(ratios) < 1.06


def test_persistence_widens_the_interval() -> None:
    """At a half-life of 10 min the error is √((1+φ)/(1−φ)) = 5.4 times that of independent minutes."""
    ratios = []
    for seed in range(60):
        a, b = two_sides(seed, 5000, 10)
        error = compare_all(a, b).error
        assert error is not None
        ratios.append(error / float(np.std(a - b) / math.sqrt(5000)))
    assert np.mean(ratios) == pytest.approx(5.37, rel=0.05)


def test_repeats_are_averaged_first() -> None:
    """A minute is one observation however often it was asked for; the spread is that inside minutes."""
    a, b = two_sides(2, 600)
    offsets = np.tile([-1.0, 0.0, 1.0], (600, 1))
    comparison = compare_all(a[:, None] + offsets, b)
    assert (comparison.spread_a, comparison.spread_b) == (1.0, None)
    once = compare_all(a, b)
    assert (comparison.minutes, comparison.blocks) == (600, once.blocks)
    assert (comparison.mean, comparison.error) == pytest.approx((once.mean, once.error), abs=2e-9)


def test_a_repeat_that_failed_is_left_out() -> None:
    """Means and spread by hand: (1, 3), (5, –), (–, –) give 2 and 5, √2 apart."""
    a = np.array([[1.0, 3.0], [5.0, NAN], [NAN, NAN]])
    b = np.array([1.0, 1.0, 1.0])
    comparison = compare_all(a, b)
    assert (comparison.a, comparison.b, comparison.mean, comparison.minutes) == (3.5, 1.0, 2.5, 2)
    assert comparison.spread_a == round(math.sqrt(2), 9)
    assert compare_all(a[:, :1], b).spread_a is None


@pytest.mark.parametrize(
    ("n", "half_life_min", "horizon_min", "why"),
    [
        (300, 0, 1, "300 minutes are too few for a horizon of 1 min: record for longer"),
        (3000, 0, 60, "3000 minutes are too few for a horizon of 60 min: record for longer"),
        (600, 30, 1, "decisions persist: 600 minutes are worth about"),
        (5000, 400, 1, "decisions persist: 5000 minutes are worth about"),
    ],
)
def test_too_few_are_refused(n: int, half_life_min: float, horizon_min: int, why: str) -> None:
    """The means are given, an error, an interval and a p are not."""
    comparison = compare_all(*two_sides(3, n, half_life_min), horizon_min)
    assert comparison.too_few is not None
    assert comparison.too_few.startswith(why)
    assert comparison.mean is not None
    assert comparison.blocks < 20
    assert (comparison.error, comparison.low, comparison.high, comparison.p) == (None, None, None, None)
    assert (power(1.0, comparison), detectable_difference(comparison)) == (None, None)


def test_sides_that_hardly_differ_are_refused() -> None:
    """Where a few minutes alone differ, chance cannot be measured; nor where all differ by the same."""
    a, _ = two_sides(4, 3000)
    b = a.copy()
    assert compare_all(a, b).too_few == "the sides differ in 0 of 83 stretches of time only: record for longer"
    b[100:2500:300] += 5
    assert compare_all(a, b).too_few == "the sides differ in 8 of 83 stretches of time only: record for longer"
    alike = compare_all(a, a + 0.5)
    assert (alike.mean, alike.p) == (-0.5, None)
    assert alike.too_few == "the difference is the same in every minute: chance has no part in it"


def test_a_series_of_hours_counts_hours_that_are_there() -> None:
    """Minutes far apart cannot overlap; minutes in two halves a year apart are no more than they are."""
    a, b = two_sides(5, 1500)
    assert compare(a, b, np.arange(1500), 30).too_few is not None
    assert compare(a, b, np.arange(1500) * 30, 30).too_few is None
    halves = np.where(np.arange(1500) < 750, 0, 500_000) + np.arange(1500)
    assert compare(a, b, halves, 30).too_few is not None


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


def test_power_and_what_can_be_found() -> None:
    """No effect is found in 5 %, the detectable one in 80 %, a larger one more often."""
    comparison = compare_all(*two_sides(6, 2000))
    least = detectable_difference(comparison)
    assert least is not None
    assert comparison.error is not None
    assert least / comparison.error == pytest.approx(2.847, abs=0.05)
    assert power(0.0, comparison) == 0.05
    assert power(least, comparison) == pytest.approx(0.8, abs=1e-6)
    assert power(-2 * least, comparison) == pytest.approx(0.9998, abs=1e-4)


@LAW
@given(seed=st.integers(0, 10_000), half_life_min=st.sampled_from([0.0, 3.0, 20.0]))
def test_the_sides_may_be_swapped(seed: int, half_life_min: float) -> None:
    """The difference turns its sign, its chance stays."""
    a, b = two_sides(seed, half_life_min=half_life_min)
    one, other = compare_all(a, b), compare_all(b, a)
    assert (one.a, one.b, one.blocks, one.too_few) == (other.b, other.a, other.blocks, other.too_few)
    assert one.mean == -(other.mean or 0.0)
    assert (one.error, one.p) == (other.error, other.p)


@LAW
@given(seed=st.integers(0, 10_000))
def test_order_and_unscored_minutes_do_not_matter(seed: int) -> None:
    """Minutes are sorted, and one that a side has no score for is as if it were not there."""
    a, b = two_sides(seed)
    chance = np.random.default_rng(seed)
    absent, minute = chance.random(800) < 0.1, np.arange(800)
    order = chance.permutation(800)
    with_gaps = compare(np.where(absent, NAN, a)[order], b[order], minute[order], 5)
    assert with_gaps == compare(a[~absent], b[~absent], minute[~absent], 5)


@LAW
@given(seed=st.integers(0, 10_000), unit=st.sampled_from([0.01, 1.0, 100.0]))
def test_units_do_not_matter(seed: int, unit: float) -> None:
    """In other units, and with the same added to both sides, the chance is the same."""
    a, b = two_sides(seed, half_life_min=3.0)
    one, other = compare_all(a, b), compare_all(a * unit + 7, b * unit + 7)
    assert (one.blocks, one.too_few is None) == (other.blocks, other.too_few is None)
    assert other.p == (None if one.p is None else pytest.approx(one.p, abs=2e-6))
