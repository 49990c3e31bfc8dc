"""The displayed book of a log is what applying every snapshot and diff in turn gives, where it is said to be known."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eventlog.facts.market import DIFF, SNAPSHOT
from eventlog.store.batch import Batch
from eventlog.transfer.importing import table
from fills.displayed_book import DisplayedBook
from market.timestamps import SECOND_NS
from replay.recorded.books import book_of
from tests.market_builders import T0

PRICES = range(90, 110)
Event = tuple[str, int, dict[str, Any]]


class Venue:
    """A book that changes by chance, and what is recorded of it: snapshots, and diffs of which some may get lost."""

    def __init__(self, seed: int, lose: bool, diffs: bool = True) -> None:
        self.chance = np.random.default_rng(seed)
        self.sizes = {(s, p): int(self.chance.integers(0, 9)) for s in (0, 1) for p in PRICES if (p < 100) == (s == 0)}
        self.update_id, self.first_new = 1000, 1001
        self.events: list[Event] = []
        self.truth: list[tuple[int, dict[tuple[int, int], int]]] = [(0, dict(self.sizes))]
        for second in range(1, 200):
            changed = self.change()
            is_lost = not diffs or (lose and self.chance.random() < 0.02)
            if not is_lost:
                self.events.append((DIFF, T0 + second * SECOND_NS, changed))
            self.truth.append((T0 + second * SECOND_NS, dict(self.sizes)))
            if second % 30 == 5:
                self.take_snapshot(second)

    def change(self) -> dict[str, Any]:
        first = self.update_id + 1
        sides: tuple[list[int], list[int], list[int], list[int]] = ([], [], [], [])
        for _ in range(int(self.chance.integers(1, 4))):
            self.update_id += 1
            key = list(self.sizes)[int(self.chance.integers(len(self.sizes)))]
            self.sizes[key] = int(self.chance.integers(0, 9))
            sides[2 * key[0]].append(key[1])
            sides[2 * key[0] + 1].append(self.sizes[key])
        return {"first_update_id": first, "last_update_id": self.update_id, "sides": sides}

    def take_snapshot(self, second: int) -> None:
        """Of a part of the book; its answer comes before the diff that it agrees with, or after later ones."""
        low, high = 100 - int(self.chance.integers(2, 10)), 100 + int(self.chance.integers(2, 9))
        sides: list[list[int]] = []
        for side in (0, 1):
            shown = [(p, z) for (s, p), z in self.sizes.items() if s == side and low <= p <= high and z]
            sides += [[p for p, _ in shown], [z for _, z in shown]]
        event = (SNAPSHOT, T0 + second * SECOND_NS + 1, {"last_update_id": self.update_id, "sides": sides})
        is_early = bool(self.events) and self.events[-1][0] == DIFF and self.chance.random() < 0.5
        self.events.insert(len(self.events) - is_early, event)

    def book(self, prices: range = PRICES) -> DisplayedBook:
        names = ("bid_price_e8", "bid_quantity_e8", "ask_price_e8", "ask_quantity_e8")
        rows: dict[str, list[dict[str, Any]]] = {SNAPSHOT: [], DIFF: []}
        for seq, (kind, at_ns, said) in enumerate(self.events, 1):
            row = {"seq": seq, "recv_ns": at_ns, **dict(zip(names, said["sides"], strict=True))}
            row |= {name: value for name, value in said.items() if name != "sides"}
            row |= {"event_time_ns": at_ns} if kind == DIFF else {"request_ns": at_ns, "response_ns": at_ns, "limit": 9}
            rows[kind].append(row)
        tables = {k: table(k, {n: [r[n] for r in found] for n in found[0]}) for k, found in rows.items() if found}
        batch = Batch.from_tables(1, len(self.events), tables)
        return book_of([batch], np.array(prices, np.int64))

    def size_at(self, at_ns: int, side: int, price: int) -> int:
        """Just before a moment."""
        return [sizes for when, sizes in self.truth if when < at_ns][-1].get((side, price), 0)


def shown(book: DisplayedBook, at_ns: int, side: int, price: int) -> int | None:
    """What the book says was displayed just before a moment; None where it does not know."""
    at, prices = np.array([at_ns]), np.array([price])
    if not book.knows(prices, at)[0]:
        return None
    level = int(book.levels_of(np.array([side == 0]), prices)[0])
    if level < 0:
        return 0
    first, last = book.offsets[level], book.offsets[level + 1]
    row = int(np.searchsorted(book.at_ns[first:last], at_ns))
    return int(book.size_e8[first + row - 1]) if row else 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
@example(282, False)  # a snapshot that is ahead of the diffs shows levels that none before it did
@example(501, True)
@example(639, True)
def test_the_book_is_that_of_the_venue(seed: int, lose: bool) -> None:
    """At any time, price and side, with lost diffs or without: right, or unknown."""
    venue = Venue(seed, lose)
    book = venue.book()
    known = 0
    for second in range(1, 198, 3):
        at_ns = T0 + second * SECOND_NS + SECOND_NS // 2
        for price in PRICES:
            for side in (0, 1):
                size = shown(book, at_ns, side, price)
                known += size is not None
                assert size in (None, venue.size_at(at_ns, side, price))
    assert not book.sampled
    assert known > (0 if lose else 800)


def test_what_lies_beyond_the_first_snapshot_is_learnt_from_the_next() -> None:
    """Within a chain of diffs a level once known stays known; by the end all that any snapshot reached is."""
    venue = Venue(3, lose=False)
    book = venue.book()
    assert (np.diff(book.low_e8) <= 0).all()
    assert (np.diff(book.high_e8) >= 0).all()
    assert book.high_e8[-1] - book.low_e8[-1] > book.high_e8[0] - book.low_e8[0]


def test_snapshots_alone_are_sampled() -> None:
    """Without diffs each snapshot is what is known until the next, two minutes at most."""
    venue = Venue(5, lose=False, diffs=False)
    book = venue.book()
    assert book.sampled
    for at, until in zip(book.from_ns, book.until_ns, strict=True):
        assert until - at <= 120 * SECOND_NS
        for price in range(99, 101):
            size = shown(book, int(at) + 10 * SECOND_NS, int(price >= 100), price)
            assert size == venue.size_at(int(at), int(price >= 100), price)


@pytest.mark.parametrize("prices", [range(0), range(200, 210)])
def test_prices_nobody_shows(prices: range) -> None:
    """No price asked for, or none within reach: nothing is known of them."""
    book = Venue(1, lose=False).book(prices)
    assert book.at_ns.tolist() == []
    assert not book.knows(np.arange(200, 210), np.full(10, T0 + 60 * SECOND_NS)).any()
