"""Levels that follow the price: as wide as the price asks for, whatever came before."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from market.fixed_point import LARGEST_E8, ONE_E8, parse_e8
from market.timestamps import MINUTE_NS
from projections.trades.minute_buckets import MinuteBuckets
from projections.trades.price_levels import level_width_e8, prices_of_width
from tests.builders import T0, a_batch, a_trade

PRICES = st.integers(1, LARGEST_E8)


@pytest.mark.parametrize(
    ("price", "width"),
    [
        ("20000", "1"), ("40000", "1"), ("110000", "1"), ("199999.99", "1"), ("200000", "10"), ("19999.99", "0.1"),
        ("5000000", "100"), ("1600000000", "10000"), ("60", "0.001"), ("0.6", "0.00001"), ("0.00000239", "0.00000001"),
        ("0.00000001", "0.00000001"),
    ],
)  # fmt: skip
def test_widths_of_known_markets(price: str, width: str) -> None:
    """BTC from 20,000 to 200,000 has levels of one dollar, as users know them."""
    assert level_width_e8(parse_e8(price)) == parse_e8(width)
    assert level_width_e8(parse_e8(price), 3) == 3


@given(price=PRICES)
@example(price=2 * 10**18 - 1)
@example(price=LARGEST_E8)
def test_a_width_is_a_power_of_ten_of_half_a_basis_point_at_most(price: int) -> None:
    """And no less than a twentieth, but for prices of few counts; the range it holds in holds the price."""
    width = level_width_e8(price)
    assert set(str(width)) <= {"0", "1"}
    assert str(width).count("1") == 1
    assert width == 1 or width * 20_000 <= price
    assert price < width * 200_000
    first, stop = prices_of_width(width)
    assert first <= price < stop
    assert level_width_e8(max(1, first)) == level_width_e8(stop - 1) == width, "it ends where another begins"
    assert first == 0 or level_width_e8(first - 1) < width


@settings(deadline=None)
@given(prices=st.lists(PRICES, min_size=1, max_size=30), cut=st.integers(0, 30))
@example(prices=[2 * 10**17, 2_260_810_000_000_000_000], cut=0)  # from the second widest levels into the widest
def test_buckets_do_not_depend_on_what_came_before(prices: list[int], cut: int) -> None:
    """A process that saw all trades and one that saw the last of them sort those into the same levels."""
    facts = [a_trade(n + 1, _text(p), "0.5", T0 + n * MINUTE_NS) for n, p in enumerate(prices)]
    full, late = MinuteBuckets(60), MinuteBuckets(60)
    full.apply(a_batch(facts))
    rest = facts[min(cut, len(facts) - 1) :]
    late.apply(a_batch(rest))
    for minute_ns, minute in late.minutes():
        other = full.minute(minute_ns)
        assert other is not None
        assert np.array_equal(minute.level_e8, other.level_e8)
    for n, price in enumerate(prices):
        minute = full.minute(T0 + n * MINUTE_NS)
        assert minute is not None
        width = level_width_e8(price)
        assert minute.level_e8.tolist() == [price // width * width]


def test_a_width_that_is_set_holds_everywhere() -> None:
    """Whatever the price."""
    buckets = MinuteBuckets(10, ONE_E8 // 2)
    buckets.apply(a_batch([a_trade(1, "0.7"), a_trade(2, "300000.7")]))
    minute = buckets.minute(T0)
    assert minute is not None
    assert minute.level_e8.tolist() == [ONE_E8 // 2, 300_000 * ONE_E8 + ONE_E8 // 2]


def _text(price_e8: int) -> str:
    return f"{price_e8 // ONE_E8}.{price_e8 % ONE_E8:08d}"
