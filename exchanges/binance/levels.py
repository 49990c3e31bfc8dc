"""
Price levels of a book as the venue writes them: `[["price", "quantity"], …]`.
"""

from collections.abc import Sequence

import numpy as np

from market.arrays import I64
from market.errors import BadNumber
from market.fixed_point import parse_column


def changed_levels(levels: Sequence[tuple[str, str]], quantity_decimals: int = 8) -> tuple[I64, I64]:
    """
    The levels of a diff, in the venue's order; quantity 0 deletes.

    Returns:
        k prices and k quantities, int64.

    Raises:
        BadNumber: a text that is no exact decimal.
    """
    prices = parse_column([p for p, _ in levels])
    return prices, parse_column([q for _, q in levels], decimals=quantity_decimals, allow_zero=True)


def book_side(levels: Sequence[tuple[str, str]], quantity_decimals: int, direction: int) -> tuple[I64, I64]:
    """
    One side of a snapshot, best first.

    Args:
        direction: +1 where prices must rise (asks), −1 where they must fall (bids).

    Raises:
        BadNumber: a text that is no exact decimal, a quantity of zero, or levels out of order.
    """
    prices = parse_column([p for p, _ in levels])
    quantities = parse_column([q for _, q in levels], decimals=quantity_decimals)
    if len(prices) > 1 and int((direction * np.diff(prices)).min()) <= 0:
        row = int(np.argmax(direction * np.diff(prices) <= 0)) + 1
        raise BadNumber(levels[row][0], "does not follow the level before it", row)
    return prices, quantities
