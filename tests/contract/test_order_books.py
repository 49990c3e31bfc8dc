"""One suite for every order book: that of the replay in arrays, and that of the recorder in dictionaries."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pytest
from hypothesis import given, settings

from eventlog.facts.entry import Fact
from eventlog.facts.market import DIFF
from market.timestamps import SECOND_NS
from projections import digest
from projections.book.book_audit import Audit
from projections.book.book_levels import Sides
from projections.book.diff_buffer import BUFFER_NS, UpdateGap
from projections.book.order_book import OrderBook
from projections.book.reference_book import BookDelta, BookSnapshot, ReferenceBook
from tests.book_streams import streams
from tests.builders import T0, a_batch, a_diff, a_snapshot, as_tables

pytestmark = pytest.mark.slow

E8 = 10**8
LAW = settings(deadline=None, max_examples=200)


class Book(Protocol):
    """What both can say."""

    audit: Audit | None
    gap: UpdateGap | None

    def take(self, facts: Sequence[Fact]) -> None:
        """Facts in the order of the log."""

    def levels(self) -> Sides:
        """Every level held."""

    @property
    def last_update_id(self) -> int | None:
        """The last update in it."""


class InArrays(OrderBook):
    """The replay's."""

    def __init__(self) -> None:
        super().__init__(anchor_minutes=10**6)
        self._seq = 1

    def take(self, facts: Sequence[Fact]) -> None:
        """As a batch."""
        self.apply(a_batch(facts, self._seq))
        self._seq += len(facts)


class InDictionaries(ReferenceBook):
    """The recorder's, which hands over what it finds."""

    def __init__(self) -> None:
        super().__init__()
        self.audit: Audit | None = None
        self.gap: UpdateGap | None = None

    def take(self, facts: Sequence[Fact]) -> None:
        """One by one."""
        for fact in facts:
            row = as_tables([fact])[fact.kind].to_pylist()[0]
            found = self.apply_diff(a_change(row)) if fact.kind == DIFF else self.apply_snapshot(a_shown(row))
            self.gap, self.audit = found[0] or self.gap, found[1] or self.audit


def a_change(row: dict[str, Any]) -> BookDelta:
    """A diff's row as the book in dictionaries reads it."""
    ids = (row[name] for name in ("recv_ns", "first_update_id", "last_update_id"))
    return BookDelta(*ids, *((row[f"bid_{what}_e8"], row[f"ask_{what}_e8"]) for what in ("price", "quantity")))


def a_shown(row: dict[str, Any]) -> BookSnapshot:
    """A snapshot's row as the book in dictionaries reads it."""
    names = (f"{side}_{what}_e8" for side in ("bid", "ask") for what in ("price", "quantity"))
    sides = Sides(*(np.array(row[name], np.int64) for name in names))
    return BookSnapshot(row["recv_ns"], row["last_update_id"], row["limit"], sides)


def identity(book: Book) -> str:
    """The digest of the levels and of the update id they stand at."""
    return digest.of_columns(np.array([book.last_update_id or 0], np.int64), *book.levels()).hex()


@pytest.fixture(params=[InArrays, InDictionaries])
def book(request: pytest.FixtureRequest) -> Book:
    """Each of them, empty."""
    return request.param()  # type: ignore[no-any-return]


def bids(book: Book) -> list[tuple[float, float]]:
    """Bids as decimals, best first."""
    levels = book.levels()
    return [(p / E8, q / E8) for p, q in zip(*(c.tolist() for c in levels.side_levels(0)), strict=True)]


def test_a_snapshot_and_a_diff(book: Book) -> None:
    """Quantities are absolute, zero deletes, a new price is put in its place; deleting nothing does nothing."""
    changed = [("99", "0"), ("99.75", "5"), ("97", "0")]
    book.take([a_snapshot([("99.5", "2"), ("99", "1")]), a_diff(11, 12, bids=changed, asks=[])])
    assert bids(book) == [(99.75, 5), (99.5, 2)]
    assert book.last_update_id == 12


def test_diffs_before_any_snapshot_are_kept_for_it(book: Book) -> None:
    """The procedure's buffer: those up to the snapshot's id are dropped, the first kept one may begin before it."""
    book.take([a_diff(9, 10, [("99", "9")], []), a_diff(11, 13, [("99", "3")], []), a_diff(14, 14, [("98", "4")], [])])
    assert (book.last_update_id, bids(book)) == (None, [])
    book.take([a_snapshot([("99", "1")], update_id=12)])
    assert (book.last_update_id, bids(book)) == (14, [(99, 3), (98, 4)])


def test_a_missing_diff_is_named_and_ends_the_book(book: Book) -> None:
    """Until the next snapshot, which may be older than the diffs that came meanwhile."""
    book.take([a_snapshot(update_id=10), a_diff(11, 12), a_diff(15, 16, [("98", "1")], [], T0 + 7), a_diff(17, 17)])
    assert (book.last_update_id, bids(book)) == (None, [])
    assert book.gap == UpdateGap(T0 + 7, 13, 14, "diff_missing")
    book.take([a_snapshot([("99", "1")], update_id=15)])
    assert (book.last_update_id, bids(book)) == (17, [(98, 1)])
    assert book.audit is None


def test_what_came_twice_is_taken_once(book: Book) -> None:
    """And a diff that begins before the book's end is taken whole."""
    book.take([a_snapshot(update_id=10), a_diff(11, 12, [("98", "1")], []), a_diff(11, 12, [("98", "2")], [])])
    book.take([a_diff(12, 13, [("98", "3")], [])])
    assert bids(book)[-1] == (98, 3)
    assert book.gap is None


def test_only_two_minutes_of_diffs_are_kept(book: Book) -> None:
    """A snapshot that needs older ones finds a gap."""
    late = T0 + BUFFER_NS + SECOND_NS
    book.take([a_diff(11, 12), a_diff(13, 13, at_ns=late), a_snapshot(update_id=10, at_ns=late)])
    assert (book.last_update_id, book.gap) == (None, UpdateGap(late, 11, 12, "snapshot_too_old"))


def test_an_older_snapshot_is_passed_over(book: Book) -> None:
    """Whatever it says."""
    book.take([a_snapshot([("99", "1")], update_id=10), a_snapshot([("1", "1")], update_id=9)])
    assert bids(book) == [(99, 1)]


def test_a_late_snapshot_is_compared_at_once(book: Book) -> None:
    """At update 14: the level that a diff named since the snapshot is left out, the other two differ or do not."""
    book.take([a_snapshot([("99", "1"), ("98", "1")], [], update_id=10), a_diff(11, 12, [("97", "4")], [])])
    book.take([a_diff(13, 14, [("98", "2")], []), a_snapshot([("99", "1"), ("97", "5")], [], update_id=12)])
    audit = book.audit
    assert audit is not None
    assert (audit.snapshot_update_id, audit.update_id, audit.compared, audit.excluded) == (12, 14, 2, 1)
    assert [(d.price_e8, d.book_e8, d.venue_e8, d.kind) for d in audit.examples] == [
        (97 * E8, 4 * E8, 5 * E8, "wrong_size")
    ]


def test_a_snapshot_ahead_is_compared_when_the_diffs_reach_it(book: Book) -> None:
    """Exactly at its id nothing is left out."""
    book.take([a_snapshot([("99", "1")], [], update_id=10), a_diff(11, 12, [("98", "2")], [])])
    book.take([a_snapshot([("99", "1"), ("98", "3")], [], update_id=14)])
    assert (book.audit, book.last_update_id) == (None, 14)
    book.take([a_diff(13, 14, [("98", "3")], [])])
    audit = book.audit
    assert audit is not None
    assert (audit.update_id, audit.compared, audit.excluded, audit.healthy) == (14, 2, 0, True)


@LAW
@given(facts=streams())
def test_both_are_the_same_at_every_entry(facts: list[Fact]) -> None:
    """Levels, update ids, what was missing, and every audit; whatever is missed, doubled, late or ahead."""
    one, other = InArrays(), InDictionaries()
    for fact in facts:
        one.take([fact])
        other.take([fact])
        assert identity(one) == identity(other)
        assert one.gap == other.gap
        assert one.audit == other.audit
