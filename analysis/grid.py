"""
Widths that follow the price: the 1-2-5 numbers.
"""

import math

import numpy as np


def one_two_five(width: float) -> int:
    """
    The number 1, 2 or 5 times a power of ten, at least 1, that lies nearest to a width; the smaller one on a tie.

    >>> [one_two_five(width) for width in (14, 15, 36, 76)]
    [10, 10, 50, 100]
    """
    if width <= 1:
        return 1
    power = 10 ** math.floor(math.log10(width))
    return int(min((power, 2 * power, 5 * power, 10 * power), key=lambda c: (abs(c - width), c)))


def bin_width_e8(price_e8: float, per_price: float, tick_size_e8: int) -> int:
    """
    The width of a book bin, 1e-8 quote: at least a tick, and a whole number of ticks.

    Args:
        price_e8: 1e-8 quote.
        per_price: the width is the 1-2-5 number nearest price times this.
        tick_size_e8: 1e-8 quote.

    >>> bin_width_e8(84_000 * 10**8, 1.2e-5, 10**6) == 10**8
    True
    """
    return _in_steps(one_two_five(price_e8 * per_price), tick_size_e8)


def profile_row_e8(price_e8: float, row_bp: float, level_e8: int) -> int:
    """
    The height of a profile's row, 1e-8 quote: at least a level, and a whole number of levels.

    Args:
        price_e8: 1e-8 quote.
        row_bp: the height is the 1-2-5 number nearest this part of price, basis points.
        level_e8: height of a level, 1e-8 quote.

    >>> profile_row_e8(42_000 * 10**8, 2.0, 10**8) == 10 * 10**8
    True
    """
    return _in_steps(one_two_five(price_e8 * row_bp / 1e4), level_e8)


def _in_steps(width: int, step: int) -> int:
    return -(-max(width, step) // step) * step


def count_bins(price_e8: float, bp: float, width_e8: int, min_bins: int) -> int:
    """
    The number of bins that a distance spans.

    Args:
        price_e8: the price that the distance is measured from, 1e-8 quote.
        bp: the distance, basis points.
        width_e8: width of a bin, 1e-8 quote.
        min_bins: least number, returned where the distance spans fewer.
    """
    return max(round(price_e8 * bp / 1e4 / width_e8), min_bins)


def bp_between(price_e8: float, reference_e8: float) -> float:
    """The signed distance of a price from a reference, basis points to two decimals."""
    return round((price_e8 - reference_e8) / reference_e8 * 1e4, 2)


def heaviest_run(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[int, int]:
    """The stretch [start, stop) of values with the largest sum; empty where nothing is above zero."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    rise = total - np.minimum.accumulate(total)
    stop = int(np.argmax(rise))
    return (int(np.argmin(total[: stop + 1])), stop) if rise[stop] > 0 else (0, 0)
