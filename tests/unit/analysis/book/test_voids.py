"""A void is a stretch of distances that holds two fifths of what it did in each of the last three books."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.book.book_side import BookSide, build_book_side
from analysis.book.voids import LiquidityVoid, cell_edges, find_voids, measure_depths, usual_depths
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from projections.book.snapshot_window import Snapshot
from tests.market_builders import a_snapshot, e8

RULES = Parameters()
MID = 100_000.0 * ONE_E8
CELLS = cell_edges(MID, ONE_E8, 99.95)
"""2, 3, 4.24, 6, 8.49, 12, … 96 bp: with bins of 1 the first cell holds ten bins, the one from 24 bp on a hundred."""


def a_book(thin: range = range(0), side: str = "ask", quantity: float = 0.25, usual: float = 1.0,
           bins: int = 1000) -> Snapshot:  # fmt: skip
    """A book of one quantity a bin around 100000, less of it in some bins of one side."""
    sides = {s: [quantity if s == side and i in thin else usual for i in range(bins)] for s in ("bid", "ask")}
    bids = [(99_999.5 - i, q) for i, q in enumerate(sides["bid"])]
    return a_snapshot(bids, [(100_000.5 + i, q) for i, q in enumerate(sides["ask"])])


def make_side(book: Snapshot, side: str = "ask") -> BookSide:
    """A side in bins of 1."""
    result = build_book_side(book, side, ONE_E8, RULES)  # type: ignore[arg-type]
    assert result is not None
    return result


def find_in(books: Sequence[Snapshot], side: str = "ask") -> list[LiquidityVoid] | None:
    """The voids of the last of some books."""
    history = np.array([measure_depths(make_side(b, side), CELLS) for b in books])
    usual = usual_depths(history[:-3], RULES)
    return find_voids(make_side(books[-1], side), CELLS, usual, history[-3:], RULES)


def thin_cells(earlier: Any, last: Any) -> list[bool]:
    """Which of the first cells are thin, by what each held earlier and in the last books."""
    usual = usual_depths(np.array(earlier, np.float64), RULES)
    count = len(last[0])
    result = find_voids(make_side(a_book()), CELLS[: count + 1], usual, np.array(last, np.float64), RULES)
    assert result is not None
    return [any(v.near_bp <= round(bp, 2) < v.far_bp for v in result) for bp in CELLS[:count]]


def test_cells_grow_by_the_square_root_of_two() -> None:
    """From 2 bp on, each edge √2 times the one before, but ten bins at least; none beyond the reach."""
    assert CELLS[:3].tolist() == pytest.approx([2, 3, 3 * 2**0.5])
    assert (CELLS[2:] / CELLS[1:-1]).tolist() == pytest.approx([2**0.5] * 10)
    assert CELLS[-1] == pytest.approx(96)
    assert cell_edges(MID, ONE_E8, 2.9).tolist() == [2.0]


def test_the_second_grid_begins_half_a_cell_further_out() -> None:
    """Half a cell of √2 is its fourth root: where cells are wide enough each edge is the middle one of a first cell."""
    shifted = cell_edges(MID, ONE_E8, 99.95, shifted=True)
    assert shifted[:3].tolist() == pytest.approx([2**1.25, 2**1.25 + 1, (2**1.25 + 1) * 2**0.5])
    assert (shifted[2:] / shifted[1:-1]).tolist() == pytest.approx([2**0.5] * 9)
    fine, across = cell_edges(MID, ONE_E8 // 100, 99.95), cell_edges(MID, ONE_E8 // 100, 99.95, shifted=True)
    assert across == pytest.approx((fine[:-1] * fine[1:]) ** 0.5)


@given(st.integers(1, 10**13), st.integers(1, 10**9), st.floats(0, 1e4), st.booleans())
def test_every_cell_has_ten_bins_inside_the_reach(mid: int, width: int, reach: float, shifted: bool) -> None:
    """Whatever the price, the bin, the reach and the grid."""
    edges = cell_edges(float(mid), width, reach, shifted)
    assert edges[0] == (2.0 * 2**0.25 if shifted else 2.0)
    assert all(np.diff(edges) >= 10 * width / mid * 1e4 * (1 - 1e-9))
    assert all(np.diff(edges) >= edges[:-1] * (2**0.5 - 1) * (1 - 1e-9))
    assert len(edges) == 1 or edges[-1] <= reach


def test_depth_of_cells() -> None:
    """Bins lie half a basis point's tenth off the edges: ten, twelve, eighteen … ones from 2 bp on."""
    assert (measure_depths(make_side(a_book()), CELLS)[:5] / ONE_E8).tolist() == [10, 12, 18, 25, 35]
    short = measure_depths(make_side(a_book(bins=100)), CELLS)
    assert np.isnan(short).tolist() == [False] * 4 + [True] * 7


def test_thin_by_two_fifths_in_all_three() -> None:
    """Two fifths of the median count and a little more does not; each of the last three books must be so thin."""
    usual = [[10.0]] * 10
    assert thin_cells(usual, [[4], [4], [4]]) == [True]
    assert thin_cells(usual, [[0], [0], [0]]) == [True]
    assert thin_cells(usual, [[10], [4], [4]]) == [False]
    assert thin_cells(usual, [[4], [10], [4]]) == [False]
    assert thin_cells(usual, [[4], [4], [4.01]]) == [False]


def test_too_few_books_is_not_none_found() -> None:
    """Ten books before the last three are needed: with twelve in all it is not known, with thirteen it is."""
    assert usual_depths(np.full((9, 2), 9.0), RULES) is None
    full = usual_depths(np.full((10, 2), 9.0), RULES)
    assert full is not None
    assert full.tolist() == [9.0, 9.0]
    assert find_in([a_book()] * 12) is None
    assert find_in([a_book()] * 13) == []


def test_a_cell_seldom_seen_is_not_judged() -> None:
    """A cell beyond the reach of all but nine of ten earlier books is not thin; one that ten of eleven saw is."""
    seen_by = {9: False, 10: True}
    for count, thin in seen_by.items():
        assert thin_cells([[9.0]] * count + [[np.nan]], [[0]] * 3) == [thin]


def test_what_was_not_seen_now_is_not_thin() -> None:
    """A cell beyond the reach of the last books is not known to be empty."""
    assert thin_cells([[9.0]] * 10, [[np.nan]] * 3) == [False]


def test_what_was_always_empty_is_no_vacuum() -> None:
    """A part of nothing is nothing: a cell whose median is zero is not thin."""
    assert thin_cells([[0.0]] * 10, [[0.0]] * 3) == [False]


@pytest.mark.parametrize("side", ["ask", "bid"])
def test_a_vacuum_by_its_figures(side: str) -> None:
    """The cell from 24 to 33.94 bp, bins 240 to 338, down to a quarter: edges, contents, cost to cross."""
    void = range(240, 339)
    (thin,) = find_in([a_book()] * 10 + [a_book(void, side)] * 3, side) or []
    edges = [thin.low_e8 / ONE_E8, thin.high_e8 / ONE_E8, thin.far_e8 / ONE_E8]
    assert edges == ([100_240, 100_339, 100_339] if side == "ask" else [99_661, 99_760, 99_661])
    assert (thin.quantity_e8, thin.median_e8) == (99 * ONE_E8 // 4, 99.0 * ONE_E8)
    away = 1 if side == "ask" else -1
    assert thin.cost == round(sum(0.25 * (100_000 + away * (i + 0.5)) for i in void) * ONE_E8, 2)
    assert (thin.near_bp, thin.far_bp, thin.censored) == (24.0, 33.94, False)


def test_adjacent_thin_cells_join() -> None:
    """Bins 240 to 479 are two cells and one void; with the cell between usual again they are two."""
    before = [a_book()] * 10
    (one,) = find_in(before + [a_book(range(240, 480))] * 3) or []
    assert (one.near_bp, one.far_bp, one.median_e8) == (24.0, 48.0, 240.0 * ONE_E8)
    voids = [*range(240, 339), *range(480, 679)]
    split = a_snapshot(
        [(99_999.5 - i, 1) for i in range(1000)],
        [(100_000.5 + i, 0.25 if i in voids else 1) for i in range(1000)],
    )
    apart = find_in(before + [split] * 3) or []
    assert [(v.near_bp, v.far_bp) for v in apart] == [(24.0, 33.94), (48.0, 67.88)]


def test_a_run_to_the_reach_is_censored() -> None:
    """A void in the last cell may go on beyond what was seen, and says so."""
    (thin,) = find_in([a_book()] * 10 + [a_book(range(679, 1000))] * 3) or []
    assert (thin.near_bp, thin.far_bp, thin.censored) == (67.88, 96.0, True)


def test_the_other_side_has_none() -> None:
    """A void in the asks is no void in the bids."""
    assert find_in([a_book()] * 10 + [a_book(range(240, 480))] * 3, "bid") == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30) | st.just(None), min_size=3, max_size=3), min_size=10, max_size=30),
    st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=3, max_size=3),
)
def test_the_rule_in_plain_python(earlier: list[list[int | None]], last: list[list[int]]) -> None:
    """Median of what was seen, two fifths of it, three of three, cell by cell, without arrays."""
    thin = thin_cells(earlier, last)
    usual = usual_depths(np.array(earlier, np.float64), RULES)
    assert usual is not None
    for cell in range(3):
        before = sorted(q for row in earlier if (q := row[cell]) is not None)
        middle = (before[(len(before) - 1) // 2] + before[len(before) // 2]) / 2 if len(before) >= 10 else 0
        assert usual[cell] == middle
        assert thin[cell] == (middle > 0 and all(row[cell] <= middle * 0.4 for row in last))


def test_prices_of_a_vacuum_hold_no_other_bins() -> None:
    """The bins between its edges are exactly those that are counted."""
    book = a_book(range(240, 480))
    (thin,) = find_in([a_book()] * 10 + [book] * 3) or []
    inside = (book.ask_price_e8 >= thin.low_e8) & (book.ask_price_e8 < thin.high_e8)
    assert int(book.ask_quantity_e8[inside].sum()) == thin.quantity_e8 == e8(60)
