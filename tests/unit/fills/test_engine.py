"""The fill engine on markets small enough to follow by hand."""

import numpy as np
import pytest

from fills.displayed_book import DisplayedBook
from fills.engine import FillRules, fill_orders
from fills.latency import Latency
from fills.orders import NEVER_NS, orders_of
from fills.outcome import STATUSES, Outcome
from fills.queue_models import MODELS
from fills.trade_tape import TradeTape
from projections.book.book_levels import Sides
from projections.trades.trade_columns import Trades
from tests.fill_builders import NO_DELAY, a_book, a_tape, ints, outcome_of, some_orders
from tests.naive_fills import Change, Order, Trade

HUGE = 2**62


def status(outcome: Outcome, model: str, order: int = 0) -> str:
    """What became of an order under a model."""
    return STATUSES[outcome.status[outcome.models.index(model), order]]


def filled(outcome: Outcome, model: str, order: int = 0) -> int:
    """How much of it was filled."""
    return int(outcome.filled_e8[outcome.models.index(model), order])


def test_a_trade_eats_the_queue_then_the_order() -> None:
    """5 ahead; 4 trade, then 3: 2 are filled of 6; 3 more; the last needs one more trade, which comes too late."""
    bid = [Change(0, True, 100, 5), Change(0, False, 101, 9)]
    trades = [Trade(10, 100, 4, -1), Trade(20, 100, 3, -1), Trade(30, 100, 3, -1), Trade(50, 100, 9, -1)]
    outcome = outcome_of([Order(True, 100, 6, 5, 50)], trades, bid)
    assert (status(outcome, "risk adverse"), filled(outcome, "risk adverse")) == ("partial", 5)
    assert (status(outcome, "touch"), filled(outcome, "touch")) == ("filled", 6)
    assert (status(outcome, "through"), filled(outcome, "through")) == ("cancelled", 0)
    risk = outcome.models.index("risk adverse")
    assert (outcome.first_fill_ns[risk, 0], outcome.last_fill_ns[risk, 0]) == (20, 30)
    assert (outcome.first_trade[risk, 0], outcome.last_trade[risk, 0]) == (1, 2)
    assert (outcome.price_e8[risk, 0], outcome.price_e8[1, 0]) == (100, -1)
    assert outcome.ahead_e8.tolist() == [5]
    assert outcome.sources() == {"unknown": 0, "book changes": 1, "book snapshots": 0}
    assert outcome.counts()["touch"]["filled"] == 1


def test_a_trade_beyond_the_price_ends_the_queue() -> None:
    """100 ahead, and a seller two ticks lower: as much is filled as traded there, or all, as hftbacktest has it."""
    bid = [Change(0, True, 100, 100), Change(0, False, 101, 9)]
    orders, trades = [Order(True, 100, 6, 5, 50)], [Trade(10, 98, 4, -1), Trade(60, 101, 1, 1)]
    for model in MODELS:
        assert filled(outcome_of(orders, trades, bid), model.name) == 4
        assert filled(outcome_of(orders, trades, bid, rules=FillRules(fill_whole_beyond=True)), model.name) == 6


def test_an_order_that_would_trade_at_once_is_refused() -> None:
    """By the best ask; without a book by the last trade: above it, or at it where a buyer paid it."""
    at_ask, below = Order(True, 101, 1, 5, 50), Order(True, 100, 1, 5, 50)
    quotes = [Change(0, True, 100, 1), Change(0, False, 101, 1)]
    outcome = outcome_of([at_ask, below], [Trade(1, 100, 1, -1)], quotes)
    assert [status(outcome, "touch", n) for n in range(2)] == ["refused post-only", "unfilled"]
    assert [status(outcome_of([below], [Trade(1, 100, 1, sign)]), "touch") for sign in (1, -1)] == [
        "refused post-only", "unfilled",
    ]  # fmt: skip
    assert status(outcome_of([below], [Trade(1, 99, 1, -1)]), "touch") == "refused post-only"
    assert status(outcome_of([below], []), "touch") == "unfilled"


def test_the_cancel_races_the_trade() -> None:
    """Sent at 0, there at 10; the cancel leaves at 20, is there at 25: what trades at 24 fills, at 25 no more."""
    tape = a_tape(Trade(9, 99, 1, -1), Trade(24, 99, 1, -1), Trade(25, 99, 1, -1))
    orders = orders_of(
        np.array([True]), ints(99), ints(3), ints(0), ints(20), entry=Latency.constant(10), cancel=Latency.constant(5)
    )
    outcome = fill_orders(orders, tape, DisplayedBook.empty())
    assert (status(outcome, "touch"), filled(outcome, "touch")) == ("partial", 1)


def test_a_cancel_that_overtakes_its_order() -> None:
    """Nothing rests, nothing fills."""
    orders = orders_of(
        np.array([True]), ints(99), ints(3), ints(0), ints(1), entry=Latency.constant(10), cancel=Latency.constant(0)
    )
    outcome = fill_orders(orders, a_tape(Trade(10, 98, 9, -1)), DisplayedBook.empty())
    assert status(outcome, "touch") == "cancelled"


def test_an_unknown_queue_waits_for_a_trade_beyond() -> None:
    """Without a book the family is as `through`, and the outcome says so."""
    outcome = outcome_of([Order(True, 100, 2, 5, 50)], [Trade(10, 100, 9, -1), Trade(20, 99, 1, -1)])
    assert filled(outcome, "touch") == 2
    assert [filled(outcome, model.name) for model in MODELS[1:]] == [1] * (len(MODELS) - 1)
    assert outcome.ahead_e8.tolist() == [-1]
    assert outcome.sources()["unknown"] == 1


def test_an_aggressor_of_ones_own_side_shows_that_the_price_was_crossed() -> None:
    """A buyer who pays 100 found an ask there: it would have met our bid of 100 first."""
    bid = [Change(0, True, 100, 50), Change(0, False, 103, 9)]
    outcome = outcome_of([Order(True, 100, 2, 5, 50)], [Trade(10, 100, 1, 1), Trade(60, 101, 1, 1)], bid)
    assert (filled(outcome, "risk adverse"), filled(outcome, "touch"), filled(outcome, "through")) == (1, 1, 0)


def test_what_was_known_does_not_fill() -> None:
    """Trades before the first that may fill are passed over, whatever their time."""
    orders = orders_of(
        np.array([True]), ints(99), ints(5), ints(0), ints(NEVER_NS), entry=NO_DELAY, first_trade=ints(1)
    )
    outcome = fill_orders(orders, a_tape(Trade(5, 99, 4, -1), Trade(5, 99, 1, -1)), DisplayedBook.empty())
    assert (status(outcome, "touch"), filled(outcome, "touch")) == ("partial", 1)


def test_snapshots_stand_for_the_book_until_they_are_stale() -> None:
    """A level between the prices of a snapshot is empty where it is not named; outside them nothing is known."""
    books = [
        Sides(ints(100, 98), ints(7, 2), ints(102), ints(3)),
        Sides(ints(100), ints(4), ints(102), ints(3)),
    ]
    book = DisplayedBook.from_snapshots(ints(0, 60), books, stale_ns=60)
    at = [
        Order(True, price, 1, when, 200) for price, when in ((100, 1), (98, 1), (99, 1), (97, 1), (98, 61), (100, 121))
    ]
    outcome = fill_orders(some_orders(at), a_tape(Trade(300, 101, 1, -1)), book)
    assert outcome.ahead_e8.tolist() == [7, 2, 0, -1, -1, -1]
    assert outcome.queue_source.tolist() == [2, 2, 2, 0, 0, 0]
    late = fill_orders(some_orders([Order(True, 100, 1, 61, 200)]), a_tape(Trade(300, 101, 1, -1)), book)
    assert late.ahead_e8.tolist() == [4]


def test_a_level_that_leaves_the_snapshot_and_comes_back_empty() -> None:
    """Its last known size is not believed."""
    one = Sides(ints(100, 90), ints(7, 2), ints(102), ints(3))
    far, back = Sides(ints(101), ints(1), ints(102), ints(3)), Sides(ints(100, 80), ints(7, 1), ints(102), ints(3))
    book = DisplayedBook.from_snapshots(ints(0, 60, 120), [one, far, back], stale_ns=60)
    outcome = fill_orders(some_orders([Order(True, 90, 1, 130, 200)]), a_tape(), book)
    assert outcome.ahead_e8.tolist() == [0]


def test_nothing_at_all() -> None:
    """No orders, no trades, no book, no models: empty columns."""
    outcome = outcome_of([], [])
    assert outcome.status.shape == (len(MODELS), 0)
    assert outcome.counts()["touch"]["filled"] == len(outcome.events) == 0
    assert outcome_of([Order(True, 1, 1, 0, 1)], [], models=()).status.shape == (0, 1)
    assert status(fill_orders(some_orders([Order(False, 1, 1, 0, 1)]), a_tape(), a_book()), "log") == "unfilled"
    assert len(TradeTape.from_trades(Trades.empty())) == 0
    assert DisplayedBook.from_snapshots(ints(), [], 60).at_ns.tolist() == []


def test_the_largest_numbers() -> None:
    """Prices and quantities up to 2^62: no sum wraps."""
    bid = [Change(0, True, HUGE, HUGE), Change(1, True, HUGE, HUGE - 5)]
    trades = [Trade(10 + n, HUGE, HUGE, -1) for n in range(4)]
    outcome = outcome_of([Order(True, HUGE, HUGE, 5, 50)], trades, bid)
    assert (status(outcome, "touch"), filled(outcome, "touch")) == ("filled", HUGE)
    assert [filled(outcome, model.name) for model in MODELS[2:]] == [HUGE] * len(MODELS[2:])
    assert filled(outcome, "through") == 0
    assert filled(outcome_of([Order(True, HUGE, HUGE, 5, 50)], [Trade(10, 1, HUGE, -1)], bid), "through") == HUGE


def test_times_that_fall_back() -> None:
    """Ids order trades: one with an earlier time than its predecessor counts as made at the same time."""
    outcome = outcome_of([Order(True, 99, 2, 8, 50)], [Trade(10, 101, 1, 1), Trade(5, 99, 1, -1)])
    assert outcome.first_fill_ns[0, 0] == 10


def test_more_fills_than_there_was_room_for() -> None:
    """Single fills beyond the first room are listed all the same."""
    trades = [Trade(10 + n, 99, 1, -1) for n in range(10_000)]
    outcome = outcome_of([Order(True, 99, HUGE, 8, NEVER_NS)], trades, [Change(0, True, 99, 0)])
    assert len(outcome.events) == 10_000 * (len(MODELS) - 1) > 1 << 16
    assert outcome.events.quantity_e8.sum() == outcome.filled_e8.sum()


@pytest.mark.parametrize(("price", "quantity"), [(0, 1), (1, 0), (-1, 1), (1, 2**62 + 1)])
def test_numbers_that_no_order_has(price: int, quantity: int) -> None:
    """A price and a quantity lie above zero, up to 2^62."""
    with pytest.raises(ValueError, match="must lie above 0"):
        some_orders([Order(True, price, quantity, 0, 1)])


def test_columns_that_do_not_fit() -> None:
    """Every column has a row for every order."""
    with pytest.raises(ValueError, match="rows for as many orders"):
        orders_of(np.array([True]), ints(1, 2), ints(1), ints(0), ints(1), entry=NO_DELAY)
