"""Orders, trades and books of the fill engine, from plain Python values."""

from collections.abc import Sequence

import numpy as np

from fills.displayed_book import DisplayedBook
from fills.engine import FillRules, fill_orders
from fills.latency import Latency
from fills.orders import Orders, orders_of
from fills.outcome import Outcome
from fills.queue_models import MODELS, QueueModel
from fills.trade_tape import TradeTape
from market.arrays import I64
from tests.naive_fills import Change, Order, Trade

NO_DELAY = Latency.constant(0)
ALWAYS = tuple(np.array([value], np.int64) for value in (-(2**60), 2**60, 0, 2**62))
"""One span in which every price of a book is known."""


def ints(*values: int) -> I64:
    """A column."""
    return np.array(values, np.int64)


def a_tape(*trades: Trade) -> TradeTape:
    """The trades as columns."""
    rows = [(t.at, t.price, t.quantity, t.sign) for t in trades]
    return TradeTape.from_columns(*np.array(rows, np.int64).reshape(-1, 4).T.copy())


def a_book(*changes: Change) -> DisplayedBook:
    """A book that is known from its first change on; none without one."""
    if not changes:
        return DisplayedBook.empty()
    rows = np.array([(c.at, c.is_bid, c.price, c.size) for c in changes], np.int64).T.copy()
    _, until, low, high = ALWAYS
    spans = (rows[0][:1] + 1, until, low, high)
    return DisplayedBook.from_changes(rows[0], rows[1] == 1, rows[2], rows[3], spans)


def some_orders(orders: Sequence[Order]) -> Orders:
    """The orders as columns, without delays."""
    rows = np.array([(o.is_buy, o.price, o.quantity, o.arrival, o.end) for o in orders], np.int64)
    is_buy, price, quantity, sent, cancel = rows.reshape(-1, 5).T.copy()
    return orders_of(is_buy == 1, price, quantity, sent, cancel, entry=NO_DELAY)


def outcome_of(
    orders: Sequence[Order],
    trades: Sequence[Trade],
    changes: Sequence[Change] = (),
    models: Sequence[QueueModel] = MODELS,
    rules: FillRules = FillRules(),
) -> Outcome:
    """What the engine makes of them."""
    return fill_orders(some_orders(orders), a_tape(*trades), a_book(*changes), models, rules, with_events=True)
