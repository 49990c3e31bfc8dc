"""The book by the venue's procedure: vectors by hand, and a simple book of dictionaries that must agree."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.facts import DIFF, SNAPSHOT, Fact
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.book_levels import BARE, BROKE, OLD, UNREAD, WHOLE
from projections.order_book import BUFFER_NS, OrderBook, Quote
from tests.builders import T0, a_batch, a_diff, a_snapshot, as_tables, pieces

E8 = 10**8
LAW = settings(deadline=None, max_examples=100)


def folded(*facts: Fact, anchor_minutes: int = 60) -> OrderBook:
    """A book that has seen these facts."""
    book = OrderBook(anchor_minutes)
    book.apply(a_batch(facts))
    return book


def outcomes(book: OrderBook, *facts: Fact, first_seq: int = 1) -> list[int]:
    """What became of each diff."""
    return [int(o) for steps in book.apply(a_batch(facts, first_seq)) for o in steps.outcome]


def test_a_snapshot_and_a_diff() -> None:
    """Quantities are absolute, zero deletes, a new price is put in its place."""
    book = folded(
        a_snapshot([("99.5", "2"), ("99", "1")], [("100.5", "2"), ("101", "3")]),
        a_diff(11, 12, bids=[("99", "0"), ("99.75", "5"), ("98", "7")], asks=[("101", "4"), ("100.5", "1")]),
    )
    levels = book.levels()
    assert levels.bid_price_e8.tolist() == [9_975_000_000, 9_950_000_000, 9_800_000_000]
    assert levels.bid_quantity_e8.tolist() == [5 * E8, 2 * E8, 7 * E8]
    assert levels.ask_price_e8.tolist() == [10_050_000_000, 101 * E8]
    assert levels.ask_quantity_e8.tolist() == [E8, 4 * E8]
    assert (book.status, book.usable, book.last_update_id) == ("live", True, 12)
    assert book.quote() == Quote(9_975_000_000, 5 * E8, 10_050_000_000, E8)
    assert book.mid_e8 == 10_012_500_000
    assert [len(column) for column in book.top(2)] == [2, 2, 2, 2]


def test_no_snapshot_no_book() -> None:
    """Diffs alone say nothing."""
    book = OrderBook()
    assert outcomes(book, a_diff(11, 12)) == [UNREAD]
    assert (book.status, book.quote(), book.mid_e8, book.last_update_id) == ("no_book", None, None, None)
    assert book.as_snapshot() is None
    assert book.levels().bid_price_e8.tolist() == []


def test_what_the_snapshot_holds_already_is_passed_over() -> None:
    """u up to the snapshot's id changes nothing; the first one kept may begin before it; then ids must follow."""
    book = folded(a_snapshot(update_id=10))
    assert outcomes(book, a_diff(9, 10, asks=[("101", "9")]), a_diff(10, 12), a_diff(11, 12), first_seq=2) == [
        UNREAD,
        WHOLE,
        OLD,
    ]
    assert book.levels().ask_quantity_e8.tolist() == [2 * E8, 4 * E8]


def test_a_missing_diff_ends_the_book_until_the_next_snapshot() -> None:
    """U beyond the next id: what follows cannot be used, in order or not."""
    book = folded(a_snapshot(update_id=10), a_diff(11, 12))
    assert outcomes(book, a_diff(14, 15), a_diff(16, 16), first_seq=3) == [BROKE, UNREAD]
    assert (book.status, book.usable, book.quote(), book.last_update_id) == ("gap", False, None, None)
    assert book.levels().bid_price_e8.tolist() == []
    book.apply(a_batch([a_snapshot(update_id=15)], 5))
    assert (book.status, book.last_update_id) == ("live", 16)  # the diff after the snapshot was kept


def test_a_snapshot_that_comes_late_gets_the_diffs_it_has_not_seen() -> None:
    """Anchored anew: its own levels, then every later diff again; what it has not is gone."""
    book = folded(
        a_snapshot(update_id=10),
        a_diff(11, 12, bids=[("99.6", "1")], asks=[]),
        a_diff(13, 14, bids=[("99.7", "3")], asks=[]),
        a_snapshot([("99.5", "8")], [("100.5", "2")], update_id=12),
    )
    assert book.levels().bid_price_e8.tolist() == [9_970_000_000, 9_950_000_000]
    assert book.levels().bid_quantity_e8.tolist() == [3 * E8, 8 * E8]
    assert book.last_update_id == 14


def test_only_two_minutes_of_diffs_are_applied_again() -> None:
    """A snapshot that is older than the buffer reaches finds a hole."""
    diffs = [a_diff(11, 12, at_ns=T0), a_diff(13, 13, at_ns=T0 + BUFFER_NS + SECOND_NS)]
    late = T0 + BUFFER_NS + SECOND_NS
    assert folded(*diffs, a_snapshot(update_id=10, at_ns=late)).status == "gap"
    assert folded(*diffs, a_snapshot(update_id=12, at_ns=late)).status == "live"


def test_a_snapshot_older_than_the_last_is_not_used() -> None:
    """Whatever it says."""
    book = folded(a_snapshot(update_id=10), a_snapshot([("1", "1")], [("2", "1")], update_id=9))
    assert book.quote() == Quote(9_950_000_000, 2 * E8, 10_050_000_000, 2 * E8)
    book.apply(a_batch([a_snapshot([("1", "1")], [("2", "1")], update_id=10)], 3))
    assert book.quote() == Quote(E8, E8, 2 * E8, E8)


def test_a_larger_id_is_remembered_as_long_as_its_book() -> None:
    """With or without ticks in between."""
    later = a_snapshot([("1", "1")], [("2", "1")], update_id=9, at_ns=T0 + MINUTE_NS)
    assert folded(a_snapshot(update_id=10), later, anchor_minutes=2).last_update_id == 10
    assert folded(a_snapshot(update_id=10), later, anchor_minutes=1).last_update_id == 9


def test_a_crossed_or_one_sided_book_is_not_used() -> None:
    """It says so, and may come right again."""
    book = folded(a_snapshot([("99", "1")], [("101", "1")], update_id=10))
    crossing = a_diff(11, 11, bids=[("102", "1")], asks=[])
    repair = a_diff(12, 12, bids=[("102", "0")], asks=[])
    assert outcomes(book, crossing, first_seq=2) == [BARE]
    assert (book.status, book.quote(), book.as_snapshot()) == ("crossed", None, None)
    assert outcomes(book, repair, first_seq=3) == [BARE]
    assert book.usable
    assert outcomes(book, a_diff(13, 13, bids=[("99", "0")], asks=[]), first_seq=4) == [BARE]
    assert (book.status, book.mid_e8) == ("one_sided", None)
    locked = a_diff(11, 11, bids=[("100.5", "1")], asks=[])
    assert folded(a_snapshot(), locked).status == "crossed"


def test_a_book_rests_on_a_snapshot_of_the_window() -> None:
    """At the tick at which its snapshot is too old the book is forgotten, until the next one."""
    book = folded(a_snapshot(update_id=10, at_ns=T0 + 1), anchor_minutes=2)
    book.close(T0 + 2 * MINUTE_NS)
    assert book.usable
    book.close(T0 + 3 * MINUTE_NS)
    assert book.status == "no_book"
    assert book.digest() == OrderBook(2).digest()
    book.apply(a_batch([a_snapshot(update_id=5, at_ns=T0 + 3 * MINUTE_NS)], 2))
    assert book.usable  # nobody remembers the larger id


def test_a_wild_price_costs_one_level() -> None:
    """Prices from the smallest to the largest that can be written."""
    book = folded(a_snapshot(), a_diff(11, 12, bids=[("0.00000001", "1")], asks=[("40000000000", "1")]))
    assert book.levels().bid_price_e8[-1] == 1
    assert book.levels().ask_price_e8[-1] == 4 * 10**18
    assert book.usable


def test_more_levels_than_there_was_room_for() -> None:
    """A diff of three thousand new levels a side."""
    bids = [(str(price), "1") for price in range(1, 3001)]
    asks = [(str(price), "2") for price in range(5000, 8000)]
    book = folded(a_snapshot([("3500", "1")], [("4000", "1")]), a_diff(11, 12, bids=bids, asks=asks))
    levels = book.levels()
    assert levels.bid_price_e8.tolist() == [price * E8 for price in (3500, *range(3000, 0, -1))]
    assert levels.ask_price_e8.tolist() == [price * E8 for price in (4000, *range(5000, 8000))]


def test_as_a_snapshot_it_ends_where_the_snapshot_below_it_ended() -> None:
    """Beyond the last level that was asked for others are unknown; a side that was complete stays so."""
    bids, asks = [("99", "1"), ("98", "1"), ("97", "1")], [("101", "1"), ("102", "1")]
    diff = a_diff(11, 12, bids=[("96", "1"), ("98.5", "1")], asks=[("200", "1")])
    book = folded(a_snapshot(bids, asks, limit=3, at_ns=T0 + 5), diff).as_snapshot()
    assert book is not None
    assert book.bid_price_e8.tolist() == [99 * E8, 9_850_000_000, 98 * E8, 97 * E8]
    assert book.ask_price_e8.tolist() == [101 * E8, 102 * E8, 200 * E8]
    assert (book.limit, book.last_update_id, book.request_ns, book.seq) == (4, 12, T0 + 5, 1)
    whole = folded(a_snapshot(bids, asks, limit=5000), diff).as_snapshot()
    assert whole is not None
    assert len(whole.bid_price_e8) == 5 < whole.limit


def test_the_digest_tells_books_apart() -> None:
    """A quantity, a price, an update id, the window and whether there is a book."""
    base = folded(a_snapshot())
    others = [
        folded(a_snapshot(asks=[("100.5", "2"), ("101", "3.1")])),
        folded(a_snapshot(asks=[("100.5", "2"), ("101.1", "3")])),
        folded(a_snapshot(update_id=11)),
        folded(a_snapshot(), anchor_minutes=59),
        folded(a_snapshot(), a_diff(20, 21)),
        folded(),
    ]
    assert len({base.digest(), *(o.digest() for o in others)}) == len(others) + 1
    assert base.digest() == folded(a_snapshot()).digest()


class PlainBook:
    """Binance's procedure over two dictionaries, with every diff of the last two minutes kept as it came."""

    def __init__(self) -> None:
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.state = "no_book"
        self.last = self.anchor = self.newest = 0
        self.kept: list[dict[str, Any]] = []

    def diff(self, row: dict[str, Any]) -> None:
        """Take a diff."""
        self.newest = max(self.newest, row["recv_ns"])
        self.kept.append(row)
        self.apply(row)

    def apply(self, row: dict[str, Any]) -> None:
        """Change the book, if the diff belongs to it."""
        if self.state != "live" or row["last_update_id"] <= self.last:
            return
        if row["first_update_id"] > self.last + 1:
            self.state = "gap"
            return
        for held, name in zip(self.sides, ("bid", "ask"), strict=True):
            for price, quantity in zip(row[f"{name}_price_e8"], row[f"{name}_quantity_e8"], strict=True):
                held.pop(price, None)
                if quantity:
                    held[price] = quantity
        self.last = row["last_update_id"]

    def snapshot(self, row: dict[str, Any]) -> None:
        """Start anew, unless it is older than the one before."""
        self.newest = max(self.newest, row["recv_ns"])
        if self.state != "no_book" and row["last_update_id"] < self.anchor:
            return
        pairs = [zip(row[f"{n}_price_e8"], row[f"{n}_quantity_e8"], strict=True) for n in ("bid", "ask")]
        self.sides = dict(pairs[0]), dict(pairs[1])
        self.state, self.last = "live", row["last_update_id"]
        self.anchor = self.last
        for kept in self.kept:
            if kept["recv_ns"] >= self.newest - BUFFER_NS:
                self.apply(kept)


LEVELS = st.lists(
    st.tuples(st.integers(1, 40).map(str), st.sampled_from(["0", "0.5", "1", "2.25"])),
    max_size=6,
    unique_by=lambda p: p[0],
)


@st.composite
def streams(draw: Any) -> list[Fact]:
    """Diffs that mostly follow one another, some missed, doubled or overlapping; snapshots early, late and old."""
    facts: list[Fact] = []
    at, last = T0, 100
    for _ in range(draw(st.integers(1, 25))):
        at += draw(st.sampled_from([0, 100_000_000, 30 * SECOND_NS]))
        kind = draw(st.sampled_from(["diff"] * 6 + ["doubled", "missed", "snapshot"]))
        if kind == "snapshot":
            back = draw(st.integers(0, 6))
            bids = [(str(p), "1") for p in sorted(draw(st.sets(st.integers(1, 20))), reverse=True)]
            asks = [(str(p), "1") for p in sorted(draw(st.sets(st.integers(21, 40))))]
            facts.append(a_snapshot(bids, asks, at_ns=at, update_id=last - back, limit=5))
            continue
        first = last + {"diff": 1, "doubled": -1, "missed": 3}[kind]
        last = max(last, first + draw(st.integers(0, 2)))
        facts.append(a_diff(first, last, draw(LEVELS), draw(LEVELS), at))
    return facts


@LAW
@given(facts=streams(), cuts=st.sets(st.integers(1, 30)))
def test_it_is_the_book_of_dictionaries_in_any_batches(facts: list[Fact], cuts: set[int]) -> None:
    """Level by level, after every entry where batches are single entries, at the end in any case."""
    batch = a_batch(facts)
    whole, cut, single, plain = OrderBook(), OrderBook(), OrderBook(), PlainBook()
    whole.apply(batch)
    for piece in pieces(batch, cuts):
        cut.apply(piece)
    for number, fact in enumerate(facts, 1):
        tables = as_tables([fact], number)
        single.apply(next(p for p in pieces(batch, range(1, 100)) if p.first_seq == number))
        if fact.kind == DIFF:
            plain.diff(tables[DIFF].to_pylist()[0])
        else:
            plain.snapshot(tables[SNAPSHOT].to_pylist()[0])
        held = single.levels()
        bids = sorted(plain.sides[0].items(), reverse=True) if plain.state == "live" else []
        asks = sorted(plain.sides[1].items()) if plain.state == "live" else []
        assert list(zip(held.bid_price_e8.tolist(), held.bid_quantity_e8.tolist(), strict=True)) == bids
        assert list(zip(held.ask_price_e8.tolist(), held.ask_quantity_e8.tolist(), strict=True)) == asks
        assert single.usable == bool(bids and asks and bids[0][0] < asks[0][0])
        assert single.last_update_id == (plain.last if plain.state == "live" else None)
    assert whole.digest() == cut.digest() == single.digest()


@LAW
@given(facts=streams(), cuts=st.sets(st.integers(1, 30)))
def test_what_each_diff_did_does_not_depend_on_batches(facts: list[Fact], cuts: set[int]) -> None:
    """The trace that flow is made from: outcome, levels before and after."""
    batch = a_batch(facts)
    found = []
    for parts in ([batch], pieces(batch, cuts), pieces(batch, range(1, 100))):
        book = OrderBook()
        steps = [s for part in parts for s in book.apply(part)]
        found.append([(int(s.outcome[i]), s.tops[i : i + 2].tolist()) for s in steps for i in range(len(s.outcome))])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == sum(f.kind == DIFF for f in facts)


def test_the_trace_holds_the_best_levels_before_and_after() -> None:
    """Key and quantity; an absent level is infinitely bad and empty."""
    book = OrderBook()
    (steps,) = book.apply(a_batch([a_snapshot([("99", "1")], [("101", "2")]), a_diff(11, 12, [("98", "3")], [])]))
    absent = [np.iinfo(np.int64).min, 0]
    assert steps.tops[0].tolist() == [[[99 * E8, E8], *[absent] * 4], [[-101 * E8, 2 * E8], *[absent] * 4]]
    assert steps.tops[1, 0].tolist() == [[99 * E8, E8], [98 * E8, 3 * E8], *[absent] * 3]
