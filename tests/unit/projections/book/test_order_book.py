"""The book by the venue's procedure: vectors by hand, what is known of it, and how it is compared with the venue's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.facts.entry import Fact
from eventlog.facts.market import DIFF
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.book.book_levels import AFTER_GAP, APPLIED, APPLIED_UNQUOTED, STALE, UNUSABLE
from projections.book.diff_buffer import BUFFER_NS, UpdateGap
from projections.book.order_book import OrderBook, Quote
from tests.book_streams import streams
from tests.builders import T0, a_batch, a_diff, a_snapshot, pieces

E8 = 10**8
LAW = settings(deadline=None, max_examples=100)


def fold_facts(*facts: Fact, anchor_minutes: int = 60) -> OrderBook:
    """A book that has seen these facts."""
    book = OrderBook(anchor_minutes)
    book.apply(a_batch(facts))
    return book


def outcomes(book: OrderBook, *facts: Fact, first_seq: int = 1) -> list[int]:
    """What became of each diff."""
    return [int(o) for steps in book.apply(a_batch(facts, first_seq)) for o in steps.outcome]


def test_a_snapshot_and_a_diff() -> None:
    """Quantities are absolute, zero deletes, a new price is put in its place."""
    book = fold_facts(
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
    assert outcomes(book, a_diff(11, 12)) == [UNUSABLE]
    assert (book.status, book.quote(), book.mid_e8, book.last_update_id) == ("no_book", None, None, None)
    assert book.as_snapshot() is None
    assert book.levels().bid_price_e8.tolist() == []


def test_what_the_snapshot_holds_already_is_passed_over() -> None:
    """u up to the snapshot's id changes nothing; the first one kept may begin before it; then ids must follow."""
    book = fold_facts(a_snapshot(update_id=10))
    assert outcomes(book, a_diff(9, 10, asks=[("101", "9")]), a_diff(10, 12), a_diff(11, 12), first_seq=2) == [
        UNUSABLE,
        APPLIED,
        STALE,
    ]
    assert book.levels().ask_quantity_e8.tolist() == [2 * E8, 4 * E8]


def test_a_missing_diff_ends_the_book_until_the_next_snapshot() -> None:
    """U beyond the next id: what follows cannot be used, in order or not."""
    book = fold_facts(a_snapshot(update_id=10), a_diff(11, 12))
    assert outcomes(book, a_diff(14, 15), a_diff(16, 16), first_seq=3) == [AFTER_GAP, UNUSABLE]
    assert (book.status, book.usable, book.quote(), book.last_update_id) == ("gap", False, None, None)
    assert book.levels().bid_price_e8.tolist() == []
    book.apply(a_batch([a_snapshot(update_id=15)], 5))
    assert (book.status, book.last_update_id) == ("live", 16)  # the diff after the snapshot was kept


def test_a_snapshot_that_comes_late_gets_the_diffs_it_has_not_seen() -> None:
    """Anchored anew: its own levels, then every later diff again; what it has not is gone."""
    book = fold_facts(
        a_snapshot(update_id=10),
        a_diff(11, 12, bids=[("99.6", "1")], asks=[]),
        a_diff(13, 14, bids=[("99.7", "3")], asks=[]),
        a_snapshot([("99.5", "8")], [("100.5", "2")], update_id=12),
    )
    assert book.levels().bid_price_e8.tolist() == [9_970_000_000, 9_950_000_000]
    assert book.levels().bid_quantity_e8.tolist() == [3 * E8, 8 * E8]
    assert book.last_update_id == 14


def test_only_two_minutes_of_diffs_are_applied_again() -> None:
    """A snapshot that is older than the buffer reaches finds a gap."""
    diffs = [a_diff(11, 12, at_ns=T0), a_diff(13, 13, at_ns=T0 + BUFFER_NS + SECOND_NS)]
    late = T0 + BUFFER_NS + SECOND_NS
    assert fold_facts(*diffs, a_snapshot(update_id=10, at_ns=late)).status == "gap"
    assert fold_facts(*diffs, a_snapshot(update_id=12, at_ns=late)).status == "live"


def test_a_snapshot_older_than_the_last_is_not_used() -> None:
    """Whatever it says."""
    book = fold_facts(a_snapshot(update_id=10), a_snapshot([("1", "1")], [("2", "1")], update_id=9))
    assert book.quote() == Quote(9_950_000_000, 2 * E8, 10_050_000_000, 2 * E8)
    book.apply(a_batch([a_snapshot([("1", "1")], [("2", "1")], update_id=10)], 3))
    assert book.quote() == Quote(E8, E8, 2 * E8, E8)


def test_a_larger_id_is_remembered_as_long_as_its_book() -> None:
    """With or without ticks in between."""
    later = a_snapshot([("1", "1")], [("2", "1")], update_id=9, at_ns=T0 + MINUTE_NS)
    assert fold_facts(a_snapshot(update_id=10), later, anchor_minutes=2).last_update_id == 10
    assert fold_facts(a_snapshot(update_id=10), later, anchor_minutes=1).last_update_id == 9


def test_a_crossed_or_one_sided_book_is_not_used() -> None:
    """It says so, and may come right again."""
    book = fold_facts(a_snapshot([("99", "1")], [("101", "1")], update_id=10))
    crossing = a_diff(11, 11, bids=[("102", "1")], asks=[])
    repair = a_diff(12, 12, bids=[("102", "0")], asks=[])
    assert outcomes(book, crossing, first_seq=2) == [APPLIED_UNQUOTED]
    assert (book.status, book.quote(), book.as_snapshot()) == ("crossed", None, None)
    assert outcomes(book, repair, first_seq=3) == [APPLIED_UNQUOTED]
    assert book.usable
    assert outcomes(book, a_diff(13, 13, bids=[("99", "0")], asks=[]), first_seq=4) == [APPLIED_UNQUOTED]
    assert (book.status, book.mid_e8) == ("one_sided", None)
    locked = a_diff(11, 11, bids=[("100.5", "1")], asks=[])
    assert fold_facts(a_snapshot(), locked).status == "crossed"


def test_a_book_rests_on_a_snapshot_of_the_window() -> None:
    """At the tick at which its snapshot is too old the book is forgotten, until the next one."""
    book = fold_facts(a_snapshot(update_id=10, at_ns=T0 + 1), anchor_minutes=2)
    book.close(T0 + 2 * MINUTE_NS)
    assert book.usable
    book.close(T0 + 3 * MINUTE_NS)
    assert book.status == "no_book"
    assert book.digest() == OrderBook(2).digest()
    book.apply(a_batch([a_snapshot(update_id=5, at_ns=T0 + 3 * MINUTE_NS)], 2))
    assert book.usable  # nobody remembers the larger id


def test_a_wild_price_costs_one_level() -> None:
    """Prices from the smallest to the largest that can be written."""
    book = fold_facts(a_snapshot(), a_diff(11, 12, bids=[("0.00000001", "1")], asks=[("40000000000", "1")]))
    assert book.levels().bid_price_e8[-1] == 1
    assert book.levels().ask_price_e8[-1] == 4 * 10**18
    assert book.usable


def test_more_levels_than_there_was_room_for() -> None:
    """A diff of three thousand new levels a side."""
    bids = [(str(price), "1") for price in range(1, 3001)]
    asks = [(str(price), "2") for price in range(5000, 8000)]
    book = fold_facts(a_snapshot([("3500", "1")], [("4000", "1")]), a_diff(11, 12, bids=bids, asks=asks))
    levels = book.levels()
    assert levels.bid_price_e8.tolist() == [price * E8 for price in (3500, *range(3000, 0, -1))]
    assert levels.ask_price_e8.tolist() == [price * E8 for price in (4000, *range(5000, 8000))]


def test_as_a_snapshot_it_ends_where_the_snapshot_below_it_ended() -> None:
    """Beyond the last level that was asked for others are unknown; a side that was complete stays so."""
    bids, asks = [("99", "1"), ("98", "1"), ("97", "1")], [("101", "1"), ("102", "1")]
    diff = a_diff(11, 12, bids=[("96", "1"), ("98.5", "1")], asks=[("200", "1")])
    book = fold_facts(a_snapshot(bids, asks, limit=3, at_ns=T0 + 5), diff).as_snapshot()
    assert book is not None
    assert book.bid_price_e8.tolist() == [99 * E8, 9_850_000_000, 98 * E8, 97 * E8]
    assert book.ask_price_e8.tolist() == [101 * E8, 102 * E8, 200 * E8]
    assert (book.limit, book.last_update_id, book.request_ns, book.seq) == (4, 12, T0 + 5, 1)
    full = fold_facts(a_snapshot(bids, asks, limit=5000), diff).as_snapshot()
    assert full is not None
    assert len(full.bid_price_e8) == 5 < full.limit


def test_the_digest_tells_books_apart() -> None:
    """A quantity, a price, an update id, the window and whether there is a book."""
    base = fold_facts(a_snapshot())
    others = [
        fold_facts(a_snapshot(asks=[("100.5", "2"), ("101", "3.1")])),
        fold_facts(a_snapshot(asks=[("100.5", "2"), ("101.1", "3")])),
        fold_facts(a_snapshot(update_id=11)),
        fold_facts(a_snapshot(), anchor_minutes=59),
        fold_facts(a_snapshot(), a_diff(20, 21)),
        fold_facts(),
    ]
    assert len({base.digest(), *(o.digest() for o in others)}) == len(others) + 1
    assert base.digest() == fold_facts(a_snapshot()).digest()


@pytest.mark.slow
@LAW
@given(facts=streams(), cuts=st.sets(st.integers(1, 30)))
def test_what_each_diff_did_does_not_depend_on_batches(facts: list[Fact], cuts: set[int]) -> None:
    """The trace that flow is made from: outcome, levels before and after."""
    batch = a_batch(facts)
    result = []
    for parts in ([batch], pieces(batch, cuts), pieces(batch, range(1, 100))):
        book = OrderBook()
        steps = [s for part in parts for s in book.apply(part)]
        result.append([(int(s.outcome[i]), s.tops[i : i + 2].tolist()) for s in steps for i in range(len(s.outcome))])
    assert result[0] == result[1] == result[2]
    assert len(result[0]) == sum(f.kind == DIFF for f in facts)


def test_a_level_beyond_the_snapshot_does_not_move_what_is_known() -> None:
    """Two levels a side were asked for: what a diff names beyond them is held, what lies between is unknown."""
    bids, asks = [("99", "1"), ("98", "1")], [("101", "1"), ("102", "1")]
    book = fold_facts(a_snapshot(bids, asks, limit=2), a_diff(11, 12, bids=[("90", "7")], asks=[]))
    assert book.levels().bid_price_e8.tolist() == [99 * E8, 98 * E8, 90 * E8]
    assert book.edges_e8 == (98 * E8, 102 * E8)
    assert (book.in_reach, book.trusted) == (True, True)
    book.apply(a_batch([a_diff(13, 14, bids=[("99", "0"), ("98", "0")], asks=[])], 3))
    assert (book.status, book.in_reach, book.trusted, book.as_snapshot()) == ("live", False, False, None)
    assert book.quote() == Quote(90 * E8, 7 * E8, 101 * E8, E8)  # the best that anybody named
    book.apply(a_batch([a_diff(15, 15, bids=[("98.5", "1")], asks=[])], 4))
    assert (book.in_reach, book.trusted) == (True, True)


def test_a_side_that_is_used_up_within_its_reach_is_not_known_to_be_empty() -> None:
    """Others lie beyond, unseen; a side that was shown whole is empty."""
    deletion = a_diff(11, 11, bids=[("99", "0")], asks=[])
    cut, complete = (fold_facts(a_snapshot([("99", "1")], [("101", "1")], limit=limit), deletion) for limit in (1, 2))
    assert (cut.status, cut.in_reach) == ("one_sided", False)
    assert (complete.status, complete.in_reach) == ("one_sided", True)


def test_the_next_snapshot_forgets_what_lay_beyond() -> None:
    """A level that left what is known is pruned: it may have changed where nobody looked."""
    book = fold_facts(
        a_snapshot([("99", "1"), ("98", "1")], [("101", "1"), ("102", "1")], limit=2, at_ns=T0),
        a_diff(11, 12, bids=[("90", "7")], asks=[], at_ns=T0),
        a_snapshot([("99.5", "1"), ("99", "1")], [("101", "1"), ("102", "1")], limit=2, update_id=12, at_ns=T0 + 1),
    )
    assert book.levels().bid_price_e8.tolist() == [9_950_000_000, 99 * E8]
    assert book.edges_e8 == (99 * E8, 102 * E8)


def test_a_snapshot_ahead_of_the_diffs_waits_for_them() -> None:
    """The answer is the snapshot's; what diffs do is told by the book of before, until they reach it."""
    book = fold_facts(a_snapshot(update_id=10), a_diff(11, 12, bids=[("99.5", "3")], asks=[]))
    book.apply(a_batch([a_snapshot([("99.5", "5")], [("100.5", "2")], update_id=15)], 3))
    assert (book.last_update_id, book.audit) == (15, None)
    (steps,) = book.apply(a_batch([a_diff(13, 14, bids=[("99.5", "4")], asks=[])], 4))
    assert steps.outcome.tolist() == [APPLIED]
    assert steps.tops[:, 0, 0, 1].tolist() == [3 * E8, 4 * E8]
    assert book.quote() == Quote(9_950_000_000, 5 * E8, 10_050_000_000, 2 * E8)
    assert (book.last_update_id, book.audit) == (15, None)
    reaching, after = book.apply(a_batch([a_diff(15, 16, [("99.5", "6")], []), a_diff(17, 17, [("99.5", "7")], [])], 5))
    assert reaching.tops[:, 0, 0, 1].tolist() == [4 * E8, 6 * E8]
    assert after.tops[:, 0, 0, 1].tolist() == [6 * E8, 7 * E8]
    assert [s.outcome.tolist() for s in (reaching, after)] == [[APPLIED], [APPLIED]]
    assert book.audit is not None
    # 99 (1) and 101 (3) of the first snapshot are ghosts; 99.5 is named by a diff that both have taken.
    assert (book.audit.counts, book.audit.compared, book.audit.excluded) == (((0, 1, 0), (0, 1, 0)), 3, 1)
    assert (book.audit.snapshot_update_id, book.audit.update_id) == (15, 16)


def test_an_audit_at_the_update_of_the_snapshot_leaves_nothing_out() -> None:
    """Book and snapshot at update 12: one of each kind of difference, one level the same."""
    book = fold_facts(
        a_snapshot(update_id=10),
        a_diff(11, 12, bids=[("99", "0"), ("98", "2")], asks=[("101", "4")]),
        a_snapshot([("99.5", "2"), ("99", "1")], [("100.5", "2"), ("101", "3")], update_id=12),
    )
    audit = book.audit
    assert audit is not None
    assert [(d.side, d.price_e8, d.kind) for d in audit.examples] == [
        ("bid", 98 * E8, "ghost"),
        ("ask", 101 * E8, "wrong_size"),
        ("bid", 99 * E8, "missing"),
    ]
    assert (audit.compared, audit.excluded, audit.healthy) == (5, 0, False)
    assert (book.usable, book.trusted) == (True, False)


def test_a_clean_audit_restores_trust() -> None:
    """Unhealthy until the next clean one; a snapshot that cannot be compared changes nothing."""
    wrong, right = [("99.5", "9"), ("99", "1")], [("99.5", "2"), ("99", "1")]
    diffs = [a_diff(11 + i, 11 + i, bids=[], asks=[("101", str(i + 3))]) for i in range(4)]
    asks = [[("100.5", "2"), ("101", str(i + 3))] for i in range(4)]
    book = fold_facts(a_snapshot(update_id=10), diffs[0], a_snapshot(wrong, asks[0], update_id=11))
    assert not book.trusted
    book.apply(a_batch([diffs[1], a_snapshot(wrong, asks[1], update_id=12)], 4))
    assert book.trusted
    book.apply(a_batch([diffs[2], a_snapshot(right, asks[2], update_id=13)], 6))
    assert not book.trusted
    book.apply(a_batch([a_diff(20, 20), a_snapshot(right, asks[2], update_id=25)], 8))
    assert (book.usable, book.trusted) == (True, False)


def test_tolerated_differences_are_healthy() -> None:
    """As many as one says."""
    facts = (a_snapshot(update_id=10), a_diff(11, 11, [], []), a_snapshot([("99.5", "2")], update_id=11))
    verdicts = []
    for tolerated in (0, 1):
        book = OrderBook(max_differing=tolerated)
        book.apply(a_batch(facts))
        verdicts.append((book.audit.differing, book.audit.healthy) if book.audit else None)
    assert verdicts == [(1, False), (1, True)]


def test_snapshots_alone_are_compared_with_nothing() -> None:
    """A book that no diff has built proves nothing."""
    book = fold_facts(a_snapshot(update_id=10), a_snapshot([("98", "1")], update_id=11, at_ns=T0 + MINUTE_NS))
    assert (book.audit, book.last_update_id, book.trusted) == (None, 11, True)


def test_a_hole_is_remembered_as_long_as_a_book() -> None:
    """Which updates were not seen, and when that was found."""
    book = fold_facts(a_snapshot(update_id=10), a_diff(13, 14, at_ns=T0 + 5), anchor_minutes=2)
    assert book.gap == UpdateGap(T0 + 5, 11, 12, "diff_missing")
    book.close(T0 + MINUTE_NS)
    assert book.gap is not None
    book.close(T0 + 3 * MINUTE_NS)
    assert book.gap is None


def test_a_hole_that_a_snapshot_covers_is_still_told() -> None:
    """Diff 13-14 never came; the snapshot at 15 holds it, so the book is whole, and flow was not formed across it."""
    book = fold_facts(a_snapshot(update_id=10), a_diff(11, 12), a_snapshot(update_id=15))
    assert outcomes(book, a_diff(15, 16), a_diff(17, 17), first_seq=4) == [AFTER_GAP, APPLIED]
    assert (book.status, book.gap, book.audit) == ("live", UpdateGap(T0, 13, 14, "diff_missing"), None)


def test_a_snapshot_that_needs_more_than_is_kept_says_so() -> None:
    """The book was whole; the newest snapshot is what counts."""
    late = T0 + BUFFER_NS + SECOND_NS
    book = fold_facts(
        a_snapshot(update_id=10), a_diff(11, 12), a_diff(13, 13, at_ns=late), a_snapshot(update_id=10, at_ns=late)
    )
    assert (book.status, book.gap) == ("gap", UpdateGap(late, 11, 12, "snapshot_too_old"))


def test_the_trace_holds_the_best_levels_before_and_after() -> None:
    """Key and quantity; an absent level is infinitely bad and empty."""
    book = OrderBook()
    (steps,) = book.apply(a_batch([a_snapshot([("99", "1")], [("101", "2")]), a_diff(11, 12, [("98", "3")], [])]))
    absent = [np.iinfo(np.int64).min, 0]
    assert steps.tops[0].tolist() == [[[99 * E8, E8], *[absent] * 4], [[-101 * E8, 2 * E8], *[absent] * 4]]
    assert steps.tops[1, 0].tolist() == [[99 * E8, E8], [98 * E8, 3 * E8], *[absent] * 3]
