"""
The truth audit: a book rebuilt from updates against the venue's own at the same update id.

Both have applied the same diffs since the snapshot's id, so a level that one of these diffs names is equal in both and
says nothing: such levels are counted apart. Levels beyond the known edge of either book are not compared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from market.arrays import I64
from market.fixed_point import format_e8
from market.timestamps import SECOND_NS
from projections.book.book_levels import ABSENT, SIDES, Sides
from projections.book.diff_buffer import LevelChanges

DifferenceKind = Literal["missing", "ghost", "wrong_size"]
DIFFERENCE_KINDS: tuple[DifferenceKind, ...] = ("missing", "ghost", "wrong_size")
"""A level only the venue has, one only the rebuilt book has, and one whose quantities differ."""

OCTAVES = 14
"""Distances from the mid are counted below 1 bp, below 2, 4, … 4,096 bp, and from there on."""

AGES = 8
"""Ages are counted below 1 s, below 2, 4, … 64 s, and older, or unknown."""

_EXAMPLES = 10  # bounds the size of an audit fact


@dataclass(frozen=True, slots=True)
class Difference:
    """
    A level on which two books differ.

    Attributes:
        book_e8, venue_e8: its quantity in the rebuilt book and in the venue's, 0 where it is absent.
        distance_bp_e2: from the middle of the venue's book, 1e-2 bp.
        age_ns: since a diff last named it; None where none has in two minutes.
    """

    side: Literal["bid", "ask"]
    price_e8: int
    book_e8: int
    venue_e8: int
    distance_bp_e2: int
    age_ns: int | None

    @property
    def kind(self) -> DifferenceKind:
        """Missing, ghost or wrong size."""
        return "missing" if self.book_e8 == 0 else "ghost" if self.venue_e8 == 0 else "wrong_size"

    def __str__(self) -> str:
        age = "age unknown" if self.age_ns is None else f"{self.age_ns / SECOND_NS:.1f} s old"
        return (
            f"{self.side} {format_e8(self.price_e8)} {self.kind}: {format_e8(self.book_e8)} rebuilt, "
            f"{format_e8(self.venue_e8)} shown, {self.distance_bp_e2 / 100:.2f} bp away, {age}"
        )


@dataclass(frozen=True, slots=True)
class Audit:
    """
    The comparison of a rebuilt book with the venue's.

    Attributes:
        recv_ns: when the snapshot was received. snapshot_update_id: its id; update_id: at which both were compared.
        compared: number of levels that either book has, within the range that both know. excluded: of those, left out
            because a diff that both have applied names them.
        counts: bids and asks, each missing, ghost, wrong size. by_distance: OCTAVES counts, by_age: AGES counts of
            differing levels.
        examples: the levels that differ by the most, at most ten.
        healthy: whether no more levels differ than are allowed.
    """

    recv_ns: int
    snapshot_update_id: int
    update_id: int
    compared: int
    excluded: int
    counts: tuple[tuple[int, int, int], tuple[int, int, int]]
    by_distance: tuple[int, ...]
    by_age: tuple[int, ...]
    examples: tuple[Difference, ...]
    healthy: bool

    def count(self, kind: DifferenceKind) -> int:
        """The number of levels of both sides that differ in this way."""
        return sum(side[DIFFERENCE_KINDS.index(kind)] for side in self.counts)

    @property
    def differing(self) -> int:
        """The number of levels that differ."""
        return sum(map(sum, self.counts))

    def to_numbers(self) -> list[int]:
        """All its numbers, for a digest."""
        head = [self.recv_ns, self.snapshot_update_id, self.update_id, self.compared, self.excluded, self.healthy]
        return [*head, *self.counts[0], *self.counts[1], *self.by_distance, *self.by_age]


@dataclass(frozen=True, slots=True)
class BookPair:
    """
    Two books at one update id.

    Attributes:
        book, venue: the rebuilt book and the venue's. edges: the farthest key of bids and of asks that both know.
        snapshot_update_id, update_id: see `Audit`. at_ns: when the last diff of both was received.
        level_changes: the changes of a side in the last two minutes.
    """

    book: Sides
    venue: Sides
    edges: tuple[int, int]
    snapshot_update_id: int
    update_id: int
    recv_ns: int
    at_ns: int
    level_changes: Callable[[int], LevelChanges]


@dataclass(frozen=True, slots=True)
class _SideAudit:
    price_e8: I64
    book_e8: I64
    venue_e8: I64
    compared: int
    excluded: int
    age_ns: I64  # -1 where unknown


def audit_books(books: BookPair, max_differing: int = 0) -> Audit:
    """
    Compare two books level by level.

    Args:
        books: both at the same update id.
        max_differing: largest number of differing levels of a healthy book.
    """
    twice_mid = _double_mid(books.venue) or _double_mid(books.book)
    bounds = np.array([-(-twice_mid * 2**octave // 10**4) for octave in range(OCTAVES - 1)], np.int64)
    steps = np.array([SECOND_NS * 2**k for k in range(AGES - 1)], np.int64)
    counts, examples = [], list[Difference]()
    by_distance, by_age = np.zeros(OCTAVES, np.int64), np.zeros(AGES, np.int64)
    sides = [_compare_side(books, side) for side in (0, 1)]
    for name, side in zip(SIDES, sides, strict=True):
        missing, ghost = side.book_e8 == 0, side.venue_e8 == 0
        counts.append((int(missing.sum()), int(ghost.sum()), int((~missing & ~ghost).sum())))
        distance = np.abs(2 * (side.price_e8 - twice_mid // 2) - twice_mid % 2)
        by_distance += np.bincount(np.searchsorted(bounds, distance, side="right"), minlength=OCTAVES)
        octave = np.where(side.age_ns < 0, AGES - 1, np.searchsorted(steps, side.age_ns, side="right"))
        by_age += np.bincount(octave, minlength=AGES)
        examples += _examples(name, side, twice_mid)
    worst = sorted(examples, key=lambda e: (-abs(e.book_e8 - e.venue_e8), e.side, e.price_e8))[:_EXAMPLES]
    differing = sum(map(sum, counts))
    return Audit(
        books.recv_ns,
        books.snapshot_update_id,
        books.update_id,
        sum(s.compared for s in sides),
        sum(s.excluded for s in sides),
        (counts[0], counts[1]),
        tuple(by_distance.tolist()),
        tuple(by_age.tolist()),
        tuple(worst),
        differing <= max_differing,
    )


def _compare_side(books: BookPair, side: int) -> _SideAudit:
    edge, sign = books.edges[side], 1 - 2 * side
    parts = [_within_edge(*sides.side_levels(side), sign, edge) for sides in (books.book, books.venue)]
    union = np.union1d(parts[0][0], parts[1][0])
    book_quantities, venue_quantities = np.zeros(len(union), np.int64), np.zeros(len(union), np.int64)
    for quantities, (price, quantity) in zip((book_quantities, venue_quantities), parts, strict=True):
        quantities[np.searchsorted(union, price)] = quantity
    touches = books.level_changes(side)
    shared_prices = touches.price_e8[touches.last_update_id > books.snapshot_update_id]
    is_excluded = np.isin(union, shared_prices)
    differs = (book_quantities != venue_quantities) & ~is_excluded
    age = _find_ages(union[differs], touches, books.at_ns)
    excluded_count = int(is_excluded.sum())
    return _SideAudit(
        union[differs],
        book_quantities[differs],
        venue_quantities[differs],
        len(union) - excluded_count,
        excluded_count,
        age,
    )


def _within_edge(price_e8: I64, quantity_e8: I64, sign: int, edge: int) -> tuple[I64, I64]:
    if edge == ABSENT:
        return price_e8, quantity_e8
    inside = sign * price_e8 >= edge
    return price_e8[inside], quantity_e8[inside]


def _find_ages(price_e8: I64, touches: LevelChanges, at_ns: int) -> I64:
    ages = np.full(len(price_e8), -1, np.int64)
    if len(price_e8) and len(touches.price_e8):
        order = np.argsort(touches.price_e8, kind="stable")
        last = np.searchsorted(touches.price_e8[order], price_e8, side="right") - 1
        has_touch = (last >= 0) & (touches.price_e8[order[last]] == price_e8)
        ages[has_touch] = np.maximum(0, at_ns - touches.recv_ns[order[last[has_touch]]])
    return ages


def _examples(name: str, side: _SideAudit, twice_mid: int) -> list[Difference]:
    """The largest differences of one side."""
    largest = np.argsort(-np.abs(side.book_e8 - side.venue_e8), kind="stable")[:_EXAMPLES].tolist()
    rows = zip(*(column[largest].tolist() for column in (side.price_e8, side.book_e8, side.venue_e8, side.age_ns)),
               strict=True)  # fmt: skip
    return [
        Difference(
            "bid" if name == "bid" else "ask", price, book_e8, venue_e8,
            abs(2 * price - twice_mid) * 10**6 // twice_mid, None if age < 0 else age,
        )
        for price, book_e8, venue_e8, age in rows
    ]  # fmt: skip


def _double_mid(sides: Sides) -> int:
    """Best bid plus best ask, or twice the only one; 0 without any."""
    best = [int(price[0]) for price in (sides.bid_price_e8, sides.ask_price_e8) if len(price)]
    return 2 * best[0] if len(best) == 1 else sum(best)
