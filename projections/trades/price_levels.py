"""
The width of a price level where none is configured: a power of ten that follows the price.

A level's width is a function of the price in it alone. So the level of a trade follows from the trade, live and in a
replay, and whatever came before; and where price passes a power of ten, levels get ten times as wide or as narrow
there.
"""

import numpy as np

from market.compiled import compiled

MIN_LEVELS = 20_000
"""The least number of levels that a price is worth, and less than ten times as many: a level is 0.05 to 0.5 bp."""

_ANY_PRICE = 2**63 - 1  # above every price: the widest level has no end
_WIDEST = 10**14  # of the largest price that an int64 holds


def level_width_e8(price_e8: int, fixed_e8: int | None = None) -> int:
    """
    The width of the level that a price lies in, 1e-8 quote: $1 from 20,000 to 200,000.

    Args:
        price_e8: above 0.
        fixed_e8: the configured width, None where it follows the price.
    """
    return int(width_at_price(price_e8)) if fixed_e8 is None else fixed_e8


@compiled
def width_at_price(price_e8):  # type: ignore[no-untyped-def]
    """The largest power of ten of which a price is worth `MIN_LEVELS`; 1 where there is none."""
    bound, width = price_e8 // (10 * MIN_LEVELS), np.int64(1)
    while width <= bound:
        width *= 10
    return width


@compiled
def prices_of_width(width_e8):  # type: ignore[no-untyped-def]
    """The prices whose levels have this width, the second exclusive."""
    first = width_e8 * MIN_LEVELS if width_e8 > 1 else 0
    return first, 10 * width_e8 * MIN_LEVELS if width_e8 < _WIDEST else _ANY_PRICE
