"""
Reading the levels of a book off its grid.
"""

import numpy as np

from market.compiled import compiled
from simulators.exchange.market import layout


@compiled
def nearest_levels(book, side, limit):  # type: ignore[no-untyped-def]
    """The best levels of a side, best first: their ticks and quantities, at most `limit` of them."""
    state = book.state
    count = min(limit, state[layout.BIDS + side])
    ticks, quantities = np.empty(count, np.int64), np.empty(count, np.int64)
    tick, way = (state[layout.FAIR] + 1, 1) if side else (state[layout.FAIR], -1)
    found = 0
    while found < count:
        quantity = book.quantity[tick - state[layout.BASE]]
        if quantity > 0:
            ticks[found], quantities[found] = tick, quantity
            found += 1
        tick += way
    return ticks, quantities
