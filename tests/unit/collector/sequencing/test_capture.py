"""What the capture makes of arrivals: order, news, and a venue that began anew."""

from typing import Any

import msgspec
import pytest

from collector.sequencing.capture import Capture
from collector.sequencing.log_tail import LogTail
from collector.sequencing.tick_maker import CaptureProgress
from eventlog.clock import ManualClock
from eventlog.facts.capture import GAP, QUARANTINE, SESSION, Gap
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE, DIFF
from exchanges.binance.exchange import CAPABILITIES
from exchanges.errors import ExchangeError, VenueReset
from exchanges.port import Arrival, HistoricalTrade, SilenceProof
from market.timestamps import SECOND_NS

NOW = 1_767_600_000 * SECOND_NS


def a_capture(next_id: int | None = 101, update_id: int | None = None, exchange: Any = None) -> Capture:
    """A capture whose log ends before an id, with an update; nothing is asked of log or recorder."""
    nothing: Any = None
    tail = LogTail(None if next_id is None else 1, next_id, (), 0, None, update_id)
    return Capture(exchange, nothing, nothing, ManualClock(NOW), tail, 72, CaptureProgress())


def a_trade(agg_id: int, at_ns: int = NOW) -> Arrival:
    """A live trade."""
    return Arrival("trade", at_ns, Fact(AGG_TRADE, at_ns, str(agg_id).encode()), agg_id, time_ns=at_ns)


def test_trades_and_news_come_out_in_their_order() -> None:
    """A disconnect between two trades stands between them in the log."""
    news = Arrival("disconnected", NOW, None, detail="closed")
    facts = a_capture()._sequence_batch([a_trade(101), news, a_trade(102)])
    assert [f.kind for f in facts] == [AGG_TRADE, SESSION, AGG_TRADE]


def test_a_second_sockets_trades_are_dropped() -> None:
    """The same trades again, or a moment late, are duplicates and no reset."""
    capture = a_capture()
    capture._sequence_batch([a_trade(101), a_trade(102, NOW + SECOND_NS)])
    assert capture._sequence_batch([a_trade(101), a_trade(102, NOW + SECOND_NS)]) == []
    assert capture.trades.duplicates == 2


@pytest.mark.parametrize("seen_before", [True, False])
def test_ids_that_go_back_while_time_goes_on_stop_the_recorder(seen_before: bool) -> None:
    """Another market under the same name: with trades of this run before it, or right after a restart."""
    capture = a_capture()
    if seen_before:
        capture._sequence_batch([a_trade(101), a_trade(102)])
    with pytest.raises(VenueReset, match=r"went back from 10[02] to 7"):
        capture._sequence_batch([a_trade(7, NOW + 11 * SECOND_NS)])


def test_an_empty_log_waits_for_its_history() -> None:
    """Live trades before the start is known are left to the filler."""
    assert a_capture(None)._sequence_batch([a_trade(500)]) == []


def news(what: str, detail: str = "", overlapping: bool = False) -> Arrival:
    """A connection came or went."""
    return Arrival(what, NOW, None, detail=detail, overlapping=overlapping)  # type: ignore[arg-type]


def diff_of(first: int, last: int) -> Arrival:
    """A live book update."""
    return Arrival("diff", NOW, Fact(DIFF, NOW, b"%d-%d" % (first, last)), last, first)


def describe_facts(facts: list[Fact]) -> list[str]:
    """Facts as words: their own for diffs and trades, kind and cause for gaps, the event for sessions."""
    words = []
    for fact in facts:
        body = msgspec.json.decode(fact.data) if fact.kind in (GAP, SESSION) else {}
        words.append(str(body.get("cause") or body.get("event") or fact.data.decode()))
    return words


def test_an_overlapping_connection_changes_nothing() -> None:
    """It goes on record; no trades are asked for, and what is missing later is not its fault."""
    capture = a_capture()
    capture._must_catch_up = False
    news_item = "planned: too old"
    facts = capture._sequence_batch(
        [a_trade(101), news("connected", news_item, True), news("disconnected", news_item, True)]
    )
    assert describe_facts(facts) == ["101", "connected", "disconnected"]
    assert not capture._must_catch_up
    assert not capture._fetch_needed.is_set()
    assert (capture._cause, capture._diff_cause) == ("feed_skipped", "feed_skipped")


def test_diffs_of_two_connections_become_one_row() -> None:
    """The new connection is ahead of the old one: what the old one still brings goes before, and nothing twice."""
    capture = a_capture()
    capture._sequence_batch([diff_of(1, 5)])
    facts = capture._sequence_batch(
        [diff_of(9, 12), news("connected", "planned: too old", True), diff_of(6, 8), diff_of(9, 12)]
    )
    assert describe_facts(facts) == ["connected", "6-8", "9-12"]
    assert (capture.diffs.duplicates, capture.diffs.gap_count) == (1, 0)


@pytest.mark.parametrize(("detail", "cause"), [("", "disconnect"), ("silent: diff stream 12 s", "silent")])
def test_what_a_broken_connection_lost_is_named_at_once(detail: str, cause: str) -> None:
    """The first diff behind the gap does not wait for what cannot come."""
    capture = a_capture()
    capture._sequence_batch([diff_of(1, 5), news("disconnected", "closed")])
    facts = capture._sequence_batch([news("connected", detail), a_trade(101), diff_of(9, 12)])
    assert describe_facts(facts) == ["connected", "101", cause, "9-12"]
    assert capture._must_catch_up


def test_a_disconnect_ends_the_wait_for_a_diff() -> None:
    """What waited behind a gap is logged before the disconnect."""
    capture = a_capture()
    capture._sequence_batch([diff_of(1, 5)])
    assert describe_facts(capture._sequence_batch([diff_of(9, 12), news("disconnected", "closed")])) == [
        "feed_skipped", "9-12", "disconnected",
    ]  # fmt: skip


def test_what_was_missed_between_two_runs_is_named() -> None:
    """The first diff of a new run stands behind a gap that says so."""
    capture = a_capture(update_id=5)
    facts = capture._sequence_batch([news("connected"), diff_of(9, 12), diff_of(13, 14), diff_of(20, 21)])
    assert describe_facts(facts) == ["connected", "restart", "9-12", "13-14"]
    assert msgspec.json.decode(facts[1].data, type=Gap) == Gap("update_ids", 6, 8, "restart", "given_up")


def test_at_the_end_waiting_diffs_go_on_record() -> None:
    """What they waited for will not come any more: it is named, and they are not lost with it."""
    capture = a_capture()
    assert describe_facts(capture._sequence_batch([diff_of(1, 5), diff_of(9, 12), diff_of(15, 16)])) == ["1-5"]
    assert describe_facts(capture.give_up_pending()) == ["feed_skipped", "9-12", "feed_skipped", "15-16"]
    assert capture.give_up_pending() == []


class Pages:
    """A venue that answers requests for trades with one page after the other; notes what was asked."""

    capabilities = CAPABILITIES

    def __init__(self, *pages: tuple[int, ...]) -> None:
        self.pages = list(pages)
        self.requests: list[int] = []

    async def trades_from(self, agg_id: int) -> list[HistoricalTrade]:
        """The next page."""
        self.requests.append(agg_id)
        return [HistoricalTrade(i, Fact(AGG_TRADE, NOW, b"%d" % i)) for i in self.pages.pop(0)]


@pytest.mark.parametrize(
    ("pages", "found", "is_last"),
    [
        (((101, 102),), [101, 102], True),
        (((103,), (101, 102, 103)), [101, 102, 103], True),
        (((103,), (103, 104)), [103], False),
        (((103,), (105,)), [103], False),
        (((101, 102, 104), (101, 102, 103, 104)), [101, 102, 103, 104], True),
        (((101, 102, 104), (101, 102, 104)), [101, 102, 104], True),
        (((101, 103), (101, 103, 105)), [101, 103], False),
        (((),), [], True),
    ],
)
async def test_trades_are_not_given_up_for_one_page_that_leaves_them_out(
    pages: tuple[tuple[int, ...], ...], found: list[int], is_last: bool
) -> None:
    """A page with a gap is fetched again; ids that one answer has exist, ids left out only once are not decided."""
    venue = Pages(*pages)
    page, nothing_more = await a_capture(exchange=venue)._fetch_page(101)
    assert ([trade.trade_id for trade in page], nothing_more) == (found, is_last)
    assert venue.requests == [101] * len(pages)


async def test_a_page_with_a_hole_and_then_none_is_no_answer() -> None:
    """It is worth another try."""
    with pytest.raises(ExchangeError, match="trades from 101 were there, and then none"):
        await a_capture(exchange=Pages((101, 103), ()))._fetch_page(101)


class Venue:
    """An exchange that is connected, and says now and then that nothing came."""

    open_connections = 1
    capabilities = CAPABILITIES
    silence_proof = SilenceProof()

    def __init__(self) -> None:
        self.page: list[HistoricalTrade] = []

    async def trades_from(self, agg_id: int) -> list[HistoricalTrade]:
        """What there is from an id on."""
        return [trade for trade in self.page if trade.trade_id >= agg_id]


class Queue:
    """A recorder that takes everything."""

    async def put(self, facts: Any) -> int:
        """Take it."""
        return 0


async def caught_up(*page: HistoricalTrade) -> Capture:
    """A capture that has fetched a page, and then an empty one; its venue's clock is right."""
    venue = Venue()
    venue.page = list(page)
    capture = a_capture(exchange=venue)
    capture.queue = Queue()  # type: ignore[assignment]
    capture.clock_offset_ns = 0
    await capture._fetch_once()
    capture._must_catch_up = True
    await capture._fetch_once()
    return capture


def assess(capture: Capture) -> tuple[str, str]:
    """The state of the trades, and the first words of why."""
    state, why = capture.assessment()
    return state, " ".join(why.split()[:3])


async def test_trades_are_live_once_the_newest_is_there() -> None:
    """And the clocks agree, as far as anybody can tell."""
    capture = await caught_up(HistoricalTrade(101, Fact(AGG_TRADE, NOW, b"101")))
    assert assess(capture) == ("live", "")
    capture.clock_offset_ns = None
    assert assess(capture) == ("catching_up", "neither the venue's")
    capture._sequence_batch([a_trade(102)])
    assert assess(capture) == ("live", "")


@pytest.mark.parametrize("seconds", [-120, -11, 11, 120])
async def test_trades_out_of_their_time_are_not_live(seconds: int) -> None:
    """Too early or too late: a clock is wrong, or the feed is behind; the next one in its time is live again."""
    capture = await caught_up(HistoricalTrade(101, Fact(AGG_TRADE, NOW, b"101")))
    capture._sequence_batch(
        [Arrival("trade", NOW, Fact(AGG_TRADE, NOW, b"102"), 102, time_ns=NOW - seconds * SECOND_NS)]
    )
    assert capture.has_clock_doubts
    assert capture.assessment()[0] == "down"
    assert f"trades come {seconds:+.1f} s after their own time" in capture.assessment()[1]
    capture._sequence_batch([a_trade(103)])
    assert assess(capture) == ("live", "")


@pytest.mark.parametrize("seconds", [-120, 120])
async def test_a_venue_whose_clock_is_elsewhere_is_not_live(seconds: int) -> None:
    """By how much is said."""
    capture = await caught_up(HistoricalTrade(101, Fact(AGG_TRADE, NOW, b"101")))
    capture.clock_offset_ns = seconds * SECOND_NS
    assert f"the venue's clock is {seconds:+.1f} s from ours" in capture.assessment()[1]
    assert capture.state() == "down"


async def test_that_nothing_newer_exists_does_not_make_an_unreadable_trade_live() -> None:
    """The newest trade was closed as unreadable; only one that can be read ends that."""
    capture = await caught_up(HistoricalTrade(101, Fact(QUARANTINE, NOW, b"{}")))
    assert assess(capture) == ("down", "1 trades came")
    capture._sequence_batch([a_trade(102)])
    assert assess(capture) == ("live", "")


async def test_junk_beyond_which_the_venue_has_nothing_was_no_trade() -> None:
    """It came, could not be read, and the venue says that no trade is missing."""
    capture = await caught_up(HistoricalTrade(101, Fact(AGG_TRADE, NOW, b"101")))
    capture._sequence_batch([Arrival("quarantine", NOW, Fact(QUARANTINE, NOW, b"{}"))])
    assert assess(capture) == ("down", "1 trades came")
    capture._must_catch_up = True
    await capture._fetch_once()
    assert assess(capture) == ("live", "")


async def test_a_stream_that_brought_no_trade_is_not_live_before_one_came() -> None:
    """Whatever was fetched meanwhile; or before the venue says that there is none."""
    capture = await caught_up(HistoricalTrade(101, Fact(AGG_TRADE, NOW, b"101")))
    capture.exchange.silence_proof = SilenceProof(mute_ns=NOW)  # type: ignore[misc]
    capture._sequence_batch([news("disconnected", "closed"), news("connected", "silent: trade stream 30 s")])
    await capture._fetch_once()
    assert assess(capture) == ("catching_up", "the last connection")
    capture.exchange.silence_proof = SilenceProof(NOW + 1, NOW)  # type: ignore[misc]
    assert capture.state() == "live"
    capture.exchange.silence_proof = SilenceProof(mute_ns=NOW)  # type: ignore[misc]
    assert capture.state() == "catching_up"
    capture._sequence_batch([a_trade(102)])
    assert assess(capture) == ("live", "")
