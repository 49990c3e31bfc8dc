"""A wall holds far more than its neighbourhood, a real part of the corridor, and stays for most of five snapshots."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from analysis.book.book_side import build_book_side
from analysis.book.walls import WallFinder, find_wall_bins
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from projections.book.snapshot_window import Snapshot
from tests.market_builders import a_snapshot, e8

RULES = Parameters()
MID = 100_000.5
"""With bins of 1, the neighbourhood is 60 bins a side and the corridor 900."""


def a_book(walls: Mapping[int, float] | None = None, minute: int = 0, usual: float = 1.0, bins: int = 1000,
           step: int = 1) -> Snapshot:  # fmt: skip
    """
    Levels a dollar apart from 100000 down and from 100001 up, of one quantity.

    Args:
        walls: asks' quantities by distance from the best, instead of the usual one. every: only each n-th level.
    """
    asks = dict.fromkeys(range(0, bins, step), usual) | dict(walls or {})
    bids = [(100_000 - i, usual) for i in range(0, bins, step)]
    return a_snapshot(bids, [(100_001 + i, asks[i]) for i in sorted(asks)], minute, seq=minute + 1)


def find_bins_by_index(book: Snapshot, parameters: Parameters = RULES) -> dict[int, tuple[float, float | None]]:
    """Share and contrast of the asks' wall bins, by distance from the best."""
    side = build_book_side(book, "ask", ONE_E8, parameters)
    assert side is not None
    assert book.mid_e8 is not None
    bins = find_wall_bins(side, book.mid_e8, parameters)
    return {(b.price_e8 - e8(100_001)) // ONE_E8: (b.share, b.contrast) for b in bins}


def test_share_and_contrast_together() -> None:
    """10 among 899 ones is 1.1 % of the corridor and ten times its neighbours; 9 is less than 1 %."""
    assert find_bins_by_index(a_book({100: 10})) == {100: (round(10 / 909, 4), 10.0)}
    assert find_bins_by_index(a_book({100: 9})) == {}


def test_contrast_against_the_neighbourhood() -> None:
    """14 is no wall among threes (4.7 times) and one among twos (7 times), where it is more than 1 % too."""
    among_threes = a_book(dict.fromkeys(range(40, 161), 3) | {100: 14.9})
    among_twos = a_book(dict.fromkeys(range(40, 161), 2) | {100: 14.9})
    assert 100 not in find_bins_by_index(among_threes)
    assert find_bins_by_index(among_twos)[100] == (round(14.9 / (120 * 2 + 14.9 + 779), 4), 7.45)


def test_neighbourhood_ends_after_six_basis_points() -> None:
    """Heavy bins 61 bins away do not hide a wall; 60 bins away, where they fill a fifth of it, they do."""
    far = {100 + s * d: 9.0 for d in range(61, 76) for s in (-1, 1)}
    near = {100 + s * d: 9.0 for d in range(46, 61) for s in (-1, 1)}
    assert 100 in find_bins_by_index(a_book(far | {100: 20}))
    assert 100 not in find_bins_by_index(a_book(near | {100: 20}))


def test_empty_neighbours_leave_it_to_the_share() -> None:
    """Where only each seventh bin holds anything P80 is zero: contrast is null and every bin of 1 % is a wall."""
    book = a_book({100 * 7: 2.0}, step=7)
    depth = 128 + 2.0
    assert find_bins_by_index(book) == {700: (round(2.0 / depth, 4), None)}


def test_a_wall_beyond_the_corridor_is_none() -> None:
    """90 bp of 100000 are 900 bins: bin 899 counts, bin 900 does not."""
    assert 899 in find_bins_by_index(a_book({899: 50}))
    assert 900 not in find_bins_by_index(a_book({900: 50}))


def test_corridor_ends_where_the_book_was_cut_off() -> None:
    """A side seen 30 bins far has a corridor of 30 bins."""
    side = build_book_side(a_book(bins=30), "ask", ONE_E8, RULES)
    assert side is not None
    assert (side.corridor, side.corridor_depth_e8) == (30, 30 * ONE_E8)
    assert side.reach_bp == pytest.approx(29.5 / MID * 1e4, abs=0.01)


def test_smallest_order_that_counts_is_configurable() -> None:
    """A wall holds at least `min_wall_e8`, whatever its share."""
    book = a_book({100: 30})
    assert 100 in find_bins_by_index(book, replace(RULES, min_wall_e8=e8(30)))
    assert find_bins_by_index(book, replace(RULES, min_wall_e8=e8("30.1"))) == {}


def test_bins_count_outwards_on_both_sides() -> None:
    """Bin 0 holds the best price; prices of a bin are floored, so a bid bin lies at and above its lower edge."""
    book = a_snapshot([("10.9", 1), ("10.1", 2), ("8.5", 4)], [("11.2", 1), ("12", 2), ("12.9", 4)])
    bids, asks = build_book_side(book, "bid", ONE_E8, RULES), build_book_side(book, "ask", ONE_E8, RULES)
    assert bids is not None
    assert asks is not None
    assert (bids.quantity_e8 / ONE_E8).tolist() == [3, 0, 4]
    assert [bids.price_e8(i) for i in range(3)] == [e8(10), e8(9), e8(8)]
    assert (asks.quantity_e8 / ONE_E8).tolist() == [1, 6]
    assert [asks.price_e8(i) for i in range(2)] == [e8(11), e8(12)]


def walls_of(*books: Snapshot) -> list[tuple[int, int, int, bool]]:
    """Distance from the best, seen, age and censored of the asks' walls at the last of the books."""
    walls = WallFinder(RULES).find_walls(books, "ask", ONE_E8)
    return [((w.bin.price_e8 - e8(100_001)) // ONE_E8, w.appearances, w.age_min, w.censored) for w in walls]


def test_seen_in_three_of_the_last_five() -> None:
    """It must stand out now and in two of the four books before."""
    there, absent = {100: 40.0}, None
    history = {(True, False, True, False, True): 3, (False, False, False, True, True): 0, (True,) * 5: 5}
    for shown, seen in history.items():
        books = [a_book(there if s else absent, minute) for minute, s in enumerate(shown)]
        assert [w[1] for w in walls_of(*books)] == ([seen] if seen else [])
    gone_now = [a_book(there, m) for m in range(4)] + [a_book(absent, 4)]
    assert walls_of(*gone_now) == []


def test_one_or_two_books_cannot_show_a_wall() -> None:
    """Three sightings need three books."""
    books = [a_book({100: 40}, minute) for minute in range(3)]
    assert walls_of() == walls_of(*books[:1]) == walls_of(*books[:2]) == []
    assert walls_of(*books) == [(100, 3, 2, True)]


def test_age_counts_from_the_last_break() -> None:
    """A wall absent in minute 2 of 0 … 6 stands since minute 3, and says so; one there in all is at least that old."""
    books = [a_book({50: 40} | ({100: 30} if minute != 2 else {}), minute) for minute in range(7)]
    assert walls_of(*books) == [(50, 5, 6, True), (100, 4, 3, False)]


def test_a_missing_snapshot_makes_older_not_younger() -> None:
    """Age is a span of time: with the book of minute 2 lost, three books show a wall for at least 3 minutes."""
    books = [a_book({100: 40}, minute) for minute in (0, 1, 3)]
    assert walls_of(*books) == [(100, 3, 3, True)]


def test_heaviest_first_and_major_from_two_percent() -> None:
    """Walls come by share; 19 of 917 + 1 % is major, 15 is not."""
    books = [a_book({100: 15, 300: 40}, minute) for minute in range(3)]
    found_walls = WallFinder(RULES).find_walls(books, "ask", ONE_E8)
    assert [(w.bin.price_e8, w.major) for w in found_walls] == [(e8(100_301), True), (e8(100_101), False)]
    assert found_walls[0].bin.share == round(40 / (898 + 55), 4)


def test_the_price_that_makes_a_wall() -> None:
    """Inside a bin the price that holds most is named, with its part of the bin."""
    asks = [(100_001 + i, 1) for i in range(100)] + [("100101.2", 5), ("100101.7", 15)]
    asks += [(100_102 + i, 1) for i in range(800)]
    books = [a_snapshot([(100_000, 1)], asks, minute, seq=minute + 1) for minute in range(3)]
    wall = WallFinder(RULES).find_walls(books, "ask", ONE_E8)[0]
    assert (wall.bin.price_e8, wall.heavy_price_e8, wall.heavy_share) == (e8(100_101), e8("100101.7"), 0.75)


def test_what_is_remembered_changes_nothing() -> None:
    """A finder that saw a hundred windows finds what a fresh one finds, on both sides and with another bin."""
    chance = np.random.default_rng(5)
    books = [a_book({int(k): 40 for k in chance.choice(40, 30, False) * 20}, m, bins=900) for m in range(100)]
    reused = WallFinder(RULES)
    for end in range(1, 101):
        window = books[max(0, end - 10) : end]
        width = ONE_E8 if end % 7 else 2 * ONE_E8
        for side in ("bid", "ask"):
            assert reused.find_walls(window, side, width) == WallFinder(RULES).find_walls(window, side, width)


@pytest.mark.parametrize(("bids", "asks"), [([], []), ([(10, 1)], []), ([], [(11, 1)])])
def test_an_empty_side_gives_nothing(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
    """Without a mid there is no distance, so no walls."""
    book = a_snapshot(bids, asks)
    assert build_book_side(book, "bid", ONE_E8, RULES) is None
    assert WallFinder(RULES).find_walls([book] * 5, "bid", ONE_E8) == []
