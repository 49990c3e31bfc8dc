"""The audit by hand: orphans, missing and wrong sizes, each with its distance and age; and what is not compared."""

from typing import Any

import numpy as np
import pytest

from projections.book.book_audit import AGES, OCTAVES, BookPair, Difference, audit_books
from projections.book.book_levels import ABSENT, Sides
from projections.book.diff_buffer import LevelChanges

E8 = 10**8
S = 10**9
Levels = dict[float, float]
BIDS: Levels = {9_999: 1, 9_998: 2, 9_990: 3, 9_000: 4}
ASKS: Levels = {10_001: 1, 10_002: 2, 10_010: 3, 11_000: 4}


def a_book(bids: Levels, asks: Levels) -> Sides:
    """Levels by price, best first."""
    columns = []
    for levels, best_first in ((bids, -1), (asks, 1)):
        prices = sorted(levels, key=lambda p: best_first * p)
        columns.append(np.array([round(p * E8) for p in prices], np.int64))
        columns.append(np.array([round(levels[p] * E8) for p in prices], np.int64))
    return Sides(*columns)


def make_pair(
    book: tuple[Levels, Levels],
    venue: tuple[Levels, Levels] = (BIDS, ASKS),
    edges: tuple[int, int] = (ABSENT, ABSENT),
    changes: tuple[tuple[int, float, int, int], ...] = (),
) -> BookPair:
    """Two books at update 20, on a snapshot of update 10, at second 100; touches are side, price, update id, second."""

    def touches(side: int) -> LevelChanges:
        rows = [(round(p * E8), i, t * S) for s, p, i, t in changes if s == side]
        return LevelChanges(*np.array(rows, np.int64).reshape(-1, 3).T)

    return BookPair(a_book(*book), a_book(*venue), edges, 10, 20, 99 * S, 100 * S, touches)


def test_equal_books_are_healthy() -> None:
    """Everything was compared, nothing differs."""
    result = audit_books(make_pair((BIDS, ASKS)))
    assert (result.compared, result.excluded, result.differing, result.healthy) == (8, 0, 0, True)
    assert (result.recv_ns, result.snapshot_update_id, result.update_id) == (99 * S, 10, 20)
    assert result.examples == ()
    assert (result.by_distance, result.by_age) == ((0,) * OCTAVES, (0,) * AGES)


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        ({9_998: 0}, {}, Difference("bid", 9_998 * E8, 0, 2 * E8, 200, None)),
        ({9_997: 5}, {}, Difference("bid", 9_997 * E8, 5 * E8, 0, 300, None)),
        ({9_000: 4.5}, {}, Difference("bid", 9_000 * E8, 450_000_000, 4 * E8, 100_000, None)),
        ({}, {10_001: 0}, Difference("ask", 10_001 * E8, 0, E8, 100, None)),
        ({}, {10_000.5: 1}, Difference("ask", 1_000_050_000_000, E8, 0, 50, None)),
        ({}, {11_000: 1}, Difference("ask", 11_000 * E8, E8, 4 * E8, 100_000, None)),
    ],
)
def test_each_kind_is_reported_with_its_distance(bids: Any, asks: Any, expected: Difference) -> None:
    """Around a mid of 10,000: a dollar is one basis point."""
    book = [{p: q for p, q in (full | change).items() if q} for full, change in ((BIDS, bids), (ASKS, asks))]
    result = audit_books(make_pair((book[0], book[1])))
    assert result.examples == (expected,)
    whats = ["missing", "ghost", "wrong_size"]
    row = tuple(int(what == expected.kind) for what in whats)
    assert result.counts == ((row, (0, 0, 0)) if expected.side == "bid" else ((0, 0, 0), row))
    assert result.count(expected.kind) == result.differing == 1
    assert not result.healthy


@pytest.mark.parametrize(
    ("price", "octave"),
    [(10_000.5, 0), (10_001.5, 1), (10_003.99, 2), (10_004, 3), (10_007, 3), (14_095, 12), (14_096, 13), (10**6, 13)],
)
def test_distances_are_counted_by_octaves(price: float, octave: int) -> None:
    """Below 1, 2, 4, … basis points; a bound belongs to the octave above it."""
    result = audit_books(make_pair((BIDS, ASKS | {price: 1})))
    assert [i for i, n in enumerate(result.by_distance) if n] == [octave]


@pytest.mark.parametrize(("second", "octave"), [(100, 0), (99, 1), (98, 2), (90, 4), (36, 7), (20, 7)])
def test_ages_are_counted_by_octaves(second: int, octave: int) -> None:
    """Since the last diff that named the level, wherever among those kept; 64 s and older together."""
    changes = ((0, 9_998, 2, 10), (0, 9_998, 3, second), (0, 9_000, 4, 100), (1, 9_998, 5, 100))
    result = audit_books(make_pair((BIDS | {9_998: 7}, ASKS), changes=changes))
    assert [i for i, n in enumerate(result.by_age) if n] == [octave]
    assert result.examples[0].age_ns == (100 - second) * S


def test_a_level_that_nobody_named_is_old() -> None:
    """And says that its age is not known."""
    result = audit_books(make_pair((BIDS | {9_998: 7}, ASKS), changes=((0, 9_997, 2, 99),)))
    assert result.by_age == (0,) * (AGES - 1) + (1,)
    assert str(result.examples[0]) == "bid 9998 wrong_size: 7 rebuilt, 2 shown, 2.00 bp away, age unknown"


def test_levels_named_since_the_snapshot_are_left_out() -> None:
    """Update 11 and later are in both; update 10 is not. What is in neither book is not counted."""
    changes = ((0, 9_998, 11, 99), (0, 9_998, 12, 99), (1, 10_001, 10, 99), (1, 10_500, 11, 99))
    result = audit_books(make_pair((BIDS, ASKS), changes=changes))
    assert (result.compared, result.excluded) == (7, 1)


def test_what_either_does_not_know_is_not_compared() -> None:
    """The edge itself is known."""
    book = {9_999: 1, 9_998: 2, 9_990: 9}, {10_001: 1, 10_002: 2, 10_010: 3, 12_000: 1}
    within = audit_books(make_pair(book, edges=(9_991 * E8, -10_010 * E8)))
    assert (within.compared, within.differing) == (5, 0)
    at_edge = audit_books(make_pair(book, edges=(9_990 * E8, -12_000 * E8)))
    assert at_edge.counts == ((0, 0, 1), (1, 1, 0))


def test_the_ten_worst_are_shown_and_all_are_counted() -> None:
    """By how much the quantities differ."""
    ghosts = {9_000 - i: 1 + i for i in range(1, 30)}
    result = audit_books(make_pair((BIDS | ghosts, ASKS)))
    assert result.counts[0] == (0, 29, 0)
    assert [e.book_e8 // E8 for e in result.examples] == list(range(30, 20, -1))


def test_empty_books() -> None:
    """One side gives a distance from its best; two empty books agree."""
    one_sided = audit_books(make_pair(({9_999: 1}, {}), ({9_999: 1, 9_000: 2}, {})))
    assert [(e.kind, e.distance_bp_e2) for e in one_sided.examples] == [("missing", 99_909)]
    nothing = audit_books(make_pair(({}, {}), ({}, {})))
    assert (nothing.compared, nothing.healthy) == (0, True)
    all_ghosts = audit_books(make_pair((BIDS, ASKS), ({}, {})))
    assert all_ghosts.counts == ((0, 4, 0), (0, 4, 0))


def test_tolerated() -> None:
    """As many differing levels as one lets pass."""
    books = make_pair((BIDS | {9_998: 7, 9_990: 7}, ASKS))
    assert [audit_books(books, tolerated).healthy for tolerated in (0, 1, 2)] == [False, False, True]


def test_the_widest_numbers_do_not_wrap() -> None:
    """The largest price there is, beside the smallest."""
    huge = Sides(*(np.array([n], np.int64) for n in (1, 2**62, 2**62, 2**62)))
    other = Sides(*(np.array([n], np.int64) for n in (1, 1, 2**62, 1)))
    result = audit_books(
        BookPair(huge, other, (ABSENT, ABSENT), 1, 1, 0, 0, lambda _: LevelChanges(*[np.empty(0, np.int64)] * 3))
    )
    assert sum(result.by_distance) == result.differing == 2
    assert [i for i, n in enumerate(result.by_distance) if n] == [13]
