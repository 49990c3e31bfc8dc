"""
How busy a market is: its pace wanders over half hours, and orders excite further ones.
"""

from math import exp

from market.compiled import compiled
from simulators.exchange.market import layout


@compiled
def order_pace(book, rates):  # type: ignore[no-untyped-def]
    """The pace of orders that nothing excited, over the usual one."""
    return exp(book.flow[layout.LOG_ACTIVITY] - 0.5 * rates.activity_variance)


@compiled
def is_calm(book, rates):  # type: ignore[no-untyped-def]
    """Whether few orders come, for the pace that the market has: makers learn without a trade then."""
    return book.flow[layout.EXCITEMENT] <= rates.calm_part * rates.usual_excitement * order_pace(book, rates)
