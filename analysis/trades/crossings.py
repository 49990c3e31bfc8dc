"""
Crossings: how price last went through an interval, and whether that confirms a void (docs/measures.md §4).

A random walk that enters an interval of width w and leaves on the other side needs w²/3σ² minutes on average: that is
the speed that a crossing is compared with, whatever the width. Volume is compared with the mean of what is traded
between two changes of row.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from analysis.parameters import OrderFlowParameters
from market.compiled import compiled
from market.fixed_point import DECIMALS, ONE_E8
from market.timestamps import SECOND_NS
from projections.trades.trade_columns import BLOCK, Trades

_MIN_NS = 1_000_000  # the least duration of a crossing: bounds its speed


class Crossing(msgspec.Struct, frozen=True):
    """
    The last time price went through an interval, from one side to the other.

    Attributes:
        start_ns, stop_ns: from the last trade before it to the first after it, at least a millisecond.
        turnbacks: how often price entered after that and turned back.
        trades, volume_e8: inside the interval on the way; none where price jumped over it.
        volume_per_row_e8, usual_e8: the crossing's, and the mean traded between two changes of row.
        speed: quote units per second. walk_speed: a random walk's for this width.
        thin, fast: by `thin_share` and `fast_ratio`. confirmed: both.
    """

    start_ns: int
    stop_ns: int
    turnbacks: int
    trades: int
    volume_e8: int
    volume_per_row_e8: float
    usual_e8: float
    speed: float
    walk_speed: float
    thin: bool
    fast: bool
    confirmed: bool


def last_crossings(
    trades: Trades,
    intervals_e8: Sequence[tuple[int, int]],
    unit_e8: int,
    row_e8: int,
    parameters: OrderFlowParameters,
) -> list[Crossing | None]:
    """
    Measure how price last went through each of k intervals.

    Args:
        trades: of the last hours.
        intervals_e8: k pairs of low and high, 1e-8 quote, the upper edge exclusive.
        unit_e8: σ at a price, 1e-8 quote.
        row_e8: the width of a row, 1e-8 quote.
        parameters: `thin_share` and `fast_ratio`.

    Returns:
        None for an interval that price did not cross in these trades, and where width, σ or row is not above zero.
    """
    if len(trades) == 0 or unit_e8 <= 0 or row_e8 <= 0:
        return [None] * len(intervals_e8)
    usual = round(int(trades.quantity_e8.sum()) / int(_row_changes(trades.price_e8, np.int64(row_e8))), 4)
    return [_crossing(trades, low, high, unit_e8, row_e8, usual, parameters) for low, high in intervals_e8]


def _crossing(
    trades: Trades, low: int, high: int, unit: int, row: int, usual: float, parameters: OrderFlowParameters
) -> Crossing | None:
    width = high - low
    if width <= 0:
        return None
    before, after, turnbacks = _last_crossing(
        trades.price_e8, trades.block_high_e8, trades.block_low_e8, trades.block_offset, low, high
    )
    if before < 0:
        return None
    inside = trades.part(before + 1, after)
    distance = abs(int(trades.price_e8[after]) - int(trades.price_e8[before]))
    duration_ns = max(_MIN_NS, int(trades.time_ns[after] - trades.time_ns[before]))
    places = _places(low)
    speed = round(distance / ONE_E8 / (duration_ns / SECOND_NS), places)
    walk_speed = round(3 * (unit / ONE_E8) ** 2 / (width / ONE_E8) / 60, places)
    volume = int(inside.quantity_e8.sum())
    volume_per_row = round(volume / max(1.0, width / row), 4)
    thin = volume_per_row <= parameters.thin_share * usual
    fast = speed >= parameters.fast_ratio * walk_speed
    return Crossing(
        start_ns=int(trades.time_ns[before]),
        stop_ns=int(trades.time_ns[before]) + duration_ns,
        turnbacks=int(turnbacks),
        trades=len(inside),
        volume_e8=volume,
        volume_per_row_e8=volume_per_row,
        usual_e8=usual,
        speed=speed,
        walk_speed=walk_speed,
        thin=thin,
        fast=fast,
        confirmed=thin and fast,
    )


def _places(price_e8: int) -> int:
    """How many decimals a speed keeps: 8 from a price of 10,000 on, one more for each power of ten below."""
    return DECIMALS + max(0, len(str(10_000 * ONE_E8)) - len(str(price_e8)))


@compiled
def _last_crossing(prices, block_high, block_low, offset, low, high):  # type: ignore[no-untyped-def]
    """The last trade outside before the last crossing and the first one after it; −1 where there is none."""
    turnbacks = 0
    i = len(prices) - 1
    while i >= 0 and low <= prices[i] < high:  # still inside: no crossing yet
        i -= 1
    after = i  # the earliest trade seen of those outside on this side
    while i > 0:
        block = (i - 1 + offset) // BLOCK
        on_same_side = block_high[block] < low if prices[after] < low else block_low[block] >= high
        if on_same_side:
            i = after = max(0, block * BLOCK - offset)
            continue
        i -= 1
        if low <= prices[i] < high:
            while i >= 0 and low <= prices[i] < high:
                i -= 1
            if i < 0:
                break
            if (prices[i] < low) == (prices[after] < low):
                turnbacks += 1
                after = i
                continue
        elif (prices[i] < low) == (prices[after] < low):
            after = i
            continue
        return i, after, turnbacks
    return -1, -1, turnbacks


@compiled
def _row_changes(prices, row):  # type: ignore[no-untyped-def]
    changes = 1
    for i in range(1, len(prices)):
        changes += prices[i] // row != prices[i - 1] // row
    return np.int64(changes)
