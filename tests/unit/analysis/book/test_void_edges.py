"""The edges of a void, price by price: what is short, since when, and where that begins and ends."""

from collections.abc import Sequence

import numpy as np
import pytest

from analysis.book.void_edges import confirm_void, usual_quantities
from analysis.book.voids import LiquidityVoid, find_voids, measure_depths, usual_depths
from market.fixed_point import ONE_E8
from projections.book.snapshot_window import Snapshot
from tests.market_builders import a_snapshot, e8
from tests.unit.analysis.book.test_voids import CELLS, RULES, a_book, find_in, make_side


def exactly(earlier: Sequence[Snapshot], now: Snapshot, side: str = "ask") -> list[LiquidityVoid | None]:
    """What becomes of the voids of the cells price by price, ten earlier books and three like the last."""
    books = [make_side(b, side) for b in (*earlier, now, now, now)]
    usual = usual_quantities(books[:-3], len(books[-1].quantity_e8), RULES)
    return [confirm_void(v, books, usual, RULES) for v in find_in([*earlier, now, now, now], side) or []]


@pytest.mark.parametrize("side", ["ask", "bid"])
def test_confirmed_to_the_bin(side: str) -> None:
    """
    A void in bins 250 to 359 lies across cells: the prices' own medians give its exact edges and what crossing it
    costs, on both sides; quantity and median are those of the cell from 240 to 338, ten of them full.
    """
    earlier, now = [a_book()] * 10, a_book(range(250, 360), side, quantity=0.125)
    (exact,) = exactly(earlier, now, side)
    assert exact is not None
    edges = [exact.low_e8 / ONE_E8, exact.high_e8 / ONE_E8, exact.far_e8 / ONE_E8]
    assert edges == ([100_250, 100_360, 100_360] if side == "ask" else [99_640, 99_750, 99_640])
    assert (exact.quantity_e8, exact.median_e8) == (e8(10 + 89 / 8), 99.0 * ONE_E8)
    away = 1 if side == "ask" else -1
    assert exact.cost == round(sum(0.125 * (100_000 + away * (i + 0.5)) for i in range(250, 360)) * ONE_E8, 2)
    assert (exact.near_bp, exact.far_bp, exact.censored) == (25.05, 35.95, False)


def test_a_wall_that_went_leaves_no_vacuum() -> None:
    """A cell that held one wall holds a tenth without it; no ten neighbouring prices hold less than they did."""
    earlier, now = [a_book(range(300, 301), quantity=1000)] * 10, a_book()
    (rough,) = find_in(earlier + [now] * 3) or []
    assert (rough.near_bp, rough.far_bp) == (24.0, 33.94)
    assert exactly(earlier, now) == [None]


def make_void_book(short: Sequence[int], quantity: float, bins: int = 1000) -> Snapshot:
    """A book of ones with less in some bins of the asks."""
    less = set(short)
    return a_snapshot(
        [(99_999.5 - i, 1) for i in range(bins)], [(100_000.5 + i, quantity if i in less else 1) for i in range(bins)]
    )


@pytest.mark.parametrize(("held", "bears_out"), [(0.4, True), (0.41, False)])
def test_a_bin_is_short_at_two_fifths_of_what_is_usual_so_far_away(held: float, bears_out: bool) -> None:
    """With the cell thin by a wall that went beside it, its bins decide: two fifths of what they usually hold."""
    earlier = [a_book(range(300, 301), quantity=1000)] * 10
    (exact,) = exactly(earlier, make_void_book(range(240, 339), held))
    assert (exact is not None) == bears_out


@pytest.mark.parametrize(("full", "of", "bears_out"), [(1, 4, True), (4, 9, False)])
def test_most_of_its_bins_must_be_short(full: int, of: int, bears_out: bool) -> None:
    """With one bin in four as full as ever it is thin; with four in nine, though fewer than half, it is not."""
    earlier = [a_book(range(300, 301), quantity=1000)] * 10
    (exact,) = exactly(earlier, make_void_book([i for i in range(240, 339) if i % of >= full], 0.25))
    assert (exact is not None) == bears_out


@pytest.mark.parametrize(("wide", "bears_out"), [(50, True), (49, False)])
def test_half_as_wide_as_what_was_found(wide: int, bears_out: bool) -> None:
    """The cell from 24 bp on has 99 bins: fifty short ones in its middle bear it out, forty-nine do not."""
    earlier = [a_book(range(250, 251), quantity=1000)] * 10
    middle = range(289 - wide // 2, 289 - wide // 2 + wide)
    (exact,) = exactly(earlier, make_void_book(middle, 0.1))
    assert (exact is not None) == bears_out
    assert exact is None or (exact.low_e8, exact.high_e8) == (e8(100_264), e8(100_314))


def test_medians_are_those_of_prices_not_of_distances() -> None:
    """
    A void that stood at its prices in every earlier book is what those prices usually hold: when the mid comes nearer,
    its distances thin out, and it is no void.
    """
    void = range(240, 339)
    before = [make_void_book([i + 150 for i in void], 0.1, 1200)] * 10
    later = a_snapshot(
        [(100_149.5 - i, 1) for i in range(1000)], [(100_150.5 + i, 0.1 if i in void else 1) for i in range(1000)]
    )
    history = np.array([measure_depths(make_side(b), CELLS) for b in [*before, later, later, later]])
    rough = find_voids(make_side(later), CELLS, usual_depths(history[:-3], RULES), history[-3:], RULES) or []
    assert [v.near_bp for v in rough] == [24.0]
    books = [make_side(b) for b in (*before, later, later, later)]
    assert confirm_void(rough[0], books, usual_quantities(books[:-3], len(books[-1].quantity_e8), RULES), RULES) is None


def test_a_thin_touch_is_no_vacuum() -> None:
    """From bin 20 on, beyond 2 bp, a stretch is one; where its thin prices go on to the touch it is none."""
    earlier = [a_book()] * 10
    (exact,) = exactly(earlier, a_book(range(20, 60), quantity=0.1))
    assert exact is not None
    assert (exact.near_bp, exact.far_bp) == (2.05, 5.95)
    assert exactly(earlier, a_book(range(60), quantity=0.1)) == [None]


@pytest.mark.parametrize(("stop", "censored"), [(680, False), (681, True), (690, True)])
def test_censored_only_where_it_reaches_the_last_bins(stop: int, censored: bool) -> None:
    """The last cell ends at bin 679 of 690: a stretch in it is censored if it goes on into the last ten bins."""
    (exact,) = exactly([a_book(bins=690)] * 10, a_book(range(500, stop), quantity=0.1, bins=690))
    assert exact is not None
    assert (exact.high_e8, exact.censored) == (e8(100_000 + stop), censored)


def test_usual_bins_are_medians_capped_and_smoothed() -> None:
    """
    Two of three books with a wall at bin 500: its median is capped at 1 % of the corridor's 1899, and a triangle of 20
    bins spreads it: at its bin a twentieth of 18.99 and nineteen of ones, 20 bins off nothing.
    """
    books = [make_side(a_book()), *[make_side(a_book(range(500, 501), quantity=1000))] * 2]
    usual = usual_quantities(books, 1000, RULES) / ONE_E8
    assert usual[500] == pytest.approx(18.99 / 20 + 19 / 20, abs=1e-9)
    assert usual[481] == pytest.approx(1 + 17.99 / 400, abs=1e-9)
    assert (usual[480], usual[520], usual[0]) == (1.0, 1.0, 1.0)


def test_what_earlier_books_did_not_see_is_usually_next_to_nothing() -> None:
    """Bins beyond the reach of the earlier books count as empty, which no bin is short against."""
    usual = usual_quantities([make_side(a_book(bins=600))] * 3, 1000, RULES)
    assert usual[550] == ONE_E8
    assert usual[700] == 1.0


def test_edges_from_all_books_it_stood_in() -> None:
    """
    Twenty bins at the far end are full by chance in the last three books and were short in the three before: with all
    books it has stood in they belong to it.
    """
    void, partly = a_book(range(250, 370), quantity=0.1), a_book(range(250, 350), quantity=0.1)
    books = [make_side(b) for b in [a_book()] * 12 + [void] * 9 + [partly] * 3]
    history = np.array([measure_depths(b, CELLS) for b in books])
    rough = find_voids(books[-1], CELLS, usual_depths(history[:12], RULES), history[-3:], RULES) or []
    (exact,) = [confirm_void(v, books, usual_quantities(books[:12], 1000, RULES), RULES) for v in rough]
    assert exact is not None
    assert (exact.low_e8, exact.high_e8) == (e8(100_250), e8(100_370))
