"""
What each order was filled: one search for the trades that reach its price, and all models along them at once.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from fills.displayed_book import DisplayedBook
from fills.order_path import follow_orders
from fills.orders import Orders
from fills.outcome import BOOK_CHANGES, BOOK_SNAPSHOTS, NO_BOOK, FillEvents, Outcome
from fills.queue_models import MODELS, QueueModel
from fills.trade_tape import TradeTape
from market.fixed_point import ONE_E8

_ROOM = 1 << 16  # single fills listed without a second run: a few MB


class FillRules(msgspec.Struct, frozen=True):
    """
    What the engine assumes beside the model of the queue.

    Attributes:
        lot_e8: the smallest step of a fill, counts; what a model leaves over is rounded to the nearest.
        unit_e8: counts in one base unit.
        fill_whole_beyond: False: a trade beyond the price fills as much as it traded. True: it fills the whole order,
            and so does a best price of the other side that reaches the order, as hftbacktest has it.
    """

    lot_e8: int = 1
    unit_e8: int = ONE_E8
    fill_whole_beyond: bool = False


def fill_orders(
    orders: Orders,
    tape: TradeTape,
    book: DisplayedBook,
    models: Sequence[QueueModel] = MODELS,
    rules: FillRules = FillRules(),
    *,
    with_events: bool = False,
) -> Outcome:
    """
    Evaluate orders under models of the queue.

    Each order is alone: orders of one's own do not compete for the same trades, and change nobody's behaviour. An order
    rests from its arrival up to, without, the arrival of its cancel; trades and changes of the same nanosecond come
    after a request. A trade comes before a change of the book of the same time: it caused it.

    Args:
        orders: n orders.
        tape: the trades of the market, with their times at the exchange.
        book: the book, with times at the exchange; `DisplayedBook.empty()` where none was recorded. Where the queue at
            an order's price is unknown, the models of the family wait for a trade beyond it, as `through` does.
        models: m models.
        rules: lot, unit and what a trade beyond the price fills.
        with_events: whether every single fill is listed, which costs several times as much.
    """
    arrival, end = orders.arrival_ns, orders.end_ns
    is_known = book.knows(orders.price_e8, arrival)
    level = np.where(is_known, book.levels_of(orders.is_buy, orders.price_e8), -1)
    kinds = np.array([model.kind for model in models], np.int64)
    powers = np.array([model.power for model in models], np.float64)
    figures = np.zeros((6, len(orders), len(models)), np.int64)
    figures[2:] = -1
    ahead = np.zeros(len(orders), np.int64)
    columns = (
        (
            np.where(orders.is_buy, 1, -1), orders.price_e8, orders.quantity_e8, arrival, end, orders.first_trade,
            level, is_known,
        ),
        (tape.time_ns, tape.price_e8, tape.quantity_e8, tape.sign),
        (tape.block_high_e8, tape.block_low_e8, tape.group_high_e8, tape.group_low_e8),
        (book.offsets, book.at_ns, book.size_e8),
        (book.quote_ns, book.quote_bid_e8, book.quote_ask_e8),
        (kinds, powers),
        (rules.lot_e8, rules.unit_e8, rules.fill_whole_beyond),
        (figures, ahead),
    )  # fmt: skip
    room = _ROOM if with_events else 0
    while (count := follow_orders(*columns, notes := np.empty((5, room), np.int64))) > room:
        room = count  # now it is known how many there are
        figures[:2], figures[2:] = 0, -1
    used = np.where(is_known, BOOK_SNAPSHOTS if book.sampled else BOOK_CHANGES, NO_BOOK)
    status, quantity, first_trade, last_trade, first_ns, last_ns = (figure.T for figure in figures)
    return Outcome(
        tuple(model.name for model in models), orders.price_e8, status, quantity, first_ns, last_ns, first_trade,
        last_trade, ahead, used, FillEvents(*notes[:, :count]),
    )  # fmt: skip
