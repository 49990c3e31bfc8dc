"""What the recorder's book has the log say, and when."""

import msgspec
import pytest
from hypothesis import given, settings

from eventlog.codec import decode_entries
from eventlog.facts.capture import BOOK_AUDIT, BOOK_RESET, BookAudit, BookReset
from eventlog.facts.entry import Entry, Fact
from eventlog.facts.market import DIFF
from projections.book.live_book import LiveBook, build_audit_body
from projections.book.order_book import OrderBook
from tests.book_streams import streams
from tests.builders import MAPPER, T0, a_batch, a_diff, a_snapshot, a_trade, as_tables

LAW = settings(deadline=None, max_examples=100)


def take(book: LiveBook, *facts: Fact) -> list[Fact]:
    """What the log is to say for these facts, one after the other."""
    new_facts = []
    for fact in facts:
        ids = (0, 0)
        if fact.kind == DIFF:
            (row,) = as_tables([fact])[DIFF].select(["first_update_id", "last_update_id"]).to_pylist()
            ids = (row["first_update_id"], row["last_update_id"])
        new_facts += book.take(fact, *ids)
    return new_facts


def test_a_reset_is_said_at_once() -> None:
    """By the diff behind the gap; then nothing until a snapshot; and no audit of a broken book."""
    book = LiveBook(MAPPER.decoders)
    assert take(book, a_snapshot(update_id=10), a_diff(11, 12)) == []
    (reset,) = take(book, a_diff(15, 16, at_ns=T0 + 7))
    assert (reset.kind, reset.recv_ns) == (BOOK_RESET, T0 + 7)
    assert msgspec.json.decode(reset.data, type=BookReset) == BookReset("diff_missing", 13, 14)
    assert take(book, a_diff(17, 17), a_diff(19, 19), a_snapshot(update_id=19), a_diff(20, 20)) == []
    assert book.read() == []
    assert (book.resets, book.audits, book.book.last_update_id) == (1, 0, 20)


def test_an_audit_is_said_when_the_diffs_reach_the_snapshot() -> None:
    """With every figure and the worst levels in words."""
    book = LiveBook(MAPPER.decoders)
    assert take(book, a_snapshot(update_id=10), a_diff(11, 12, [], []), a_snapshot([("99.5", "2")], update_id=14)) == []
    (facts,) = take(book, a_diff(13, 14, [], [], T0 + 7), a_diff(15, 15, [], []))
    assert (facts.kind, facts.recv_ns) == (BOOK_AUDIT, T0 + 7)
    assert msgspec.json.decode(facts.data, type=BookAudit) == BookAudit(
        snapshot_update_id=14,
        update_id=14,
        compared=4,
        excluded=0,
        missing=0,
        ghost=1,
        wrong_size=0,
        on_bids=1,
        by_distance=[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        by_age=[0, 0, 0, 0, 0, 0, 0, 1],
        examples=["bid 99 ghost: 1 rebuilt, 0 shown, 100.00 bp away, age unknown"],
        healthy=False,
    )
    assert (book.audits, book.unhealthy) == (1, 1)
    assert decode_entries([Entry(1, facts.kind, 0, facts.data)], {})[BOOK_AUDIT].column("ghost").to_pylist() == [1]


def test_a_late_snapshot_is_compared_at_once() -> None:
    """The diffs that wait are read first."""
    book = LiveBook(MAPPER.decoders)
    take(book, a_snapshot(update_id=10), a_diff(11, 12, [("98", "3")], []))
    (facts,) = take(book, a_snapshot([("99.5", "2"), ("99", "1"), ("98", "3")], update_id=12))
    assert msgspec.json.decode(facts.data, type=BookAudit).healthy
    assert (book.audits, book.unhealthy) == (1, 0)


def test_other_facts_are_passed_over() -> None:
    """Trades are no part of a book."""
    book = LiveBook(MAPPER.decoders)
    assert take(book, a_trade()) == []
    assert [len(column) for column in book.book.levels()] == [0, 0, 0, 0]
    assert book.book.last_update_id is None


def test_diffs_do_not_wait_without_end() -> None:
    """Fifty are read together."""
    book = LiveBook(MAPPER.decoders)
    take(book, a_snapshot(update_id=10))
    diffs = [a_diff(11 + i, 11 + i, [("98", str(1 + i))], []) for i in range(50)]
    for number, diff in enumerate(diffs):
        book.take(diff, 11 + number, 11 + number)
        assert book.book.last_update_id == (60 if number == 49 else 10)


@pytest.mark.slow
@LAW
@given(facts=streams())
def test_it_says_what_the_replay_will_find(facts: list[Fact]) -> None:
    """Every gap and every audit, after the fact after which the replay's book knows it."""
    live, replay = LiveBook(MAPPER.decoders), OrderBook(anchor_minutes=10**6)
    for number, fact in enumerate(facts, 1):
        replay.gap = replay.audit = None
        replay.apply(a_batch([fact], number))
        expected: list[BookReset | BookAudit] = []
        if replay.gap is not None:
            expected.append(BookReset(replay.gap.cause, replay.gap.first_missing, replay.gap.last_missing))
        if replay.audit is not None:
            expected.append(build_audit_body(replay.audit))
        kinds = {BOOK_RESET: BookReset, BOOK_AUDIT: BookAudit}
        assert [msgspec.json.decode(f.data, type=kinds[f.kind]) for f in take(live, fact)] == expected
    live.read()
    assert live.book.last_update_id == replay.last_update_id
