"""
The law of the sequencer: whatever the feed drops, repeats or reorders, the log gets every trade once, in order.
"""

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.sequencing.log_tail import OpenGap
from collector.sequencing.trade_sequencer import MAX_WAIT_NS, TradeSequencer
from eventlog.facts.capture import GAP, Gap
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE

FEED = st.lists(
    st.tuples(st.sampled_from(["live", "drop", "twice", "swap", "ask", "late"]), st.integers(1, 5)), max_size=60
)


def a_fact(agg_id: int) -> Fact:
    """A trade whose bytes are its id."""
    return Fact(AGG_TRADE, agg_id, str(agg_id).encode())


def items(ids: list[int]) -> list[tuple[int, Fact]]:
    """Trades as the feed brings them."""
    return [(i, a_fact(i)) for i in ids]


def ids_of(facts: list[Fact]) -> list[int]:
    """The trades among facts."""
    return [int(f.data) for f in facts if f.kind == AGG_TRADE]


def gaps_of(facts: list[Fact]) -> list[Gap]:
    """The gaps among facts."""
    return [msgspec.json.decode(f.data, type=Gap) for f in facts if f.kind == GAP]


def ask_until_done(sequencer: TradeSequencer, newest: int, page: int, now: int, skipped: frozenset[int]) -> list[Fact]:
    """Ask the venue for what is wanted until nothing is."""
    out: list[Fact] = []
    for _ in range(10_000):
        wanted = sequencer.missing_range()
        if wanted is None:
            return out
        there = [i for i in range(wanted[0], newest + 1) if i not in skipped][:page]
        out += sequencer.add_fetched(items(there), now)
    raise AssertionError("still wanted after 10,000 pages")


@settings(deadline=None, max_examples=200)
@given(FEED, st.integers(1, 7), st.sets(st.integers(2, 150), max_size=5))
@example([("live", 1), ("drop", 5), ("swap", 3)], 2, {8})  # one came live and was fetched before an id nobody has
def test_every_trade_reaches_the_log_once(feed: list[tuple[str, int]], page: int, skipped_by_venue: set[int]) -> None:
    """Drops, repeats, swaps, long waits and ids the venue never had: the log holds all others once, gaps name those."""
    newest = 11 + sum(count for what, count in feed if what != "ask")  # came live, so the venue has it
    skipped = frozenset(skipped_by_venue - {newest})
    sequencer = TradeSequencer(1)
    at, now, out = 1, 0, []
    for what, count in feed:
        ids = [i for i in range(at, at + count) if i not in skipped]
        now += 1_000_000
        if what == "ask":
            out += ask_until_done(sequencer, at - 1, page, now, skipped)
            continue
        at += count
        if what == "late":
            now += MAX_WAIT_NS + 1
        if what == "swap":
            ids = ids[::-1]
        if what == "twice":
            ids = [i for i in ids for _ in range(2)]
        if what != "drop":
            out += sequencer.add_live(items(ids), now, "test")
    out += sequencer.add_live(items([at + 10]), now, "test")
    out += ask_until_done(sequencer, at + 10, page, now, skipped | set(range(at, at + 10)))
    got = ids_of(out)
    assert len(got) == len(set(got))
    there = {i for i in range(1, at + 11) if i not in skipped and not at <= i < at + 10}
    assert set(got) == there
    given_up = {i for g in gaps_of(out) if g.state == "given_up" for i in range(g.first, g.last + 1)}
    assert given_up == set(range(1, at + 10)) - there
    latest = {(g.first, g.last): g.state for g in gaps_of(out)}
    assert "open" not in latest.values()
    assert sequencer.pending_count == 0
    assert not sequencer.catching_up


def test_trades_in_order_go_straight_through() -> None:
    """A feed without a fault asks for nothing."""
    sequencer = TradeSequencer(5)
    assert ids_of(sequencer.add_live(items([5, 6, 7]), 0, "test")) == [5, 6, 7]
    assert sequencer.missing_range() is None
    assert sequencer.next_id == 8


def test_a_hole_holds_live_trades_back_until_it_is_filled() -> None:
    """Trades behind a gap wait, and follow it in order."""
    sequencer = TradeSequencer(1)
    assert ids_of(sequencer.add_live(items([1, 4, 5]), 0, "disconnect")) == [1]
    assert sequencer.missing_range() == (2, 3)
    assert ids_of(sequencer.add_fetched(items([2]), 1)) == [2]
    assert ids_of(sequencer.add_fetched(items([3, 4]), 2)) == [3, 4, 5]
    assert sequencer.missing_range() is None


def test_after_two_minutes_the_hole_goes_on_record_and_recording_goes_on() -> None:
    """The gap is open, what waited is logged, the gap is filled late and the gap closed."""
    sequencer = TradeSequencer(1)
    sequencer.add_live(items([3]), 0, "disconnect")
    out = sequencer.add_live(items([4]), MAX_WAIT_NS + 1, "disconnect")
    assert ids_of(out) == [3, 4]
    assert gaps_of(out) == [Gap("agg_ids", 1, 2, "disconnect", "open")]
    assert sequencer.missing_range() == (1, 2)
    late = sequencer.add_fetched(items([1, 2, 3]), MAX_WAIT_NS + 2)
    assert ids_of(late) == [1, 2]
    assert gaps_of(late) == [Gap("agg_ids", 1, 2, "disconnect", "filled")]


def test_an_open_gap_of_an_earlier_run_goes_on_where_it_stood() -> None:
    """What was settled before the restart is not asked for again."""
    gap = OpenGap(10, 20, 15, "disconnect")
    sequencer = TradeSequencer(31, [(gap.first, gap.last, gap.next, gap.cause)])
    assert sequencer.missing_range() == (15, 20)
    out = sequencer.add_fetched(items(list(range(15, 26))), 0)
    assert ids_of(out) == list(range(15, 21))
    assert gaps_of(out) == [Gap("agg_ids", 10, 20, "disconnect", "filled")]


def test_lost_trades_are_asked_for_again() -> None:
    """What the server lost becomes an open gap and comes back late."""
    sequencer = TradeSequencer(100)
    assert gaps_of(sequencer.add_lost(40, 60, 0)) == [Gap("agg_ids", 40, 60, "log_lost", "open")]
    assert sequencer.add_lost(5, 4, 0) == []
    assert sequencer.missing_range() == (40, 60)
    assert ids_of(sequencer.add_live(items([100]), 0, "test")) == [100]
    assert ids_of(sequencer.add_fetched(items(list(range(40, 70))), 1)) == list(range(40, 61))


def test_what_is_settled_grows_while_a_hole_is_filled() -> None:
    """A loss during a long fill is measured up to what the fill has reached, not up to where it began."""
    sequencer = TradeSequencer(1)
    sequencer.add_live(items([100]), 0, "first_start")
    assert sequencer.watermark == 1
    sequencer.add_fetched(items(list(range(1, 51))), 1)
    assert (sequencer.watermark, sequencer.next_id) == (51, 1)
    sequencer.add_fetched(items(list(range(51, 101))), 2)
    assert sequencer.watermark == sequencer.next_id == 101
