"""The last books, one slot a minute."""

from eventlog.facts.entry import Fact
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.book.snapshot_window import SnapshotWindow
from tests.builders import T0, a_batch, a_snapshot, a_trade


def fold_facts(*facts: Fact, slots: int = 3, end_ns: int = T0) -> SnapshotWindow:
    """A fold of facts, closed at a tick."""
    window = SnapshotWindow(slots)
    if facts:
        window.apply(a_batch(facts))
    window.close(end_ns)
    return window


def update_ids(window: SnapshotWindow) -> list[int]:
    """Which snapshots are held."""
    return [s.last_update_id for s in window.snapshots()]


def test_a_snapshot_is_read_whole() -> None:
    """Levels, times, limit and the mid between the best two."""
    window = fold_facts(a_trade(1), a_snapshot([("99.5", "2"), ("99", "1")], [("100.5", "3")], update_id=7, limit=1000))
    snapshot = window.latest()
    assert snapshot is not None
    assert (snapshot.seq, snapshot.last_update_id, snapshot.limit) == (2, 7, 1000)
    assert (snapshot.request_ns, snapshot.response_ns, snapshot.minute_ns) == (T0, T0 + 10**6, T0)
    assert (snapshot.bid_price_e8 / ONE_E8).tolist() == [99.5, 99.0]
    assert (snapshot.ask_quantity_e8 / ONE_E8).tolist() == [3.0]
    assert snapshot.mid_e8 == 100 * ONE_E8


def test_a_book_without_a_side_has_no_mid() -> None:
    """Nothing is half-way to nowhere."""
    for book in (a_snapshot([], [("1", "1")]), a_snapshot([("1", "1")], [])):
        snapshot = fold_facts(book).latest()
        assert snapshot is not None
        assert snapshot.mid_e8 is None


def test_the_window_ends_with_its_tick() -> None:
    """Three slots: the boundary's own and two before; what comes after it waits."""
    books = [a_snapshot(at_ns=T0 + i * MINUTE_NS, update_id=i) for i in range(6)]
    window = fold_facts(*books, end_ns=T0 + 3 * MINUTE_NS)
    assert update_ids(window) == [1, 2, 3]
    window.close(T0 + 4 * MINUTE_NS)
    assert update_ids(window) == [2, 3, 4]
    window.close(T0 + 3 * MINUTE_NS)
    assert update_ids(window) == [2, 3, 4]
    window.close(T0 + 60 * MINUTE_NS)
    assert window.latest() is None


def test_a_minute_without_a_snapshot_is_left_out() -> None:
    """A window is a span of time, not a count."""
    end = T0 + 2 * MINUTE_NS
    window = fold_facts(a_snapshot(update_id=1), a_snapshot(at_ns=end, update_id=2), end_ns=end)
    assert update_ids(window) == [1, 2]


def test_a_snapshot_that_arrives_after_its_tick_fills_its_own_slot() -> None:
    """It belongs to the minute in which it was asked for."""
    window = fold_facts(a_snapshot(at_ns=T0 + MINUTE_NS, update_id=2), end_ns=T0 + MINUTE_NS)
    window.apply(a_batch([a_snapshot(at_ns=T0 + 59 * SECOND_NS, recv_ns=T0 + 2 * MINUTE_NS, update_id=1)], 2))
    assert update_ids(window) == [1, 2]


def test_within_a_minute_the_one_asked_for_last_stays() -> None:
    """Whatever order they arrive in; of two asked for at once the larger update id."""
    early, late = a_snapshot(at_ns=T0 + 1, update_id=9), a_snapshot(at_ns=T0 + 2, update_id=8)
    for facts in ((early, late), (late, early)):
        assert update_ids(fold_facts(*facts)) == [8]
    newer, older = a_snapshot(update_id=9), a_snapshot(update_id=8)
    for facts in ((newer, older), (older, newer)):
        assert update_ids(fold_facts(*facts)) == [9]


def test_the_digest_tells_books_apart() -> None:
    """A quantity, a limit, a time and the boundary all count."""
    base = fold_facts(a_snapshot())
    others = [
        fold_facts(a_snapshot(asks=[("100.5", "2"), ("101", "3.1")])),
        fold_facts(a_snapshot(limit=1000)),
        fold_facts(a_snapshot(at_ns=T0 + 1)),
        fold_facts(a_snapshot(), end_ns=T0 + MINUTE_NS),
        fold_facts(a_snapshot(), slots=4),
        fold_facts(),
    ]
    assert len({base.digest(), *(o.digest() for o in others)}) == len(others) + 1
    assert base.digest() == fold_facts(a_snapshot()).digest()
