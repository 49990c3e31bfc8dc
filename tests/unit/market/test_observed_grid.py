"""The grid of numbers that were seen."""

import numpy as np
import pytest

from market.observed_grid import ObservedUnit, exceeds_sum_limit, infer_quantity_decimals, next_step
from market.timestamps import DAY_NS, HOUR_NS


def unit_of(*values: int) -> ObservedUnit:
    """Numbers, taken one after the other."""
    unit = ObservedUnit()
    for value in values:
        unit.add(np.array([value], np.int64))
    return unit


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([6_000_000_000_000], 1_000_000_000_000),  # a power of ten alone: one price says no more
        ([6_000_000_000_000, 6_000_100_000_000], 100_000_000),
        ([10_050_000_000], 10_000_000),
        ([60, 120, 180], 10),  # not 60
        ([5, 10, 15], 5 // 5),
        ([0, 0], 1),
        ([], 1),
        ([238, 239, 240], 1),
    ],
)
def test_few_numbers_show_a_power_of_ten(values: list[int], step: int) -> None:
    """What they happen to have in common is not their grid."""
    assert unit_of(*values).step == step


@pytest.mark.parametrize(("unit", "step"), [(50, 50), (20, 20), (25, 5), (70, 10), (100, 100), (1, 1)])
def test_many_numbers_show_two_and_five(unit: int, step: int) -> None:
    """A factor of seven is none of a venue's."""
    values = ObservedUnit()
    values.add(np.arange(1_001, 1_101, dtype=np.int64) * unit)
    assert values.step == step


def test_batches_change_nothing() -> None:
    """Taken at once or in parts."""
    numbers = np.arange(1, 400, dtype=np.int64) * 250
    full, parts = ObservedUnit(), ObservedUnit()
    full.add(numbers)
    for part in np.array_split(numbers, 37):
        parts.add(part)
    assert (full.divisor, full.step, full.has_many) == (parts.divisor, parts.step, parts.has_many)


def test_a_step_becomes_finer_at_once_and_coarser_on_evidence() -> None:
    """Three prices on tens say nothing; hundreds do."""
    assert next_step(0, unit_of(100, 200, 300)) == 100
    assert next_step(100, unit_of(1_230, 1_250)) == 10
    assert next_step(10, unit_of(100, 200, 300)) == 10
    many = ObservedUnit()
    many.add(np.arange(1, 500, dtype=np.int64) * 100)
    assert next_step(10, many) == 100
    assert next_step(30, many) == 10  # neither divides the other: the finer power of both
    assert next_step(0, ObservedUnit()) == 1
    assert next_step(50, ObservedUnit()) == 50


def test_a_market_of_trillions_keeps_fewer_decimals() -> None:
    """As many as its smallest step needs; any other market keeps eight."""
    coins = 10**8
    assert infer_quantity_decimals(30_000 * coins, DAY_NS, unit_of(1_000)) == 8
    assert infer_quantity_decimals(2 * 10**11 * coins, 2 * HOUR_NS, unit_of(coins)) == 0
    assert infer_quantity_decimals(2 * 10**11 * coins, 2 * HOUR_NS, unit_of(coins // 10)) == 1
    all_eight = infer_quantity_decimals(10**12 * coins, 0, unit_of(1))
    assert all_eight == 8  # it needs them all: sums may then be refused, never wrapped


@pytest.mark.parametrize(
    ("price_e8", "step", "decimals"),
    [
        (60_000_000_000, 10**8, 8),  # what a coin of 600 can trade in days fits by far
        (60_000_000, 10**8, 8),
        (250_000, 10**8, 6),  # a coin of a quarter of a cent, before the world noticed it
        (250_000, 10**3, 6),
        (250_000, 1, 8),
        (1_000, 10**7, 3),
        (1, 10**8, 0),
        (1, 10**7, 1),
    ],
)
def test_a_cheap_coin_leaves_room_for_louder_days(price_e8: int, step: int, decimals: int) -> None:
    """As many decimals are left out as ten billion in three days take, and many quantities lack."""
    many = ObservedUnit()
    many.add(np.arange(1_001, 1_101, dtype=np.int64) * step)
    assert infer_quantity_decimals(10**12, DAY_NS, many, cheapest_e8=price_e8) == decimals
    assert infer_quantity_decimals(10**12, DAY_NS, unit_of(step), cheapest_e8=price_e8) == 8


def test_sums_that_do_not_fit_are_known_beforehand() -> None:
    """Of a short file all of it, of a long one what three days of it hold."""
    assert not exceeds_sum_limit(2**62, DAY_NS)
    assert exceeds_sum_limit(2**62 + 1, 0)
    assert not exceeds_sum_limit(2**64, 30 * DAY_NS)
    assert exceeds_sum_limit(2**66, 30 * DAY_NS)
