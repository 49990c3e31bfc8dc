"""
Reads the levels of a book from its grid.
"""

import numpy as np

from market.compiled import compiled
from simulators.exchange.market import layout


@compiled
def nearest_levels(book, side, limit):  # type: ignore[no-untyped-def]
    """
    The best levels of a side.

    Args:
        book: arrays of the market.
        side: 0 for bids, 1 for asks.
        limit: number of levels, at most.

    Returns:
        n ticks, best first, and n quantities, 1e-8 base.
    """
    state = book.state
    total = min(limit, state[layout.BIDS + side])
    ticks, quantities = np.empty(total, np.int64), np.empty(total, np.int64)
    tick, direction = (state[layout.FAIR] + 1, 1) if side else (state[layout.FAIR], -1)
    count = 0
    while count < total:
        quantity = book.quantity[tick - state[layout.BASE]]
        if quantity > 0:
            ticks[count], quantities[count] = tick, quantity
            count += 1
        tick += direction
    return ticks, quantities
