"""Flow by second: published formulas by hand, exact sums, and laws of the fold."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.facts.capture import TICK
from eventlog.facts.entry import Fact
from eventlog.store.batch import Batch
from market.errors import SumOverflow
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.book.book_levels import ABSENT
from projections.book.order_book import OrderBook
from projections.flow.book_flow import BookFlow
from projections.flow.flow_rows import level_flow
from projections.state import MarketState, Windows, read_ticks
from runtime.loop import drive
from tests.builders import T0, a_batch, a_diff, a_snapshot, a_tick, a_trade, pieces

E8 = 10**8
LAW = settings(deadline=None, max_examples=60)
END = T0 + MINUTE_NS


def top(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> Any:
    """The best levels as a trace holds them."""
    rows = np.zeros((2, 5, 2), np.int64)
    rows[:, :, 0] = ABSENT
    for side, levels in enumerate((bids, asks)):
        for i, (price, quantity) in enumerate(levels):
            rows[side, i] = price * (1 - 2 * side), quantity
    return rows


def fold_facts(*facts: Fact, seconds: int = 3600, end_ns: int = END) -> BookFlow:
    """The flow of these facts at a tick."""
    book, flow = OrderBook(), BookFlow(seconds)
    batch = a_batch(facts)
    flow.apply(batch, book.apply(batch))
    flow.close(end_ns)
    return flow


ASKS = [(150, 10)]


@pytest.mark.parametrize(
    ("bids", "asks", "after_bids", "after_asks", "expected"),
    [
        ([(140, 10)], ASKS, [(140, 17)], ASKS, 7),  # size joins the best bid
        ([(140, 10)], ASKS, [(140, 4)], ASKS, -6),  # size leaves it
        ([(140, 10)], ASKS, [(141, 7)], ASKS, 7),  # a better bid
        ([(141, 7), (140, 10)], ASKS, [(140, 10)], ASKS, -7),  # the best bid is used up
        ([(140, 10)], ASKS, [(140, 10)], [(150, 13)], -3),  # size joins the best ask
        ([(140, 10)], ASKS, [(140, 10)], [(149, 5)], -5),  # a better ask
        ([(140, 10)], [(149, 5), (150, 10)], [(140, 10)], [(150, 10)], 5),  # the best ask is used up
        ([(140, 10)], ASKS, [(141, 2)], [(151, 4)], 12),  # both move up: +2 of the bid, +10 of the ask
    ],
)
def test_the_flow_of_the_best_quote(bids: Any, asks: Any, after_bids: Any, after_asks: Any, expected: int) -> None:
    """Cont, Kukanov, Stoikov's e_n, term by term."""
    assert level_flow(top(bids, asks), top(after_bids, after_asks))[0] == expected


def test_a_better_bid_moves_every_level() -> None:
    """Bids 1.40 x 10, 1.39 x 10; a buy of 7 at 1.41: (7, 10, 10), where sizes by index say -3 at the best level."""
    before = top([(140, 10), (139, 10)], ASKS)
    after = top([(141, 7), (140, 10), (139, 10)], ASKS)
    flow = level_flow(before, after)
    assert flow[:5].tolist() == [7, 10, 10, 0, 0]
    assert flow[5] == 8 * -3 + 5 * 0 + 4 * 10  # weights 0.4, 0.25, 0.2 of -3, 0, +10, times 20
    assert level_flow(before, top([(141, 7), (140, 10)], ASKS))[5] == 8 * -3


def test_the_sides_mirror_each_other() -> None:
    """What is flow on the bid is flow the other way on the ask."""
    bids, after = [(140, 10), (139, 3)], [(141, 7), (140, 11), (138, 2)]
    one = level_flow(top(bids, [(200, 1)]), top(after, [(200, 1)]))
    other = level_flow(
        top([(10, 1)], [(300 - p, q) for p, q in bids]), top([(10, 1)], [(300 - p, q) for p, q in after])
    )
    assert one.tolist() == (-other).tolist() != [0] * 6


def test_a_second_sums_its_diffs_and_trades_and_keeps_its_last_quote() -> None:
    """Two diffs, three trades; m = true is a seller who took."""
    flow = fold_facts(
        a_snapshot([("99", "2")], [("101", "3")], update_id=10),
        a_diff(11, 12, [("99", "5")], [], T0 + 100 * 10**6),
        a_trade(1, "101", "0.5", T0 + 300 * 10**6),
        a_diff(13, 14, [("100", "1")], [("101", "2.5")], T0 + 900 * 10**6),
        a_trade(2, "101", "0.25", T0 + 950 * 10**6),
        a_trade(3, "100", "2", T0 + 999 * 10**6, seller=True),
    )
    result = flow.seconds()
    assert (result.start_ns, result.end_ns) == (END - 3600 * SECOND_NS, END)
    assert result.second_ns.tolist() == [T0]
    # +3 joins the bid; +1 a better bid, +0.5 leaves the ask; below the new best bid the old 5 is now level two
    assert result.ofi_e8.tolist() == [[450_000_000, 5 * E8, 0, 0, 0]]
    sizes = 8 * 3 * E8 + 8 * (-4 * E8 + E8 // 2) + 5 * 5 * E8
    assert result.size_change_x20.tolist() == [sizes]
    assert (result.buy_e8.tolist(), result.sell_e8.tolist(), result.trades.tolist()) == ([75_000_000], [2 * E8], [3])
    assert (result.updates.tolist(), result.unread.tolist(), result.resets.tolist()) == ([2], [0], [0])
    quote = (result.bid_e8, result.bid_quantity_e8, result.ask_e8, result.ask_quantity_e8, result.last_update_id)
    assert [int(column[0]) for column in quote] == [100 * E8, E8, 101 * E8, 250_000_000, 14]


def test_no_flow_is_formed_across_a_hole() -> None:
    """The jump from the last book to the next one is nobody's order."""
    flow = fold_facts(
        a_snapshot([("99", "2")], [("101", "3")], update_id=10),
        a_diff(11, 12, [("99", "3")], [], T0),
        a_diff(15, 16, [("99", "70")], [], T0 + SECOND_NS),
        a_diff(17, 17, [("99", "80")], [], T0 + 2 * SECOND_NS),
        a_snapshot([("99", "90")], [("101", "3")], update_id=17),
        a_diff(18, 18, [("99", "91")], [], T0 + 3 * SECOND_NS),
    )
    result = flow.seconds()
    assert result.ofi_e8[:, 0].tolist() == [E8, 0, 0, E8]
    assert result.updates.tolist() == [1, 0, 0, 1]
    assert result.unread.tolist() == [0, 1, 1, 0]
    assert result.resets.tolist() == [0, 1, 0, 0]
    assert result.last_update_id.tolist() == [12, -1, -1, 18]


def test_only_a_tick_moves_the_window() -> None:
    """Seconds from the end on wait; those before the start are gone; the end does not go back."""
    trades = [a_trade(i, "100", str(i), T0 + i * SECOND_NS) for i in range(1, 8)]
    flow = fold_facts(*trades, seconds=3, end_ns=T0 + 4 * SECOND_NS)
    assert flow.seconds().buy_e8.tolist() == [E8, 2 * E8, 3 * E8]
    flow.close(T0 + 6 * SECOND_NS + 1)
    assert flow.seconds().buy_e8.tolist() == [3 * E8, 4 * E8, 5 * E8]
    flow.close(T0)
    assert flow.seconds().end_ns == T0 + 6 * SECOND_NS
    flow.apply(a_batch([a_trade(9, "100", "9", T0 + 2 * SECOND_NS), a_trade(8, "100", "8", T0 + 5 * SECOND_NS)], 8), [])
    assert flow.seconds().buy_e8.tolist() == [3 * E8, 4 * E8, 13 * E8]  # too late, and late but in time


def test_an_event_time_far_ahead_is_passed_over() -> None:
    """One bad stamp must not wait in the window for ever; the book takes the diff all the same."""
    book, flow = OrderBook(), BookFlow(60)
    wild = a_diff(11, 12, [("99", "5")], [], T0 + 61 * SECOND_NS)
    batch = a_batch([a_snapshot(update_id=10), Fact(wild.kind, T0, wild.data)])
    flow.apply(batch, book.apply(batch))
    flow.close(T0 + 2 * MINUTE_NS)
    assert len(flow.seconds().second_ns) == 0
    assert book.last_update_id == 12


def test_sums_that_do_not_fit_are_an_error() -> None:
    """Never a wrap: in one second's trades, over batches, and in the book's changes within a second."""
    half = "23058430092.13693953"  # 2^61 + 1
    trades = [a_trade(i, "1", half) for i in (1, 2)]
    with pytest.raises(SumOverflow):
        fold_facts(*trades).seconds()
    flow = fold_facts(trades[0])
    flow.apply(a_batch([trades[1]], 2), [])
    with pytest.raises(SumOverflow):
        flow.seconds()
    large = "720575940.37927936"  # 2^56
    better = [a_diff(11 + i, 11 + i, [(f"99.{501 + i}", large)], []) for i in range(65)]
    with pytest.raises(SumOverflow):
        fold_facts(a_snapshot(update_id=10), *better)


def test_a_quantity_too_large_to_sum_is_not_read() -> None:
    """Above 2^56 at one of the best levels: the updates to it and from it are counted as unread, and nothing stops."""
    flow = fold_facts(
        a_snapshot([("99", "2")], [("101", "3")], update_id=10),
        a_diff(11, 11, [("99", "5")], [], T0),
        a_diff(12, 12, [("99", "720575940.37927937")], [], T0 + SECOND_NS),
        a_diff(13, 13, [("99", "4")], [], T0 + 2 * SECOND_NS),
        a_diff(14, 14, [("99", "720575940.37927936")], [], T0 + 3 * SECOND_NS),
        a_diff(15, 15, [("99", "6")], [], T0 + 4 * SECOND_NS),
    )
    result = flow.seconds()
    assert result.unread.tolist() == [0, 1, 1, 0, 0]
    assert result.updates.tolist() == [1, 0, 0, 1, 1]
    assert result.ofi_e8[:, 0].tolist() == [3 * E8, 0, 0, 2**56 - 4 * E8, 6 * E8 - 2**56]
    assert result.last_update_id.tolist() == [11, -1, -1, 14, 15]


def test_a_snapshot_ahead_of_the_diffs_hides_no_flow() -> None:
    """The book of before is kept until the diffs reach it; flow is lost only where a diff is, and that is counted."""
    flow = fold_facts(
        a_snapshot([("99", "2")], [("101", "3")], update_id=10),
        a_diff(11, 12, [("99", "3")], [], T0),
        a_snapshot([("99", "5")], [("101", "3")], update_id=15),
        a_diff(13, 14, [("99", "4")], [], T0 + SECOND_NS),
        a_diff(15, 16, [("99", "6")], [], T0 + 2 * SECOND_NS),
        a_diff(17, 17, [("99", "7")], [], T0 + 3 * SECOND_NS),
        a_snapshot([("99", "9")], [("101", "3")], update_id=19),
        a_diff(20, 20, [("99", "10")], [], T0 + 4 * SECOND_NS),
        a_diff(21, 21, [("99", "12")], [], T0 + 5 * SECOND_NS),
    )
    result = flow.seconds()
    assert result.unread.tolist() == [0, 0, 0, 0, 1, 0]
    assert result.resets.tolist() == [0, 0, 0, 0, 1, 0]
    assert result.updates.tolist() == [1, 1, 1, 1, 0, 1]
    assert result.ofi_e8[:, 0].tolist() == [E8, E8, 2 * E8, E8, 0, 2 * E8]


@pytest.mark.parametrize("seconds", [120, 90])
def test_a_digest_by_minute_is_that_of_a_fold_that_saw_all_at_once(seconds: int) -> None:
    """A minute hashed already is hashed again where a late trade lands in it, and where the window has cut it."""
    trades = [a_trade(i, at_ns=T0 + s * SECOND_NS) for i, s in enumerate((5, 40, 70, 130, 31, 200), 1)]
    flow = BookFlow(seconds)
    digests: list[tuple[int, str]] = []
    for n, end_s in ((1, 60), (2, 60), (3, 120), (4, 120), (5, 120), (5, 150), (6, 180), (6, 240), (6, 600)):
        if not digests or digests[-1][0] < n:
            flow.apply(a_batch([trades[n - 1]], n), [])
        flow.close(T0 + end_s * SECOND_NS)
        digests.append((n, flow.digest()))
        assert digests[-1][1] == fold_facts(*trades[:n], seconds=seconds, end_ns=flow.end_ns).digest()
    assert len({result for _, result in digests}) == len(digests)


def test_the_digest_tells_flows_apart() -> None:
    """What was traded, what changed in the book, the window, and what waits."""
    base = fold_facts(a_trade(1))
    others = [
        fold_facts(a_trade(1, quantity="2")),
        fold_facts(a_trade(1, seller=True)),
        fold_facts(a_trade(1), a_snapshot(), a_diff()),
        fold_facts(a_trade(1), seconds=60),
        fold_facts(a_trade(1), end_ns=END + MINUTE_NS),
        fold_facts(a_trade(1), a_trade(2, at_ns=END)),
        fold_facts(),
    ]
    assert len({base.digest(), *(o.digest() for o in others)}) == len(others) + 1
    assert base.digest() == fold_facts(a_trade(1)).digest()


@st.composite
def logs(draw: Any, minutes: int = 12) -> list[Fact]:
    """Minutes of books, diffs (some missing) and trades (some late), with a tick at the end of most."""
    facts: list[Fact] = []
    last, agg_id = 10, 0
    for minute in range(minutes):
        at = T0 + minute * MINUTE_NS
        if draw(st.integers(0, 3)):
            old = draw(st.sampled_from([0, 0, 0, 1, 4]))
            facts.append(a_snapshot([("99", "2"), ("98", "1")], [("101", "3")], update_id=last - old, at_ns=at))
        for _ in range(draw(st.integers(0, 4))):
            at += draw(st.sampled_from([0, 200_000_000, 13 * SECOND_NS]))
            first = last + 1 + draw(st.sampled_from([0, 0, 0, 0, 0, 0, 2]))
            last = first + draw(st.integers(0, 2))
            bid, quantity = draw(st.sampled_from(["98", "99", "100"])), draw(st.sampled_from(["0", "1", "2.5"]))
            facts.append(a_diff(first, last, [(bid, quantity)], [("102", quantity)], at))
            if draw(st.booleans()):
                agg_id += 1
                late = draw(st.sampled_from([0, 0, 0, 90, 400]))
                facts.append(
                    a_trade(agg_id, "100", "1.5", at - late * SECOND_NS, seller=draw(st.booleans()), recv_ns=at)
                )
        if draw(st.integers(0, 5)):
            facts.append(a_tick(T0 + (minute + 1) * MINUTE_NS))
    return [*facts, a_tick(T0 + minutes * MINUTE_NS)]


WINDOWS = Windows(bucket_minutes=1, snapshot_slots=2, trade_minutes=1, flow_seconds=90)
NEEDED_NS = 90 * SECOND_NS + (2 * 2 + 2) * MINUTE_NS
"""The window of flow, twice that of anchors, and the buffer."""


def digests(batches: list[Batch]) -> dict[int, tuple[str, str]]:
    """The digests of book and flow at each tick, by seq."""
    digests: dict[int, tuple[str, str]] = {}
    state = MarketState(WINDOWS)
    drive(
        batches, state, lambda tick, now: digests.update({tick.seq: (now.order_book.digest(), now.book_flow.digest())})
    )
    return digests


@LAW
@given(data=st.data())
def test_snapshots_change_the_flow_of_no_second_that_is_known(data: st.DataObject) -> None:
    """Wherever they come among the diffs, ahead of them or behind, what they do not leave unread is as without them."""
    row: dict[tuple[str, int], int] = {("bids", 98): 1, ("bids", 99): 2, ("asks", 102): 3, ("asks", 103): 1}
    books = {10: dict(row)}
    diffs = []
    last = 10
    for number in range(data.draw(st.integers(1, 12))):
        change: dict[tuple[str, int], int] = {}
        first = last + 1
        for last in range(first, first + data.draw(st.integers(1, 3))):
            level = data.draw(
                st.sampled_from([("bids", 98), ("bids", 99), ("bids", 100), ("asks", 101), ("asks", 102)])
            )
            change[level] = row[level] = data.draw(st.integers(0, 4))
            books[last] = dict(row)
        diffs.append(a_diff(first, last, _side(change, "bids"), _side(change, "asks"), T0 + number * SECOND_NS))
    mix = list(diffs)
    for update_id in data.draw(st.lists(st.integers(10, last), max_size=3)):
        output = {level: quantity for level, quantity in books[update_id].items() if quantity}
        book = a_snapshot(_side(output, "bids")[::-1], _side(output, "asks"), update_id=update_id)
        mix.insert(data.draw(st.integers(0, len(mix))), book)
    first_book = a_snapshot(_side(books[10], "bids")[::-1], _side(books[10], "asks"), update_id=10)
    without, result = fold_facts(first_book, *diffs).seconds(), fold_facts(first_book, *mix).seconds()
    expected = result.unread == 0
    assert result.second_ns.tolist() == without.second_ns.tolist()
    assert result.ofi_e8[expected].tolist() == without.ofi_e8[expected].tolist()
    assert result.size_change_x20[expected].tolist() == without.size_change_x20[expected].tolist()


def _side(levels: dict[tuple[str, int], int], side: str) -> list[tuple[str, str]]:
    """The levels of one side, lowest first."""
    return [(str(price), str(quantity)) for (name, price), quantity in sorted(levels.items()) if name == side]


@pytest.mark.slow
@LAW
@given(facts=logs(), cuts=st.sets(st.integers(1, 80)))
def test_any_batches_give_the_same_digests(facts: list[Fact], cuts: set[int]) -> None:
    """One batch, one entry a batch, or any cuts between."""
    batch = a_batch(facts)
    full = digests([batch])
    assert list(full) == [t.seq for t in read_ticks(batch.rows[TICK])]
    assert digests(pieces(batch, cuts)) == digests(pieces(batch, range(1, 200))) == full


@pytest.mark.slow
@LAW
@given(facts=logs(), data=st.data())
def test_there_is_no_memory_beyond_the_windows(facts: list[Fact], data: st.DataObject) -> None:
    """A state that began late holds what one from the beginning holds, once its windows are full."""
    full = digests([a_batch(facts)])
    start = data.draw(st.integers(0, len(facts) - 1))
    for seq, result in digests([a_batch(facts[start:], start + 1)]).items():
        if facts[seq - 1].recv_ns - NEEDED_NS > facts[start].recv_ns:
            assert result == full[seq]


@pytest.mark.slow
@LAW
@given(facts=logs())
def test_asking_changes_nothing(facts: list[Fact]) -> None:
    """A state that is asked at each tick and one that never was are the same at the end."""
    batch = a_batch(facts)
    silent = MarketState(WINDOWS)
    drive([batch], silent, lambda *_: None)
    assert (silent.order_book.digest(), silent.book_flow.digest()) == digests([batch])[len(facts)]
