"""What the capture makes of arrivals: order, news, and a venue that began anew."""

from typing import Any

import msgspec
import pytest

from collector.capture import Capture
from collector.log_tail import LogTail
from collector.tick_maker import Seen
from eventlog.clock import ManualClock
from eventlog.facts import AGG_TRADE, DIFF, GAP, SESSION, Fact
from exchanges.errors import VenueReset
from exchanges.port import Arrival
from market.timestamps import SECOND_NS

NOW = 1_767_600_000 * SECOND_NS


def a_capture(next_id: int | None = 101) -> Capture:
    """A capture whose log ends before an id; nothing is asked of venue, log or recorder."""
    nothing: Any = None
    tail = LogTail(None if next_id is None else 1, next_id, (), 0, None)
    return Capture(nothing, nothing, nothing, ManualClock(NOW), tail, 72, Seen())


def a_trade(agg_id: int, at_ns: int = NOW) -> Arrival:
    """A live trade."""
    return Arrival("agg_trade", at_ns, Fact(AGG_TRADE, at_ns, str(agg_id).encode()), agg_id, time_ns=at_ns)


def test_trades_and_news_come_out_in_their_order() -> None:
    """A disconnect between two trades stands between them in the log."""
    news = Arrival("disconnected", NOW, None, detail="closed")
    facts = a_capture()._sort([a_trade(101), news, a_trade(102)])
    assert [f.kind for f in facts] == [AGG_TRADE, SESSION, AGG_TRADE]


def test_a_second_sockets_trades_are_dropped() -> None:
    """The same trades again, or a moment late, are duplicates and no reset."""
    capture = a_capture()
    capture._sort([a_trade(101), a_trade(102, NOW + SECOND_NS)])
    assert capture._sort([a_trade(101), a_trade(102, NOW + SECOND_NS)]) == []
    assert capture.trades.duplicates == 2


@pytest.mark.parametrize("seen_before", [True, False])
def test_ids_that_go_back_while_time_goes_on_stop_the_recorder(seen_before: bool) -> None:
    """Another market under the same name: with trades of this run before it, or right after a restart."""
    capture = a_capture()
    if seen_before:
        capture._sort([a_trade(101), a_trade(102)])
    with pytest.raises(VenueReset, match=r"went back from 10[02] to 7"):
        capture._sort([a_trade(7, NOW + 11 * SECOND_NS)])


def test_an_empty_log_waits_for_its_history() -> None:
    """Live trades before the start is known are left to the filler."""
    assert a_capture(None)._sort([a_trade(500)]) == []


def news(what: str, detail: str = "", overlapping: bool = False) -> Arrival:
    """A connection came or went."""
    return Arrival(what, NOW, None, detail=detail, overlapping=overlapping)  # type: ignore[arg-type]


def diff_of(first: int, last: int) -> Arrival:
    """A live book update."""
    return Arrival("diff", NOW, Fact(DIFF, NOW, b"%d-%d" % (first, last)), last, first)


def named(facts: list[Fact]) -> list[str]:
    """Facts as words: their own for diffs and trades, kind and cause for gaps, the event for sessions."""
    words = []
    for fact in facts:
        body = msgspec.json.decode(fact.data) if fact.kind in (GAP, SESSION) else {}
        words.append(str(body.get("cause") or body.get("event") or fact.data.decode()))
    return words


def test_an_overlapping_connection_changes_nothing() -> None:
    """It goes on record; no trades are asked for, and what is missing later is not its fault."""
    capture = a_capture()
    capture._catch_up = False
    planned = "planned: too old"
    facts = capture._sort([a_trade(101), news("connected", planned, True), news("disconnected", planned, True)])
    assert named(facts) == ["101", "connected", "disconnected"]
    assert not capture._catch_up
    assert not capture._ask.is_set()
    assert (capture._cause, capture._diff_cause) == ("feed_skipped", "feed_skipped")


def test_diffs_of_two_connections_become_one_row() -> None:
    """The new connection is ahead of the old one: what the old one still brings goes before, and nothing twice."""
    capture = a_capture()
    capture._sort([diff_of(1, 5)])
    facts = capture._sort([diff_of(9, 12), news("connected", "planned: too old", True), diff_of(6, 8), diff_of(9, 12)])
    assert named(facts) == ["connected", "6-8", "9-12"]
    assert (capture.diffs.duplicates, capture.diffs.missed) == (1, 0)


@pytest.mark.parametrize(("detail", "cause"), [("", "disconnect"), ("silent: diff stream 12 s", "silent")])
def test_what_a_broken_connection_lost_is_named_at_once(detail: str, cause: str) -> None:
    """The first diff behind the hole does not wait for what cannot come."""
    capture = a_capture()
    capture._sort([diff_of(1, 5), news("disconnected", "closed")])
    facts = capture._sort([news("connected", detail), a_trade(101), diff_of(9, 12)])
    assert named(facts) == ["connected", "101", cause, "9-12"]
    assert capture._catch_up


def test_a_disconnect_ends_the_wait_for_a_diff() -> None:
    """What waited behind a hole goes on record before the news."""
    capture = a_capture()
    capture._sort([diff_of(1, 5)])
    assert named(capture._sort([diff_of(9, 12), news("disconnected", "closed")])) == [
        "feed_skipped", "9-12", "disconnected",
    ]  # fmt: skip
