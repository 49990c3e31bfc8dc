"""
Orders as columns: what is asked of the exchange, when the request is sent, and when it gets there.
"""

import msgspec
import numpy as np

from fills.latency import Latency
from market.arrays import I64, Bools
from market.fixed_point import LARGEST_E8

NEVER_NS = 2**62
"""The cancel time of an order that is never cancelled: later than every record, and a delay can still be added."""


class Orders(msgspec.Struct, frozen=True):
    """
    n post-only limit orders, each evaluated as if it were alone in the market.

    Attributes:
        is_buy: the side.
        price_e8, quantity_e8: the limit, 1e-8 quote, and counts of quantity; above zero.
        sent_ns: when the request leaves. cancel_ns: when the cancel leaves, NEVER_NS for none.
        entry_ns, cancel_delay_ns: how long each takes to the exchange.
        first_trade: index of the first trade that may fill it: what was known when it was sent may not.
    """

    is_buy: Bools
    price_e8: I64
    quantity_e8: I64
    sent_ns: I64
    cancel_ns: I64
    entry_ns: I64
    cancel_delay_ns: I64
    first_trade: I64

    def __len__(self) -> int:
        return len(self.price_e8)

    def pick(self, index: I64) -> "Orders":
        """Some of them, by index."""
        return Orders(*(getattr(self, name)[index] for name in self.__struct_fields__))

    @property
    def arrival_ns(self) -> I64:
        """When each order is at the exchange."""
        return self.sent_ns + self.entry_ns

    @property
    def end_ns(self) -> I64:
        """When its cancel is at the exchange: it fills until then. A cancel that overtakes its order leaves nothing."""
        return np.maximum(self.cancel_ns + self.cancel_delay_ns, self.arrival_ns)


def orders_of(
    is_buy: Bools,
    price_e8: I64,
    quantity_e8: I64,
    sent_ns: I64,
    cancel_ns: I64,
    *,
    entry: Latency,
    cancel: Latency | None = None,
    chance: np.random.Generator | None = None,
    first_trade: I64 | None = None,
) -> Orders:
    """
    Orders that are held until they expire or are cancelled.

    Args:
        is_buy: n sides.
        price_e8, quantity_e8: n limits, 1e-8 quote, and quantities, counts.
        sent_ns, cancel_ns: when each request and each cancel leaves, ns; NEVER_NS for no cancel.
        entry, cancel: how long requests and cancels take; a cancel as long as a request where it is not given.
        chance: a seeded generator, where delays are drawn.
        first_trade: n indices of the first trade that may fill each; all may where it is not given.

    Raises:
        ValueError: columns of different lengths, a price or a quantity that is not above zero or beyond 2^62.
    """
    count = len(price_e8)
    first = np.zeros(count, np.int64) if first_trade is None else first_trade
    columns = (is_buy, price_e8, quantity_e8, sent_ns, cancel_ns, first)
    if any(len(column) != count for column in columns):
        raise ValueError(f"columns of {[len(column) for column in columns]} rows for as many orders")
    for name, column in (("price", price_e8), ("quantity", quantity_e8)):
        if count and not 0 < column.min() <= column.max() <= LARGEST_E8:
            raise ValueError(f"a {name} from {column.min()} to {column.max()}: it must lie above 0, up to 2^62")
    delay, cancel_delay = entry.draw(count, chance), (cancel or entry).draw(count, chance)
    price, quantity, sent, cancelled = (
        np.ascontiguousarray(column, np.int64) for column in (price_e8, quantity_e8, sent_ns, cancel_ns)
    )
    is_buy, first = np.ascontiguousarray(is_buy, np.bool_), np.ascontiguousarray(first, np.int64)
    return Orders(is_buy, price, quantity, sent, cancelled, delay, cancel_delay, first)
