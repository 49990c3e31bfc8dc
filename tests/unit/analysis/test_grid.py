"""Widths follow the price by the 1-2-5 numbers and never fall below a tick."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.grid import bin_width_e8, bp_between, count_bins, heaviest_run, one_two_five
from market.fixed_point import ONE_E8
from tests.market_builders import e8

SERIES = sorted(m * 10**k for m in (1, 2, 5) for k in range(19))


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (0, 1),
        (0.4, 1),
        (1, 1),
        (1.5, 1),  # a tie goes down
        (1.51, 2),
        (3.5, 2),
        (3.51, 5),
        (7.5, 5),
        (7.51, 10),
        (999, 1000),
        (1000, 1000),
        (1500, 1000),
        (14_999_999, 10_000_000),
        (88_000_000, 100_000_000),
    ],
)
def test_known_widths(width: float, expected: int) -> None:
    """Hand-picked widths, ties and powers of ten among them."""
    assert one_two_five(width) == expected


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 1e16))
def test_nearest_of_the_whole_series(width: float) -> None:
    """No other 1-2-5 number is nearer, and of two equally near ones the smaller is taken."""
    assert one_two_five(width) == min(SERIES, key=lambda c: (abs(c - width), c))


def test_a_bitcoin_bin_is_a_dollar() -> None:
    """docs/measures.md §2: the 1-2-5 number nearest price × 1.2e-5 is $1 for BTC."""
    for price in ("65000", "84000", "110000.25"):
        assert bin_width_e8(e8(price), 1.2e-5, e8("0.01")) == ONE_E8


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**15), st.integers(1, 10**9))
def test_bins_hold_whole_ticks(price_e8: int, tick_e8: int) -> None:
    """A bin is at least a tick and a whole number of ticks wide, whatever the tick."""
    width = bin_width_e8(price_e8, 1.2e-5, tick_e8)
    assert width >= tick_e8
    assert width % tick_e8 == 0
    assert width < max(tick_e8, 2 * max(1, one_two_five(price_e8 * 1.2e-5))) + tick_e8


def test_a_coarse_tick_widens_the_bin() -> None:
    """A tick of 0.3 cannot make bins of 1: they hold four ticks."""
    assert bin_width_e8(e8(84000), 1.2e-5, e8("0.3")) == e8("1.2")
    assert bin_width_e8(e8(100), 1.2e-5, e8("0.5")) == e8("0.5")


def test_distance_in_bins_has_a_floor() -> None:
    """6 bp of 100000 is 60 bins of $1; of 100 it would be none and is the floor."""
    assert count_bins(e8(100_000), 6.0, ONE_E8, 10) == 60
    assert count_bins(e8(100), 6.0, ONE_E8, 10) == 10


def test_distance_in_basis_points_is_signed() -> None:
    """Below the reference is negative, to two decimals."""
    assert bp_between(e8("99.5"), e8(100)) == -50.0
    assert bp_between(e8("100.01"), e8(100)) == 1.0
    assert math.isclose(bp_between(e8(3), e8("2.999")), 3.33)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-2, 1, -3, 4, -1, 2, 1, -5, 4], (3, 7)),  # the textbook's: 4 − 1 + 2 + 1 = 6
        ([1, 2, 3], (0, 3)),
        ([-1, -2], (0, 0)),
        ([0, 0], (0, 0)),
        ([], (0, 0)),
        ([5, -9, 5], (0, 1)),  # the first of equals
        ([2, -2, 3], (0, 3)),  # the longest where what lies before adds nothing
    ],
)
def test_the_heaviest_run_by_hand(values: list[float], expected: tuple[int, int]) -> None:
    """The stretch with the largest sum, worked examples first; none where nothing is above zero."""
    assert heaviest_run(np.array(values, np.float64)) == expected


@given(st.lists(st.integers(-20, 20), max_size=25))
def test_no_other_run_is_heavier(values: list[int]) -> None:
    """Of all stretches none has a larger sum, and the empty one is given only where none is above zero."""
    start, stop = heaviest_run(np.array(values, np.float64))
    best = max((sum(values[i:j]) for i in range(len(values)) for j in range(i + 1, len(values) + 1)), default=0)
    assert sum(values[start:stop]) == max(0, best)
    assert (stop > start) == (best > 0)
