"""What the capture makes of arrivals: order, news, and a venue that began anew."""

from typing import Any

import pytest

from collector.capture import Capture
from collector.log_tail import LogTail
from collector.tick_maker import Seen
from eventlog.clock import ManualClock
from eventlog.facts import AGG_TRADE, SESSION, Fact
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
