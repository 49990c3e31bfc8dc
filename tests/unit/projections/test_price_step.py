"""The tick where no instrument is on record: what prices have in common, and no more than that."""

import numpy as np
import pytest

from market.fixed_point import ONE_E8, parse_e8
from projections.price_step import infer_tick_e8


@pytest.mark.parametrize(
    ("prices", "tick"),
    [
        ([], "0.00000001"),
        (["60000", "60000.5", "60001.3"], "0.1"),
        (["60000"], "1"),  # a basis point of it is 6
        (["60000", "61000"], "1"),
        (["0.00000239", "0.0000024"], "0.00000001"),
        (["5000000", "5000100"], "100"),
        ([str(100 + n) for n in range(60)], "1"),
        ([str(100 + n / 2) for n in range(60)], "0.5"),
    ],
)
def test_what_prices_show(prices: list[str], tick: str) -> None:
    """A few round prices are no grid of a thousand; many that step by a half are one of a half."""
    assert infer_tick_e8(np.array([parse_e8(p) for p in prices], np.int64)) == parse_e8(tick)


def test_it_divides_every_price() -> None:
    """So that what is on the grid stays on it."""
    chance = np.random.default_rng(1)
    for tick in (1, 5, 100, 2 * ONE_E8):
        prices = chance.integers(10**6, 10**7, 500) * tick
        assert np.all(prices % infer_tick_e8(prices) == 0)
        assert infer_tick_e8(prices) % tick == 0
