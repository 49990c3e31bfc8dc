"""Searches over the prices that followed find what looking at every trade finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch
from eventlog.transfer.importing import table
from fills.trade_tape import BLOCK, GROUP, TradeTape
from market.timestamps import MINUTE_NS, SECOND_NS
from replay.recorded.price_path import PricePath
from tests.market_builders import T0, a_path, e8, trade_columns


def path_of(recv_s: list[int], traded_s: list[int], ids: list[int], prices: list[int]) -> PricePath:
    """Trades in the order of the log: arrival, trade time, id, price."""
    columns = trade_columns(
        T0 + np.array(recv_s) * SECOND_NS, [e8(p) for p in prices], agg_id=ids,
        trade_time_ns=T0 + np.array(traded_s) * SECOND_NS,
    )  # fmt: skip
    rows = table(AGG_TRADE, {"seq": np.arange(1, len(ids) + 1), **columns})
    return PricePath.from_batches([Batch.from_tables(1, len(ids), {AGG_TRADE: rows})])


def seconds(path: PricePath) -> list[float]:
    return ((path.at_ns - T0) / SECOND_NS).tolist()


def test_trades_stand_in_the_order_of_their_ids() -> None:
    """A trade that was logged late takes the place that its id gives it, with the seq that the log gave it."""
    path = path_of([1, 2, 3, 4], [1, 2, 3, 4], [10, 11, 13, 12], [100, 101, 103, 102])
    assert (path.price_e8 / e8(1)).tolist() == [100, 101, 102, 103]
    assert path.seq.tolist() == [1, 2, 4, 3]


def test_a_trade_counts_when_it_was_made() -> None:
    """However late it came: an order sent meanwhile was not there yet."""
    path = path_of([1, 30, 600, 70], [1, 2, 3, 70], [1, 2, 3, 4], [1, 2, 3, 4])
    assert seconds(path) == [1, 2, 3, 70]


def test_what_was_made_before_a_known_trade_is_no_news() -> None:
    """Two trades are logged late, behind one that was made after them: from that one on trades are news."""
    path = path_of([1, 2, 3, 4, 5], [1, 4, 2, 3, 5], [10, 13, 11, 12, 14], [1, 1, 1, 1, 1])
    assert path.seq.tolist() == [1, 3, 4, 2, 5]
    assert path.first_after(np.array([0, 1, 2, 3, 4, 5])).tolist() == [0, 1, 4, 4, 4, 5]


def test_times_never_fall() -> None:
    """Where a clock stepped back the later trade keeps the time of the one before."""
    assert seconds(path_of([5, 3, 8], [5, 3, 8], [1, 2, 3], [1, 2, 3])) == [5, 5, 8]


def test_several_batches_are_one_path() -> None:
    """Batches without trades are passed over."""
    complete = a_path([1, 2, 3, 4])
    rows = table(AGG_TRADE, {"seq": [1, 2], **trade_columns(T0 + np.array([0, SECOND_NS]), [e8(1), e8(2)])})
    more = table(AGG_TRADE, {"seq": [4, 5], **trade_columns(T0 + np.array([2, 3]) * SECOND_NS, [e8(3), e8(4)],
                                                            agg_id=[3, 4])})  # fmt: skip
    parts = [
        Batch.from_tables(1, 2, {AGG_TRADE: rows}),
        Batch.from_tables(3, 3, {}),
        Batch.from_tables(4, 5, {AGG_TRADE: more}),
    ]
    path = PricePath.from_batches(parts)
    assert (path.at_ns == complete.at_ns).all()
    assert (path.price_e8 == complete.price_e8).all()
    assert path.seq.tolist() == [1, 2, 4, 5]


def test_an_empty_path_finds_nothing() -> None:
    """No trades: every search says none, every price is unknown."""
    path = PricePath.from_batches([])
    one = np.array([T0])
    assert (len(path), path.end_ns) == (0, 0)
    assert path.price_at(one).tolist() == [-1]
    assert path.index_at(one).tolist() == [0]
    nothing = np.array([0])
    assert path.find_first_beyond(np.array([True]), nothing, nothing, one).tolist() == [-1]
    assert path.find_first_beyond(np.array([False]), nothing, nothing, one).tolist() == [-1]


@pytest.mark.parametrize(("second", "price"), [(-0.001, -1), (0, 10), (0.9, 10), (1, 11), (3, 13), (3.001, -1)])
def test_price_at_a_time(second: float, price: int) -> None:
    """The last price at or before a time; unknown before the first trade and after the last."""
    path = a_path([10, 11, 12, 13])
    result = path.price_at(np.array([T0 + round(second * SECOND_NS)]))
    assert result.tolist() == [price if price < 0 else e8(price)]


def test_price_at_takes_the_last_of_equal_times() -> None:
    """Of trades in one instant the one with the largest id is the price."""
    path = a_path([10, 11, 12], [0, 0, 5])
    assert path.price_at(np.array([T0])).tolist() == [e8(11)]
    assert path.index_at(np.array([T0, T0 + 1])).tolist() == [0, 2]


def search(path: PricePath, start: int, stop: int, price: int, below: bool) -> int:
    """By looking at every trade."""
    for i in range(start, min(stop, len(path))):
        if (path.price_e8[i] <= price) if below else (path.price_e8[i] >= price):
            return i
    return -1


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 6000), st.integers(0, 2**31), st.integers(1, 60), st.data())
def test_searches_equal_brute_force(n: int, seed: int, spread: int, data: st.DataObject) -> None:
    """Random walks over several blocks, with starts, stops and limits anywhere, block borders among them."""
    chance = np.random.default_rng(seed)
    walk = 1000 + np.cumsum(chance.integers(-spread, spread + 1, n))
    ones = np.ones(n, np.int64)
    path = PricePath.from_tape(TradeTape.from_columns(T0 + np.arange(n) * MINUTE_NS, walk, ones, ones), ones)
    place = st.sampled_from([0, BLOCK - 1, BLOCK, BLOCK + 1, GROUP - 1, GROUP, GROUP + 1, n - 1, n]) | st.integers(0, n)
    searches = []
    for _ in range(8):
        start, stop = min(data.draw(place), n), min(data.draw(place), n)
        limit = data.draw(st.integers(int(walk.min()) - 2, int(walk.max()) + 2))
        searches.append((start, stop, limit))
    arrays = [np.array(column, np.int64) for column in zip(*searches, strict=True)]
    falling = data.draw(st.lists(st.booleans(), min_size=8, max_size=8))
    expected = [search(path, *index, below) for index, below in zip(searches, falling, strict=True)]
    assert path.find_first_beyond(np.array(falling), *arrays).tolist() == expected
