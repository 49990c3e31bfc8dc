"""One side of a book in bins: which bin holds a price, and what a stretch holds in and out of sight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.book.book_side import SIDES, BookSide, Side, build_book_side
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from tests.market_builders import a_snapshot, e8


def make_side(side: Side, bins: int = 5) -> BookSide:
    """Bins of 1, 2, 3 … outwards from 100, each with its level in the middle."""
    book = a_snapshot([(99.5 - i, i + 1) for i in range(bins)], [(100.5 + i, i + 1) for i in range(bins)])
    result = build_book_side(book, side, ONE_E8, Parameters())
    assert result is not None
    return result


@pytest.mark.parametrize(("side", "price"), [("bid", 98), ("ask", 101)])
def test_what_a_stretch_holds(side: Side, price: int) -> None:
    """From the second bin outwards: two, three and four; any price inside a bin means the bin."""
    assert make_side(side).quantities_from(e8(price), 3).tolist() == [2 * ONE_E8, 3 * ONE_E8, 4 * ONE_E8]
    assert make_side(side).quantities_from(e8(price) + ONE_E8 - 1, 1).tolist() == [2 * ONE_E8]


@pytest.mark.parametrize("side", SIDES)
def test_out_of_sight_is_held_as_nothing(side: Side) -> None:
    """Zeros before the best bin and beyond the last one, on both ends at once, or wholly outside."""
    book = make_side(side)
    step = ONE_E8 if side == "ask" else -ONE_E8
    assert (book.quantities_from(book.low_e8 - 2 * step, 9) // ONE_E8).tolist() == [0, 0, 1, 2, 3, 4, 5, 0, 0]
    assert book.quantities_from(book.low_e8 - 4 * step, 3).tolist() == [0, 0, 0]
    assert book.quantities_from(book.low_e8 + 5 * step, 3).tolist() == [0, 0, 0]
    assert book.quantities_from(book.low_e8, 0).tolist() == []


@given(st.sampled_from(SIDES), st.integers(-20, 20), st.integers(0, 30))
def test_a_stretch_holds_what_its_bins_hold(side: Side, start: int, count: int) -> None:
    """Bin by bin the same as one at a time, wherever it lies."""
    book = make_side(side)
    one_by_one = [book.quantity_at(start + i) for i in range(count)]
    assert book.quantities_from(book.price_e8(start), count).tolist() == one_by_one
    assert book.quantities_from(book.price_e8(start), count).dtype == np.int64
