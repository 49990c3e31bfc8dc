"""The life of natural walls, on books small enough to see."""

from math import isnan

import numpy as np
import pytest

from market.fixed_point import ONE_E8
from simulators.exchange.calibration.walls import HORIZON_MIN, BookSide, measure_wall_life

Book = tuple[BookSide, BookSide]


def a_book(wall: int | None, mid: int = 100_000, size: int = 500) -> Book:
    """A level of one coin each two dollars from the mid on, and one of many more on the ask side at `wall`."""
    asks = np.arange(mid + 1, mid + 401, 2)
    bids = np.arange(mid - 1, mid - 401, -2)
    quantity = np.where(asks == wall, size, 1)
    return _side(bids, np.ones(len(bids), np.int64)), _side(asks, quantity)


def _side(price: np.ndarray, quantity: np.ndarray) -> BookSide:
    return BookSide(price.astype(np.int64) * ONE_E8, quantity.astype(np.int64) * ONE_E8)


@pytest.mark.parametrize(
    ("last", "fate"),
    [
        (a_book(100_101), "held"),
        (a_book(100_111), "moved"),
        (a_book(None), "pulled"),
        (a_book(100_111, size=90), "pulled"),
    ],
)
def test_a_wall_holds_moves_or_is_pulled(last: Book, fate: str) -> None:
    """What stands five minutes later decides; another size elsewhere is another wall."""
    life = measure_wall_life([a_book(100_101)] * HORIZON_MIN + [last])
    assert life.walls == 1
    assert getattr(life, fate) == 1.0


def test_a_wall_that_the_price_reaches_is_not_counted() -> None:
    """It was traded, neither held nor pulled."""
    assert measure_wall_life([a_book(100_101)] * HORIZON_MIN + [a_book(None, mid=100_120)]).walls == 0


def test_without_walls_nothing_is_said() -> None:
    """An even book has none."""
    assert isnan(measure_wall_life([a_book(None)] * (HORIZON_MIN + 1)).held)
