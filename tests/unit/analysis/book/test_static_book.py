"""The static layer: walls with their lives, bands, voids, their shuffled controls, and what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.book.book_side import Side
from analysis.book.static_book import (
    CROSSED,
    EMPTY_SIDE,
    NO_BOOK,
    StaticBook,
    StaticLayer,
    StaticSide,
    build_book_evidence,
)
from analysis.evidence import Evidence
from analysis.fitted import PULL_FEATURES, Logistic
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from projections.book.snapshot_window import Snapshot
from projections.trades.trade_columns import Trades
from tests.market_builders import a_snapshot, e8


def no_trades(_: int, __: int) -> Trades:
    """Nothing traded, whenever."""
    return Trades.empty()


RULES = Parameters()
NOTHING: dict[Side, float] = {"bid": 0.0, "ask": 0.0}


def a_book(minute: int, bids: Mapping[int, float] | None = None, asks: Mapping[int, float] | None = None,
           bins: int = 1000) -> Snapshot:  # fmt: skip
    """A thousand bins of one a side around 100000, other quantities at some distances."""
    below, above = dict(bids or {}), dict(asks or {})
    return a_snapshot(
        [(99_999.5 - i, below.get(i, 1)) for i in range(bins)], [(100_000.5 + i, above.get(i, 1)) for i in range(bins)],
        minute, seq=minute + 1,
    )  # fmt: skip


def look(books: Sequence[Snapshot], consumption: Mapping[Side, float] = NOTHING, current: Snapshot | None = None,
         rules: Parameters = RULES) -> StaticBook:  # fmt: skip
    """What a layer of its own sees, no trades between the books."""
    return StaticLayer(rules).analyze(books, no_trades, e8("0.01"), consumption, current)


def side_of(static: StaticBook, side: Side) -> StaticSide:
    """One side of what was found."""
    assert static.sides is not None
    return static.sides[side]


def test_a_wall_with_its_figures() -> None:
    """Distance, persistence, prospects and minutes to consume, as arithmetic gives them."""
    books = [a_book(m, {100: 40}) for m in range(3)]
    static = look(books, {"bid": 8.0 * ONE_E8, "ask": 1.0})
    assert (static.reason, static.snapshots, static.mid_e8, static.width_e8) == (None, 3, 1e5 * ONE_E8, ONE_E8)
    (wall,) = side_of(static, "bid").walls
    assert side_of(static, "ask").walls == []
    assert (wall.id, wall.side, wall.wall.bin.price_e8) == ("Wb0", "bid", e8(99_899))
    assert wall.distance_bp == round(-100.5 / 10, 2)
    assert (wall.persistence, wall.pull_probability, wall.minutes_to_consume) == (1.0, 0.66, 5.0)
    assert wall.life.state == "held"
    share = round(40 / 939, 4)
    assert wall.wall.bin.share == share
    assert wall.strength == round(share / 0.06 * 1.0 * 0.34, 4)


def test_strength_is_the_share_as_far_as_it_persists() -> None:
    """From 6 % on the share is full; in 9 of the last 15 books it counts 0.6; the pull probability takes its part."""
    fit = replace(RULES, pull=Logistic("a test", PULL_FEATURES, (0.0,) * 10, 1))
    books = [a_book(m, {100: 100} if m >= 11 else None) for m in range(20)]
    (wall,) = side_of(look(books, rules=fit), "bid").walls
    assert (wall.persistence, wall.pull_probability, wall.strength) == (0.6, 0.5, 0.3)
    (few,) = side_of(look(books[10:14], rules=fit), "bid").walls
    assert few.persistence == 0.75


def test_the_pull_probability_follows_the_wall() -> None:
    """A fit on log age alone gives an older wall another probability than a younger one."""
    by_age = (0.0, 0.0, 0.0, -1.0, *[0.0] * 6)
    fit = replace(RULES, pull=Logistic("a test", PULL_FEATURES, by_age, 1))
    books = [a_book(m, {100: 40} | ({200: 40} if m >= 3 else {})) for m in range(7)]
    walls = {w.wall.age_min: w.pull_probability for w in side_of(look(books, rules=fit), "bid").walls}
    assert walls == {6: round(1 / 8, 4), 3: round(1 / 5, 4)}


def test_no_trades_no_time_to_eat() -> None:
    """Where nothing was traded against a side, its walls have no minutes to consume."""
    (wall,) = side_of(look([a_book(m, {100: 40}) for m in range(3)]), "bid").walls
    assert wall.minutes_to_consume is None


@pytest.mark.parametrize(
    ("books", "reason"),
    [
        ([], NO_BOOK),
        ([a_snapshot([], [])], EMPTY_SIDE),
        ([a_snapshot([(10, 1)], [])], EMPTY_SIDE),
        ([a_snapshot([(10, 1)], [(10, 1)])], CROSSED),
        ([a_book(0), a_snapshot([(10, 1)], [(9, 1)], 1, seq=2)], CROSSED),
    ],
)
def test_nothing_has_a_reason(books: list[Snapshot], reason: str) -> None:
    """No book, a side without levels, or sides that cross: the reason, no sides and no evidence."""
    static = look(books)
    assert (static.reason, static.sides) == (reason, None)
    assert build_book_evidence(static, books[-1] if books else None, RULES) == []


def test_near_depth_is_ten_basis_points() -> None:
    """A hundred bins of $1 lie within 10 bp of 100000."""
    static = side_of(look([a_book(0, {0: 3, 99: 2, 100: 50})]), "bid")
    assert static.near_depth_e8 == (100 + 2 + 1) * ONE_E8


def test_standing_out_now_is_not_yet_a_wall() -> None:
    """What stands out in the newest book alone is counted for comparison with shuffled books, and is no wall."""
    books = [a_book(0), a_book(1), a_book(2, {100: 40})]
    static = side_of(look(books), "bid")
    assert (static.walls, static.outliers) == ([], 1)


def test_shuffled_books_stand_beside_every_count() -> None:
    """Shuffled bins make no band; a lone wall stands out wherever it lies; the same book has the same chance."""
    dense = dict.fromkeys(range(300, 420), 8.0)
    books = [a_book(m, asks=dense) for m in range(3)]
    first, again = look(books), look(books)
    assert len(side_of(first, "ask").bands) == 1
    assert side_of(first, "ask").null.bands < 1
    assert side_of(first, "ask").null.voids is None
    assert side_of(first, "ask").null == side_of(again, "ask").null
    lone = side_of(look([a_book(m, {100: 40}) for m in range(3)]), "bid")
    assert lone.null.walls == 1.0


DENSE = dict.fromkeys(range(300, 420), 8.0)


@pytest.mark.parametrize(
    ("dense_in", "bands"),
    [
        ([5], 0),
        ([4, 5], 0),
        ([3, 4, 5], 1),
        ([1, 3, 5], 1),
        ([0, 4, 5], 0),  # six books: the first is none of the last five
        ([1, 2, 3, 4], 0),
    ],
)
def test_a_band_stands_in_three_of_the_last_five_books(dense_in: list[int], bands: int) -> None:
    """The newest book's bands count, where two more of the last five were dense; those of that book alone are apart."""
    static = side_of(look([a_book(m, asks=DENSE if m in dense_in else None) for m in range(6)]), "ask")
    assert (len(static.bands), static.current_bands) == (bands, int(5 in dense_in))


def test_a_band_is_as_dense_as_in_the_middle_one_of_the_last_books() -> None:
    """
    Four times the usual in two books and twelve times in the newest: it claims the four, whatever it is now. A book in
    which nothing stood counts as what it shows there, a one.
    """
    four, twelve = dict.fromkeys(range(300, 420), 4.0), dict.fromkeys(range(300, 420), 12.0)
    (alone,) = side_of(look([a_book(m, asks=four) for m in range(3)]), "ask").bands
    (band,) = side_of(look([a_book(m, asks=four if m < 2 else twelve) for m in range(3)]), "ask").bands
    (rising,) = side_of(look([a_book(m, asks=[None, four, four, twelve, twelve][m]) for m in range(5)]), "ask").bands
    assert 3.5 < alone.ratio < 4
    assert band.ratio == rising.ratio == alone.ratio


@pytest.mark.parametrize(("start", "bands"), [(240, 1), (180, 0)])
def test_a_band_may_grow_and_shift_by_half(start: int, bands: int) -> None:
    """Of two stretches of 120 bins those half as wide or more in common are one band, those 60 bins apart none."""
    shifted = dict.fromkeys(range(start, start + 120), 8.0)
    static = side_of(look([a_book(m, asks=DENSE if m == 2 else shifted) for m in range(3)]), "ask")
    assert (len(static.bands), static.current_bands) == (bands, 1)
    if bands:
        assert (static.bands[0].low_e8, static.bands[0].high_e8) == (e8(100_300), e8(100_420))


def test_a_band_of_the_other_side_does_not_count() -> None:
    """Bids and asks are asked apart: a band that changed sides has stood in one book."""
    static = look([a_book(m, DENSE if m < 2 else None, DENSE if m == 2 else None) for m in range(3)])
    assert [side_of(static, side).bands for side in ("bid", "ask")] == [[], []]


def test_vacuums_need_their_books() -> None:
    """With twelve books voids are not known, of the book or of the shuffled one; with thirteen they are."""
    thin = dict.fromkeys(range(240, 339), 0.1)
    expected_voids = {12: None, 13: 1}
    for count, expected in expected_voids.items():
        books = [a_book(m, asks=thin if m >= count - 3 else None) for m in range(count)]
        side_result = side_of(look(books), "ask")
        assert (None if side_result.voids is None else len(side_result.voids)) == expected
        assert (side_result.null.voids is None) == (expected is None)


def thin_side(thin: Mapping[int, float], bins: int = 1000) -> StaticSide:
    """The asks of thirteen books, the last three thin in some bins."""
    return side_of(look([a_book(m, asks=thin if m >= 10 else None, bins=bins) for m in range(13)]), "ask")


@pytest.mark.parametrize(("start", "stop", "cells"), [(240, 339, 1), (290, 390, 0), (250, 470, 1)])
def test_a_vacuum_across_an_edge_of_the_cells(start: int, stop: int, cells: int) -> None:
    """
    Edges lie at bins 240, 339 and 480: a stretch across one, which leaves both cells half full, is inside a cell of the
    second grid; found by both grids it is given once. Shuffled books are compared with the first grid alone.
    """
    static = thin_side(dict.fromkeys(range(start, stop), 0.05))
    assert [(v.low_e8, v.high_e8) for v in static.voids or ()] == [(e8(100_000 + start), e8(100_000 + stop))]
    assert static.thin_cells == cells


def test_vacuums_are_given_nearest_first() -> None:
    """Of three stretches the widest is the farthest, and the last."""
    ranges = [range(500, 700), range(30, 45), range(120, 170)]
    static = thin_side({i: 0.05 for stretch in ranges for i in stretch}).voids or ()
    assert [(v.low_e8, v.high_e8) for v in static] == [
        (e8(100_000 + stretch.start), e8(100_000 + stretch.stop)) for stretch in sorted(ranges, key=lambda h: h.start)
    ]


def test_a_cell_without_its_wall_is_thin_now_and_no_vacuum() -> None:
    """What one large order took with it makes a cell thin, of the book as of the shuffled ones; prices refute it."""
    books = [a_book(m, asks={300: 1000} if m < 10 else None) for m in range(13)]
    static = side_of(look(books), "ask")
    assert (static.voids, static.thin_cells, static.null.voids) == ([], 1, 1.0)


def test_the_book_now() -> None:
    """A book rebuilt from updates is binned beside the last snapshot; a crossed one is left out."""
    books = [a_book(m, {100: 40}) for m in range(3)]
    now = look(books, current=a_book(3, {100: 25})).current
    assert now is not None
    assert now.sides["bid"].quantity_at(now.sides["bid"].index(e8(99_899))) == 25 * ONE_E8
    assert [b.price_e8 for b in now.outliers["bid"]] == [e8(99_899)]
    assert now.bands == {"bid": [], "ask": []}
    assert look(books, current=a_snapshot([(10, 1)], [(9, 1)])).current is None
    assert look(books).current is None


def test_evidence_of_a_wall_a_band_and_a_vacuum() -> None:
    """Walls reach 5 bp around their bin; a band is its interval; a void counts at the bin beyond its far edge."""
    dense = dict.fromkeys(range(430, 570), 6.0)
    thin = dict.fromkeys(range(240, 339), 0.25)
    books = [a_book(m, {100: 40} | dense, thin if m >= 10 else None) for m in range(13)]
    static = look(books)
    pieces = {e.id: e for e in build_book_evidence(static, books[-1], RULES)}
    assert set(pieces) == {"Wb0", "Bb0", "Va0"}
    (wall,), (band,) = side_of(static, "bid").walls, side_of(static, "bid").bands
    assert pieces["Wb0"] == Evidence(
        "Wb0", "wall", "static", e8(99_899 - 50), e8(99_900 + 50), e8("99899.5"), wall.strength
    )
    assert pieces["Bb0"] == Evidence(
        "Bb0", "band", "static", band.low_e8, band.high_e8 - 1, band.heavy_bin_e8, round(min(1.0, band.ratio / 4), 4)
    )
    assert pieces["Va0"] == Evidence(
        "Va0", "vacuum_edge", "static", e8(100_339 - 50), e8(100_340 + 50), e8(100_339), 0.75
    )


def test_a_vacuum_of_bids_counts_below_it() -> None:
    """The bin beyond a thin stretch of bids lies below its lower edge; where that is unknown it counts nowhere."""
    thin: dict[int, float] = dict.fromkeys(range(240, 339), 0.25)
    books = [a_book(m, thin if m >= 10 else None, bins=700) for m in range(13)]
    (piece,) = build_book_evidence(look(books), books[-1], RULES)
    assert (piece.id, piece.price_e8) == ("Vb0", e8(99_660))
    open_ended: dict[int, float] = dict.fromkeys(range(480, 700), 0.25)
    books = [a_book(m, open_ended if m >= 10 else None, bins=700) for m in range(13)]
    side_result = look(books)
    assert [v.censored for v in side_of(side_result, "bid").voids or []] == [True]
    assert build_book_evidence(side_result, books[-1], RULES) == []


def test_what_is_remembered_changes_nothing() -> None:
    """A layer that saw all windows of thirty minutes of walls, bands and thin stretches sees what a fresh one sees."""
    chance = np.random.default_rng(8)
    kinds: list[dict[int, float]] = [{}, DENSE, dict.fromkeys(range(120, 170), 0.05)]
    books = [
        a_book(m, {int(k): 40 for k in chance.choice(8, 5, False) * 30}, kinds[m // 4 % 3 if m > 12 else 0], bins=600)
        for m in range(30)
    ]
    layer = StaticLayer(RULES)
    results = []
    for end in range(1, 31):
        window = books[max(0, end - 14) : end]
        side_result, fresh = layer.analyze(window, no_trades, e8("0.01"), NOTHING), look(window)
        assert (figures(side_result), side_result.ended_walls) == (figures(fresh), fresh.ended_walls)
        results.append(side_of(side_result, "ask"))
    assert any(s.bands for s in results)
    assert any(s.voids for s in results)


def figures(static: StaticBook) -> list[Any]:
    """What both sides show."""
    sides = [side_of(static, side) for side in ("bid", "ask")]
    return [
        (s.walls, s.outliers, s.bands, s.current_bands, s.voids, s.thin_cells, s.null, s.near_depth_e8) for s in sides
    ]
