"""
The hot loop of the minute buckets: trades summed by minute and level in one pass.
"""

import numpy as np
import numpy.typing as npt

from market.arrays import I64
from market.compiled import compiled
from market.errors import SumOverflow
from market.timestamps import MINUTE_NS
from projections.trades.price_levels import prices_of_width, width_at_price

_ANY_PRICE = 2**63 - 1  # above every price


def group_trades(
    times: I64,
    ids: I64,
    prices: I64,
    quantities: I64,
    buyer_is_maker: npt.NDArray[np.bool_],
    level_e8: int | None,
) -> tuple[I64, I64, I64, I64]:
    """
    Sum n trades by minute of trade time and floored price level.

    Args:
        times: (n,) trade times, ns, in any order.
        ids: (n,) agg ids, in any order; they decide a minute's open and close.
        prices, quantities: (n,) 1e-8 quote and counts of quantity, none negative.
        buyer_is_maker: (n,) true where the seller was the aggressor.
        level_e8: width of a level, 1e-8 quote; None where it follows the price; see `price_levels`.

    Returns:
        m minutes, rising; a (4, k) array of level, buy, sell, count, ordered by minute and level; m + 1 offsets into
        it; an (m, 6) array of open, high, low, close, first agg id, last agg id.

    Raises:
        SumOverflow: a sum passed 2^62.
    """
    groups, keys, bars, bar_minutes = _group(times, ids, prices, quantities, buyer_is_maker, np.int64(level_e8 or 0))
    if groups.shape[1] and groups[1:3].max() > 2**62:
        raise SumOverflow("a minute's quantity")
    order = np.lexsort((groups[0], keys))
    minute_order = np.argsort(bar_minutes)
    minutes = bar_minutes[minute_order]
    starts = np.append(np.searchsorted(keys[order], minutes), len(order))
    return minutes, np.ascontiguousarray(groups[:, order]), starts, bars[minute_order]


@compiled
def _group(times, ids, prices, quantities, buyer_is_maker, fixed_width):  # type: ignore[no-untyped-def]
    """Trades come in runs of one minute and one level: a run is summed in registers and stored once."""
    n = len(times)
    width, from_price, to_price = fixed_width, np.int64(0), np.int64(_ANY_PRICE if fixed_width else 0)
    table = np.full(1024, -1, np.int64)
    groups = np.empty((4, 512), np.int64)
    keys = np.empty(512, np.int64)
    group_count = 0
    bars = np.empty((16, 6), np.int64)
    bar_minutes = np.empty(16, np.int64)
    bar_count = 0
    i = 0
    while i < n:
        minute = times[i] - times[i] % MINUTE_NS
        bar_stop = _end_of_minute(times, i, minute)
        bar_count, bars, bar_minutes = _book_bar(bars, bar_minutes, bar_count, minute, ids, prices, i, bar_stop)
        while i < bar_stop:
            if prices[i] < from_price or prices[i] >= to_price:
                width = width_at_price(prices[i])
                from_price, to_price = prices_of_width(width)
            level = prices[i] - prices[i] % width
            level_end = level + width
            buy, sell = np.int64(0), np.int64(0)
            run_start = i
            while i < bar_stop and level <= prices[i] < level_end:
                sold = quantities[i] * buyer_is_maker[i]  # sides alternate at random: no branch to guess
                sell += sold
                buy += quantities[i] - sold
                if (buy | sell) < 0:
                    buy, sell = _OVERFLOW, _OVERFLOW
                i += 1
            if 2 * group_count >= len(table):
                table = _rehash(4 * len(table), keys, groups, group_count)
            if group_count == len(keys):
                wider = np.empty((4, 2 * group_count), np.int64)
                wider[:, :group_count] = groups
                groups = wider
                keys = np.append(keys, np.empty(group_count, np.int64))
            group_count = _book_run(table, groups, keys, group_count, minute, level, buy, sell, i - run_start)
    return groups[:, :group_count], keys[:group_count], bars[:bar_count], bar_minutes[:bar_count]


_OVERFLOW = np.int64(2**62 + 1)  # stands for every sum beyond 2^62, so that none wraps before it is noticed


@compiled
def _end_of_minute(times, start, minute):  # type: ignore[no-untyped-def]
    end = minute + MINUTE_NS
    i = start
    while i < len(times) and minute <= times[i] < end:
        i += 1
    return i


@compiled
def _book_bar(bars, bar_minutes, bar_count, minute, ids, prices, start, stop):  # type: ignore[no-untyped-def]
    bar = -1
    for b in range(bar_count - 1, -1, -1):
        if bar_minutes[b] == minute:
            bar = b
            break
    if bar < 0:
        if bar_count == len(bar_minutes):
            wider_bars = np.empty((2 * bar_count, 6), np.int64)
            wider_bars[:bar_count] = bars
            bars = wider_bars
            bar_minutes = np.append(bar_minutes, np.empty(bar_count, np.int64))
        bar = bar_count
        bar_count += 1
        bar_minutes[bar] = minute
        bars[bar, :4] = prices[start]
        bars[bar, 4:] = ids[start]
    open_price, high, low, close_price, first, last = bars[bar]
    for i in range(start, stop):
        price, number = prices[i], ids[i]
        high = max(high, price)
        low = min(low, price)
        if number < first:
            open_price, first = price, number
        if number >= last:
            close_price, last = price, number
    bars[bar, 0], bars[bar, 1], bars[bar, 2], bars[bar, 3] = open_price, high, low, close_price
    bars[bar, 4], bars[bar, 5] = first, last
    return bar_count, bars, bar_minutes


@compiled
def _book_run(table, groups, keys, group_count, minute, level, buy, sell, count):  # type: ignore[no-untyped-def]
    mask = len(table) - 1
    slot = _hash(minute, level) & mask
    while table[slot] >= 0:
        index = table[slot]
        if keys[index] == minute and groups[0, index] == level:
            groups[1, index] = min(groups[1, index] + buy, _OVERFLOW) if groups[1, index] + buy >= 0 else _OVERFLOW
            groups[2, index] = min(groups[2, index] + sell, _OVERFLOW) if groups[2, index] + sell >= 0 else _OVERFLOW
            groups[3, index] += count
            return group_count
        slot = (slot + 1) & mask
    table[slot] = group_count
    keys[group_count] = minute
    groups[0, group_count], groups[1, group_count], groups[2, group_count], groups[3, group_count] = (
        level,
        buy,
        sell,
        count,
    )
    return group_count + 1


@compiled
def _hash(minute, level):  # type: ignore[no-untyped-def]
    mix = np.uint64(minute) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(level) * np.uint64(0xC2B2AE3D27D4EB4F)
    return np.int64(mix >> np.uint64(20)) & np.int64(0x7FFFFFFF)


@compiled
def _rehash(capacity, keys, groups, group_count):  # type: ignore[no-untyped-def]
    table = np.full(capacity, -1, np.int64)
    for slot_index in range(group_count):
        slot = _hash(keys[slot_index], groups[0, slot_index]) & (capacity - 1)
        while table[slot] >= 0:
            slot = (slot + 1) & (capacity - 1)
        table[slot] = slot_index
    return table
