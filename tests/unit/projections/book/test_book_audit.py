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


def compared(
    held: tuple[Levels, Levels],
    shown: tuple[Levels, Levels] = (BIDS, ASKS),
    edges: tuple[int, int] = (ABSENT, ABSENT),
    touched: tuple[tuple[int, float, int, int], ...] = (),
) -> BookPair:
    """Two books at update 20, on a snapshot of update 10, at second 100; touches are side, price, update id, second."""

    def touches(side: int) -> LevelChanges:
        rows = [(round(p * E8), i, t * S) for s, p, i, t in touched if s == side]
        return LevelChanges(*np.array(rows, np.int64).reshape(-1, 3).T)

    return BookPair(a_book(*held), a_book(*shown), edges, 10, 20, 99 * S, 100 * S, touches)


def test_equal_books_are_healthy() -> None:
    """Everything was compared, nothing differs."""
    found = audit_books(compared((BIDS, ASKS)))
    assert (found.compared, found.excluded, found.differing, found.healthy) == (8, 0, 0, True)
    assert (found.recv_ns, found.snapshot_update_id, found.update_id) == (99 * S, 10, 20)
    assert found.examples == ()
    assert (found.by_distance, found.by_age) == ((0,) * OCTAVES, (0,) * AGES)


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
    held = [{p: q for p, q in (whole | changed).items() if q} for whole, changed in ((BIDS, bids), (ASKS, asks))]
    found = audit_books(compared((held[0], held[1])))
    assert found.examples == (expected,)
    whats = ["missing", "ghost", "wrong_size"]
    row = tuple(int(what == expected.kind) for what in whats)
    assert found.counts == ((row, (0, 0, 0)) if expected.side == "bid" else ((0, 0, 0), row))
    assert found.count(expected.kind) == found.differing == 1
    assert not found.healthy


@pytest.mark.parametrize(
    ("price", "octave"),
    [(10_000.5, 0), (10_001.5, 1), (10_003.99, 2), (10_004, 3), (10_007, 3), (14_095, 12), (14_096, 13), (10**6, 13)],
)
def test_distances_are_counted_by_octaves(price: float, octave: int) -> None:
    """Below 1, 2, 4, … basis points; a bound belongs to the octave above it."""
    found = audit_books(compared((BIDS, ASKS | {price: 1})))
    assert [i for i, n in enumerate(found.by_distance) if n] == [octave]


@pytest.mark.parametrize(("second", "octave"), [(100, 0), (99, 1), (98, 2), (90, 4), (36, 7), (20, 7)])
def test_ages_are_counted_by_octaves(second: int, octave: int) -> None:
    """Since the last diff that named the level, wherever among those kept; 64 s and older together."""
    touched = ((0, 9_998, 2, 10), (0, 9_998, 3, second), (0, 9_000, 4, 100), (1, 9_998, 5, 100))
    found = audit_books(compared((BIDS | {9_998: 7}, ASKS), touched=touched))
    assert [i for i, n in enumerate(found.by_age) if n] == [octave]
    assert found.examples[0].age_ns == (100 - second) * S


def test_a_level_that_nobody_named_is_old() -> None:
    """And says that its age is not known."""
    found = audit_books(compared((BIDS | {9_998: 7}, ASKS), touched=((0, 9_997, 2, 99),)))
    assert found.by_age == (0,) * (AGES - 1) + (1,)
    assert str(found.examples[0]) == "bid 9998 wrong_size: 7 rebuilt, 2 shown, 2.00 bp away, age unknown"


def test_levels_named_since_the_snapshot_are_left_out() -> None:
    """Update 11 and later are in both; update 10 is not. What is in neither book is not counted."""
    touched = ((0, 9_998, 11, 99), (0, 9_998, 12, 99), (1, 10_001, 10, 99), (1, 10_500, 11, 99))
    found = audit_books(compared((BIDS, ASKS), touched=touched))
    assert (found.compared, found.excluded) == (7, 1)


def test_what_either_does_not_know_is_not_compared() -> None:
    """The edge itself is known."""
    held = {9_999: 1, 9_998: 2, 9_990: 9}, {10_001: 1, 10_002: 2, 10_010: 3, 12_000: 1}
    within = audit_books(compared(held, edges=(9_991 * E8, -10_010 * E8)))
    assert (within.compared, within.differing) == (5, 0)
    at_edge = audit_books(compared(held, edges=(9_990 * E8, -12_000 * E8)))
    assert at_edge.counts == ((0, 0, 1), (1, 1, 0))


def test_the_ten_worst_are_shown_and_all_are_counted() -> None:
    """By how much the quantities differ."""
    ghosts = {9_000 - i: 1 + i for i in range(1, 30)}
    found = audit_books(compared((BIDS | ghosts, ASKS)))
    assert found.counts[0] == (0, 29, 0)
    assert [e.book_e8 // E8 for e in found.examples] == list(range(30, 20, -1))


def test_empty_books() -> None:
    """One side gives a distance from its best; two empty books agree."""
    one_sided = audit_books(compared(({9_999: 1}, {}), ({9_999: 1, 9_000: 2}, {})))
    assert [(e.kind, e.distance_bp_e2) for e in one_sided.examples] == [("missing", 99_909)]
    nothing = audit_books(compared(({}, {}), ({}, {})))
    assert (nothing.compared, nothing.healthy) == (0, True)
    all_ghosts = audit_books(compared((BIDS, ASKS), ({}, {})))
    assert all_ghosts.counts == ((0, 4, 0), (0, 4, 0))


def test_tolerated() -> None:
    """As many differing levels as one lets pass."""
    books = compared((BIDS | {9_998: 7, 9_990: 7}, ASKS))
    assert [audit_books(books, tolerated).healthy for tolerated in (0, 1, 2)] == [False, False, True]


def test_the_widest_numbers_do_not_wrap() -> None:
    """The largest price there is, beside the smallest."""
    huge = Sides(*(np.array([n], np.int64) for n in (1, 2**62, 2**62, 2**62)))
    other = Sides(*(np.array([n], np.int64) for n in (1, 1, 2**62, 1)))
    found = audit_books(
        BookPair(huge, other, (ABSENT, ABSENT), 1, 1, 0, 0, lambda _: LevelChanges(*[np.empty(0, np.int64)] * 3))
    )
    assert sum(found.by_distance) == found.differing == 2
    assert [i for i, n in enumerate(found.by_distance) if n] == [13]
