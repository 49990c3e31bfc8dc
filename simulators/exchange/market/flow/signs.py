"""
The side of each ordinary order: it follows the sides of those before it, over spans from some orders to thousands.

Large orders are split, so that signs have long memory (Lillo, Mike and Farmer 2005). Here the chance of a buy is a sum
of the mean signs over four spans, which is how such memory looks to everyone who sees the orders but not their senders:
the expectation of the next sign is known exactly, and nothing but what differs from it is news.
"""

from market.compiled import compiled
from simulators.exchange.market import layout


@compiled
def expected_sign(book, rates):  # type: ignore[no-untyped-def]
    """The mean of the next ordinary order's sign, given all before it: -1 for a seller, 1 for a buyer."""
    total = 0.0
    for k in range(layout.SIGN_SPANS):
        total += rates.sign_weights[k] * book.flow[layout.SIGNS + k]
    return total


@compiled
def remember_sign(book, rates, sign):  # type: ignore[no-untyped-def]
    """
    Let the next orders follow an order.

    Args:
        book: arrays of the market.
        rates: constants of the market.
        sign: -1 for a seller, 1 for a buyer.
    """
    for k in range(layout.SIGN_SPANS):
        book.flow[layout.SIGNS + k] += rates.sign_learning[k] * (sign - book.flow[layout.SIGNS + k])
