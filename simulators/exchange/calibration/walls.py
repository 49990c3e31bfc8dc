"""
The life of natural walls: which of the book's heaviest levels hold, are taken away before the price comes, or creep.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from market.arrays import I64

HORIZON_MIN = 5  # between a wall's first minute and the verdict: the recording lasts ten
_HEAVY = 30.0  # a wall holds so many times the mean of its side's levels within the corridor
_NEAR_BP, _FAR_BP = 3.0, 40.0  # the corridor; nearer walls are touched before they can be pulled
_SAME_SIZE = 0.01  # a wall that moved has its size within this fraction: makers move an order as it is
_STILL_SIZE = 0.5  # a wall holds while it keeps this fraction of its size


@dataclass(frozen=True, slots=True)
class BookSide:
    """
    One side of a book at a minute.

    Attributes:
        price_e8: (n,) prices, best first, 1e-8 quote. quantity_e8: (n,) 1e-8 base.
    """

    price_e8: I64
    quantity_e8: I64


@dataclass(frozen=True, slots=True)
class WallLife:
    """
    The fates of walls after five minutes.

    Attributes:
        walls: number of walls that the price did not reach. held: share that stands where it stood. moved: share that
            stands elsewhere with the same size. pulled: the rest of them.
    """

    walls: int
    held: float
    moved: float
    pulled: float


def measure_wall_life(minutes: Sequence[tuple[BookSide, BookSide]]) -> WallLife:
    """
    Follow every wall of every minute for five minutes.

    Args:
        minutes: bids and asks of the book, a minute apart.
    """
    held = moved = pulled = 0
    for minute in range(len(minutes) - HORIZON_MIN):
        for side in range(2):
            path = [minutes[minute + k][side] for k in range(HORIZON_MIN + 1)]
            for place in _walls(path[0]):
                price_e8, quantity_e8 = int(path[0].price_e8[place]), int(path[0].quantity_e8[place])
                if _is_passed(price_e8, path, side):
                    continue
                later = _quantity_at(path[-1], price_e8)
                if later >= _STILL_SIZE * quantity_e8:
                    held += 1
                elif _same_size(path[0], path[-1], quantity_e8):
                    moved += 1
                else:
                    pulled += 1
    walls = held + moved + pulled
    if walls == 0:
        return WallLife(0, float("nan"), float("nan"), float("nan"))
    return WallLife(walls, held / walls, moved / walls, pulled / walls)


def count_creeping(minutes: Sequence[tuple[BookSide, BookSide]]) -> float:
    """
    The walls that change their place from one minute to the next, per hour: nothing of a wall is left where it stood,
    and its size stands where it did not. NaN below two minutes.

    Args:
        minutes: bids and asks of the book, a minute apart.
    """
    if len(minutes) < 2:
        return float("nan")
    count = 0
    for before, after in pairwise(minutes):
        for side in range(2):
            for place in _walls(before[side]):
                price_e8, quantity_e8 = int(before[side].price_e8[place]), int(before[side].quantity_e8[place])
                left = _quantity_at(after[side], price_e8) < _STILL_SIZE * quantity_e8
                count += left and _same_size(before[side], after[side], quantity_e8)
    return 60.0 * count / (len(minutes) - 1)


def _in_corridor(side: BookSide) -> I64:
    distance_bp = np.abs(side.price_e8 - side.price_e8[0]) / side.price_e8[0] * 1e4
    places: I64 = np.flatnonzero((distance_bp >= _NEAR_BP) & (distance_bp <= _FAR_BP))
    return places


def _walls(side: BookSide) -> list[int]:
    places = _in_corridor(side)
    if len(places) == 0:
        return []
    quantity = side.quantity_e8[places]
    return [int(place) for place in places[quantity >= _HEAVY * quantity.mean()]]


def _is_passed(price_e8: int, path: Sequence[BookSide], side: int) -> bool:
    best = [int(book.price_e8[0]) for book in path]
    return max(best) >= price_e8 if side == 1 else min(best) <= price_e8


def _quantity_at(side: BookSide, price_e8: int) -> int:
    return int(side.quantity_e8[side.price_e8 == price_e8].sum())


def _same_size(before: BookSide, after: BookSide, quantity_e8: int) -> bool:
    # A level of the same size at a price that held none of it before.
    close = np.abs(after.quantity_e8 - quantity_e8) <= _SAME_SIZE * quantity_e8
    places = _in_corridor(after)
    return any(
        close[place] and _quantity_at(before, int(after.price_e8[place])) < _STILL_SIZE * quantity_e8
        for place in places
    )
