"""
Price levels of a book as Binance writes them: `[["price", "quantity"], …]`.
"""

from collections.abc import Sequence

import numpy as np

from market.arrays import I64
from market.errors import BadNumber
from market.fixed_point import parse_column


def parse_levels(levels: Sequence[tuple[str, str]], quantity_decimals: int = 8) -> tuple[I64, I64]:
    """
    Parse the levels of a diff, in their order; quantity 0 deletes a level.

    Args:
        levels: k pairs of price and quantity as text.
        quantity_decimals: quantities come out in counts of 10^-decimals; prices always as 1e-8.

    Returns:
        k prices and k quantities, int64.

    Raises:
        BadNumber: a text that is no exact decimal.

    >>> prices, quantities = parse_levels([("100.5", "2"), ("99", "0")])
    >>> prices.tolist(), quantities.tolist()
    ([10050000000, 9900000000], [200000000, 0])
    """
    prices = parse_column([p for p, _ in levels])
    return prices, parse_column([q for _, q in levels], decimals=quantity_decimals, allow_zero=True)


def parse_book_side(levels: Sequence[tuple[str, str]], quantity_decimals: int, direction: int) -> tuple[I64, I64]:
    """
    Parse one side of a snapshot, best level first.

    Args:
        levels: k pairs of price and quantity as text.
        quantity_decimals: quantities come out in counts of 10^-decimals; prices always as 1e-8.
        direction: +1 where prices must rise (asks), −1 where they must fall (bids).

    Returns:
        k prices and k quantities, int64.

    Raises:
        BadNumber: a text that is no exact decimal, a quantity of zero, or levels out of order.
    """
    prices = parse_column([p for p, _ in levels])
    quantities = parse_column([q for _, q in levels], decimals=quantity_decimals)
    if len(prices) > 1 and int((direction * np.diff(prices)).min()) <= 0:
        row = int(np.argmax(direction * np.diff(prices) <= 0)) + 1
        raise BadNumber(levels[row][0], "does not follow the level before it", row)
    return prices, quantities
