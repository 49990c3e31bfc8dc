"""
Laws of the fill engine: it agrees with a slow one written from the words, and its models bound each other.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fills.engine import FillRules
from fills.outcome import REFUSED, STATUSES
from fills.queue_models import FAMILY, MODELS
from tests.fill_builders import outcome_of
from tests.naive_fills import Change, Order, Trade, Variant, evaluate

UNIT = 1000  # counts in one base unit: quantities are whole units, so that no fill is half a count
PRICES = st.integers(96, 104)
TIMES = st.integers(0, 40)
QUANTITIES = st.integers(1, 12).map(lambda units: units * UNIT)
SIZES = st.integers(0, 12).map(lambda units: units * UNIT)
SIGNS = st.sampled_from((-1, 1))
TRADES = st.lists(st.builds(Trade, TIMES, PRICES, QUANTITIES, SIGNS), max_size=40).map(
    lambda trades: sorted(trades, key=lambda trade: trade.at)
)
CHANGES = st.lists(st.builds(Change, TIMES, st.booleans(), PRICES, SIZES), max_size=40).map(
    lambda changes: sorted(changes, key=lambda change: change.at)
)
ORDERS = st.builds(
    lambda is_buy, price, quantity, arrival, life: Order(is_buy, price, quantity, arrival, arrival + life),
    st.booleans(), PRICES, QUANTITIES, TIMES, st.integers(0, 40),
)  # fmt: skip
RULES = FillRules(unit_e8=UNIT)
WHOLE = FillRules(unit_e8=UNIT, fill_whole_beyond=True)


@pytest.mark.parametrize("whole", [False, True])
@settings(max_examples=150, deadline=None)
@given(st.lists(ORDERS, max_size=6), TRADES, CHANGES)
def test_a_slow_engine_fills_the_same(
    whole: bool, orders: list[Order], trades: list[Trade], changes: list[Change]
) -> None:
    """Every order, every model: status, what was ahead, and each fill with its time."""
    outcome = outcome_of(orders, trades, changes, MODELS, WHOLE if whole else RULES)
    for m, model in enumerate(MODELS):
        for n, order in enumerate(orders):
            expected = evaluate(order, trades, changes, model.name, UNIT, Variant(whole=whole))
            mine = (outcome.events.order == n) & (outcome.events.model == m)
            assert STATUSES[outcome.status[m, n]] == expected.status
            assert outcome.ahead_e8[n] == (-1 if expected.ahead is None else expected.ahead)
            assert outcome.events.at_ns[mine].tolist() == [at for at, _ in expected.fills]
            amounts = np.array([quantity for _, quantity in expected.fills])
            assert np.abs(outcome.events.quantity_e8[mine] - amounts).max(initial=0) <= 1  # the last digit of a float
            assert outcome.filled_e8[m, n] == outcome.events.quantity_e8[mine].sum()


@settings(max_examples=200, deadline=None)
@given(st.lists(ORDERS, max_size=6), TRADES, CHANGES)
def test_the_bounds_are_bounds(orders: list[Order], trades: list[Trade], changes: list[Change]) -> None:
    """No order is filled beyond its quantity; through fills least and last, touch most and first, under every model."""
    outcome = outcome_of(orders, trades, changes, MODELS, RULES)
    filled, (touch, through) = outcome.filled_e8, outcome.filled_e8[:2]
    assert (filled >= 0).all()
    assert (filled <= np.array([order.quantity for order in orders], np.int64)).all()
    assert (through <= filled).all()
    assert (filled <= touch).all()
    first = np.where(filled > 0, outcome.first_fill_ns, 2**62)
    assert (first[0] <= first).all()
    assert (first <= first[1]).all()
    assert (outcome.price_e8[filled > 0] == np.broadcast_to(outcome.limit_e8, filled.shape)[filled > 0]).all()


@settings(max_examples=200, deadline=None)
@given(ORDERS, TRADES, SIZES, SIZES)
def test_more_ahead_never_fills_earlier(order: Order, trades: list[Trade], ahead: int, more: int) -> None:
    """With as much ahead or more, and a book that does not move."""
    spread = [Change(-1, not order.is_buy, 96 if order.is_buy else 104, 0)]
    runs = [
        outcome_of([order], trades, [*spread, Change(-1, order.is_buy, order.price, size)], MODELS, RULES)
        for size in (ahead, ahead + more)
    ]
    assert (runs[1].filled_e8 <= runs[0].filled_e8).all()
    first = [np.where(run.filled_e8 > 0, run.first_fill_ns, 2**62) for run in runs]
    assert (first[0] <= first[1]).all()


@settings(max_examples=200, deadline=None)
@given(ORDERS, st.integers(0, 20), TRADES, SIZES)
def test_a_later_arrival_never_fills_more(order: Order, delay: int, trades: list[Trade], ahead: int) -> None:
    """The same cancel, the same book that does not move; an order that is refused on one of both ways says nothing."""
    changes = [Change(-1, order.is_buy, order.price, ahead)]
    late = replace(order, arrival=order.arrival + delay, end=max(order.end, order.arrival + delay))
    outcome = outcome_of([order, late], trades, changes, MODELS, RULES)
    assert not (outcome.status == REFUSED).any()
    assert (outcome.filled_e8[:, 1] <= outcome.filled_e8[:, 0]).all()


@settings(max_examples=200, deadline=None)
@given(ORDERS, st.integers(0, 20), TRADES, CHANGES)
def test_a_later_cancel_never_fills_less(order: Order, delay: int, trades: list[Trade], changes: list[Change]) -> None:
    """What was filled before the first cancel is filled all the same, and at the same time."""
    outcome = outcome_of([order, replace(order, end=order.end + delay)], trades, changes, MODELS, RULES)
    assert (outcome.filled_e8[:, 0] <= outcome.filled_e8[:, 1]).all()
    filled = outcome.filled_e8[:, 0] > 0
    assert (outcome.first_fill_ns[filled, 0] == outcome.first_fill_ns[filled, 1]).all()
    assert (outcome.last_fill_ns[:, 0] < max(order.end, 1)).all()


@settings(max_examples=150, deadline=None)
@given(st.lists(ORDERS, max_size=4), TRADES, CHANGES)
def test_both_sides_are_the_same(orders: list[Order], trades: list[Trade], changes: list[Change]) -> None:
    """A market in the mirror fills the mirrored orders alike."""
    mirrored = (
        [replace(o, is_buy=not o.is_buy, price=200 - o.price) for o in orders],
        [replace(t, price=200 - t.price, sign=-t.sign) for t in trades],
        [replace(c, is_bid=not c.is_bid, price=200 - c.price) for c in changes],
    )
    one, two = outcome_of(orders, trades, changes, MODELS, RULES), outcome_of(*mirrored, MODELS, RULES)
    assert (one.status == two.status).all()
    assert (one.filled_e8 == two.filled_e8).all()
    assert (one.last_fill_ns == two.last_fill_ns).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(ORDERS, min_size=2, max_size=6), TRADES, CHANGES)
def test_orders_are_alone(orders: list[Order], trades: list[Trade], changes: list[Change]) -> None:
    """Orders do not compete: each is filled as if the others were not there."""
    together = outcome_of(orders, trades, changes, FAMILY, RULES)
    alone = [outcome_of([order], trades, changes, FAMILY, RULES) for order in orders]
    assert (together.filled_e8 == np.concatenate([run.filled_e8 for run in alone], axis=1)).all()


@settings(max_examples=100, deadline=None)
@given(ORDERS, TRADES, CHANGES, st.integers(0, 40))
def test_the_future_changes_no_fill(order: Order, trades: list[Trade], changes: list[Change], cut: int) -> None:
    """What is filled before a moment is the same where the record ends at that moment."""
    whole = outcome_of([order], trades, changes, MODELS, RULES)
    early = outcome_of([order], [t for t in trades if t.at < cut], [c for c in changes if c.at < cut], MODELS, RULES)
    if order.arrival >= cut:
        return
    events = whole.events
    before = events.at_ns < cut
    assert events.quantity_e8[before].tolist() == early.events.quantity_e8.tolist()
    assert events.at_ns[before].tolist() == early.events.at_ns.tolist()
