"""
The side of each order: the informed trade towards the value, the others in parents split into many children.

Parents after Lillo, Mike and Farmer (2005): lengths with a power-law tail make signs with long memory.
"""

from market.compiled import compiled
from simulators.exchange.market import layout


@compiled
def draw_seller(book, rates, rng):  # type: ignore[no-untyped-def]
    """
    Draw who sends an order.

    Args:
        book: arrays of the market; a parent gives away one of its children.
        rates: constants of the market.
        rng: generator of the random numbers.

    Returns:
        1 for a seller, 0 for a buyer; and whether it is informed.
    """
    flow = book.flow
    gap = flow[layout.VALUE] - flow[layout.LOG_PRICE]
    size = abs(gap)
    if rng.random() * (size + rates.gap_unit * flow[layout.SCALE]) < rates.informed_top * size:
        return 1 if gap < 0.0 else 0, True
    parent = book.parents[int(rng.random() * rates.parents)]
    if parent[layout.CHILDREN] <= 0:
        parent[layout.PARENT_SELLER] = 1 if rng.random() < 0.5 else 0
        length = rates.shortest_parent * (1.0 - rng.random()) ** (-1.0 / rates.parent_power)
        parent[layout.CHILDREN] = int(min(length, rates.longest_parent))
    parent[layout.CHILDREN] -= 1
    return parent[layout.PARENT_SELLER], False
