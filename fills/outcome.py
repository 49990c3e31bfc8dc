"""
What became of orders under each model, as columns.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from fills.queue_models import QueueModel
from market.arrays import I64

UNFILLED, CANCELLED, PARTIAL, FILLED, REFUSED = range(5)  # places in STATUSES; they may be stored in files
STATUSES = ("unfilled", "cancelled", "partial", "filled", "refused post-only")
"""
Unfilled: it still rests where the record ends, and nothing was filled. Cancelled: its cancel came before any fill.
Partial: something was filled, and not all. Refused: it would have traded at once, so a post-only order never rests.
"""

NO_BOOK, BOOK_CHANGES, BOOK_SNAPSHOTS = range(3)  # places in QUEUE_SOURCES; they may be stored in files
QUEUE_SOURCES = ("unknown", "book changes", "book snapshots")
"""Where the queue ahead of an order was read."""


class FillEvents(msgspec.Struct, frozen=True):
    """
    Every single fill, by order, then time.

    Attributes:
        order, model: which, as indices. at_ns: when. quantity_e8: counts. trade: index of the trade, −1 where the book
            crossed the order.
    """

    order: I64
    model: I64
    at_ns: I64
    quantity_e8: I64
    trade: I64

    def __len__(self) -> int:
        return len(self.order)


class Outcome(msgspec.Struct, frozen=True):
    """
    n orders under m models.

    Attributes:
        models: their names. limit_e8: (n,) prices of the orders.
        status: (m, n) places in STATUSES. filled_e8: (m, n) counts of quantity.
        first_fill_ns, last_fill_ns: (m, n) ns, −1 for none.
        first_trade, last_trade: (m, n) indices of the trades of the first and the last fill, −1 for none.
        ahead_e8: (n,) displayed quantity at the order's price when it arrived, counts; −1 where it is not known.
        queue_source: (n,) places in QUEUE_SOURCES.
        events: every single fill, where they were asked for.
    """

    models: tuple[str, ...]
    limit_e8: I64
    status: I64
    filled_e8: I64
    first_fill_ns: I64
    last_fill_ns: I64
    first_trade: I64
    last_trade: I64
    ahead_e8: I64
    queue_source: I64
    events: FillEvents

    @classmethod
    def none(cls, limit_e8: I64, models: Sequence[QueueModel]) -> "Outcome":
        """
        Nothing filled yet; to be filled in with `put`.

        Args:
            limit_e8: (n,) prices of the orders.
            models: m models.
        """
        count, shape = len(limit_e8), (len(models), len(limit_e8))
        status, filled = np.full(shape, UNFILLED, np.int64), np.zeros(shape, np.int64)
        first_ns, last_ns, first_trade, last_trade = (np.full(shape, -1, np.int64) for _ in range(4))
        ahead, source = np.full(count, -1, np.int64), np.full(count, NO_BOOK, np.int64)
        nothing = FillEvents(*np.empty((5, 0), np.int64))
        names = tuple(model.name for model in models)
        times = first_ns, last_ns, first_trade, last_trade
        return cls(names, limit_e8, status, filled, *times, ahead, source, nothing)

    def put(self, index: I64, part: "Outcome") -> None:
        """
        Take over what became of some of the orders; single fills are not.

        Args:
            index: of k orders.
            part: what became of those, under the same models.
        """
        for name in ("status", "filled_e8", "first_fill_ns", "last_fill_ns", "first_trade", "last_trade"):
            getattr(self, name)[:, index] = getattr(part, name)
        self.ahead_e8[index], self.queue_source[index] = part.ahead_e8, part.queue_source

    @property
    def price_e8(self) -> I64:
        """(m, n) quantity-weighted mean price of the fills, 1e-8 quote: the limit, for all are passive; −1 for none."""
        return np.where(self.filled_e8 > 0, self.limit_e8, np.int64(-1))

    def counts(self) -> dict[str, dict[str, int]]:
        """Orders by model and status, for a table."""
        return {
            name: {status: int((row == place).sum()) for place, status in enumerate(STATUSES)}
            for name, row in zip(self.models, self.status, strict=True)
        }

    def sources(self) -> dict[str, int]:
        """Orders by where the queue ahead of them was read: to be printed beside what rests on it."""
        return {name: int((self.queue_source == place).sum()) for place, name in enumerate(QUEUE_SOURCES)}
