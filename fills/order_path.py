"""
The hot loop of the engine: each order along the trades that reach its price and the changes of its level.
"""

import numpy as np

from fills.outcome import CANCELLED, FILLED, PARTIAL, REFUSED, UNFILLED
from fills.queue_models import RISK_ADVERSE, THROUGH, TOUCH, front_after_change
from fills.trade_tape import BLOCK, GROUP
from market.compiled import compiled

_NEVER = np.int64(2**63 - 1)  # later than every time


@compiled
def follow_orders(orders, tape, blocks, levels, quotes, models, rules, out):  # type: ignore[no-untyped-def]
    """
    Fill the results of n orders under m models.

    Args:
        orders: sign (+1 buy), limit, quantity, arrival, end, first trade, level, since when the level is known.
        tape, blocks: columns of trades, and their extremes; see `TradeTape`.
        levels, quotes: offsets, times and sizes of levels, and best prices; see `DisplayedBook`.
        models: kinds and powers.
        rules: lot, unit, whether a trade beyond the price fills the whole order.
        out: (6, m, n) status, quantity, first and last trade, first and last time; (n,) quantity ahead. Changed.

    Returns:
        Columns of fills: order, model, time, quantity, trade.
    """
    sign, limit, quantity, arrival, end, first_trade, level, since = orders
    figures, ahead = out
    kinds = models[0]
    front, left = np.empty(len(kinds), np.float64), np.empty(len(kinds), np.int64)
    events, count = np.empty((5, 64), np.int64), np.int64(0)
    for k in range(len(limit)):
        start = max(np.searchsorted(tape[0], arrival[k]), first_trade[k])
        stop = max(np.searchsorted(tape[0], end[k]), start)
        row, size = _level_at(levels, level[k], arrival[k], since[k])
        ahead[k] = size
        if _is_marketable(tape, quotes, sign[k], limit[k], arrival[k], start):
            figures[0, :, k] = REFUSED
            continue
        left[:] = quantity[k]
        for m in range(len(kinds)):
            is_last = kinds[m] == THROUGH or (size < 0 and kinds[m] != TOUCH)
            front[m] = np.inf if is_last else 0.0 if kinds[m] == TOUCH else np.float64(size)
        order = (k, sign[k], limit[k], arrival[k], end[k], start, stop, level[k])
        events, count = _follow(order, row, size, tape, blocks, levels, quotes, models, rules, front, left, figures,
                                events, count)  # fmt: skip
        is_over = len(tape[0]) > 0 and end[k] <= tape[0][-1]
        for m in range(len(kinds)):
            filled = quantity[k] - left[m]
            figures[1, m, k] = filled
            rest = CANCELLED if is_over else UNFILLED
            figures[0, m, k] = FILLED if left[m] == 0 else PARTIAL if filled > 0 else rest
    return events[0, :count], events[1, :count], events[2, :count], events[3, :count], events[4, :count]


@compiled
def _follow(order, row, size, tape, blocks, levels, quotes, models, rules, front, left, figures, events, count):  # type: ignore[no-untyped-def]
    k, sign, limit, arrival, end, i, stop, level = order
    times, prices, quantities, signs = tape
    kinds, powers = models
    offsets, change_ns, sizes = levels
    last_row = offsets[level + 1] if level >= 0 else row
    lot, unit, is_whole = rules
    cross_ns = _crossing(quotes, sign, limit, arrival, end) if is_whole else _NEVER
    traded = np.int64(0)
    waiting = len(kinds)
    while waiting > 0:
        i = _next_reach(prices, blocks, sign, limit, i, stop)
        now = times[i] if i < stop else min(end, cross_ns)
        while row < last_row and change_ns[row] < now:
            if size >= 0:
                _change_fronts(kinds, powers, front, np.float64(traded), np.float64(size), np.float64(sizes[row]), unit)
            size, traded, row = sizes[row], np.int64(0), row + 1
        if cross_ns < now or i >= stop:
            if cross_ns < end:
                for m in range(len(kinds)):
                    if left[m] > 0:
                        events, count = _fill(events, count, figures, k, m, left[m], cross_ns, -1)
                        left[m] = 0
            break
        distance, opposes = sign * (limit - prices[i]), signs[i] != sign
        for m in range(len(kinds)):
            if left[m] == 0:
                continue
            amount = _take(kinds[m], front, m, quantities[i], distance, opposes, lot, is_whole, left[m])
            if amount > 0:
                events, count = _fill(events, count, figures, k, m, amount, times[i], i)
                left[m] -= amount
                waiting -= left[m] == 0
        if distance == 0 and opposes:
            traded = min(traded, _NEVER - quantities[i]) + quantities[i]
        i += 1
    return events, count


@compiled
def _take(kind, front, m, quantity, distance, opposes, lot, is_whole, left):  # type: ignore[no-untyped-def]
    """What a trade at the price or beyond fills of an order under one model; its front is changed."""
    if is_whole and not opposes:
        return np.int64(0)
    if distance > 0 or (not opposes and kind != THROUGH):  # an aggressor of one's own side: the other side came here
        front[m] = 0.0 if kind != THROUGH else np.inf
        return left if is_whole else min(quantity, left)
    if kind == THROUGH:
        return np.int64(0)
    if kind == TOUCH:
        return min(quantity, left)
    front[m] -= quantity
    if front[m] >= 0.0:
        return np.int64(0)
    beyond = min(-front[m], np.float64(quantity))
    front[m] = 0.0
    if beyond >= np.float64(quantity):
        return min(quantity, left)
    return min(np.int64(np.floor(beyond / lot + 0.5)) * lot, quantity, left)


@compiled
def _change_fronts(kinds, powers, front, traded, size, new_size, unit):  # type: ignore[no-untyped-def]
    for m in range(len(kinds)):
        if front[m] > 0.0 and kinds[m] >= RISK_ADVERSE and front[m] != np.inf:
            front[m] = front_after_change(kinds[m], powers[m], front[m], traded, size, new_size, np.float64(unit))


@compiled
def _next_reach(prices, blocks, sign, limit, start, stop):  # type: ignore[no-untyped-def]
    """The first trade in start..stop−1 at the limit or beyond; stop where there is none."""
    high, low, group_high, group_low = blocks
    i = start
    while i < stop:
        group, block = i // GROUP, i // BLOCK
        if (sign > 0 and group_low[group] > limit) or (sign < 0 and group_high[group] < limit):
            i = (group + 1) * GROUP
        elif (sign > 0 and low[block] > limit) or (sign < 0 and high[block] < limit):
            i = (block + 1) * BLOCK
        else:
            block_end = min((block + 1) * BLOCK, stop)
            while i < block_end:
                if sign * (limit - prices[i]) >= 0:
                    return i
                i += 1
    return stop


@compiled
def _level_at(levels, level, arrival, since):  # type: ignore[no-untyped-def]
    """The first row of a level at or after a time, and the size shown before it; −1 where it is not known."""
    offsets, change_ns, sizes = levels
    if level < 0:
        return np.int64(0), np.int64(-1) if since == _NEVER else np.int64(0)
    first, last = offsets[level], offsets[level + 1]
    row = first + np.searchsorted(change_ns[first:last], arrival)
    if row == first or change_ns[row - 1] < since:
        return np.int64(row), np.int64(0)
    return np.int64(row), sizes[row - 1]


@compiled
def _is_marketable(tape, quotes, sign, limit, arrival, start):  # type: ignore[no-untyped-def]
    """Whether an order would trade on arrival: by the other side's best price or, without it, by the last trade."""
    quote_ns, bid, ask = quotes
    quote = np.searchsorted(quote_ns, arrival) - 1
    if quote >= 0:
        return limit >= ask[quote] if sign > 0 else limit <= bid[quote]
    if start == 0 or start > len(tape[0]):
        return False
    distance = sign * (limit - tape[1][start - 1])
    return distance > 0 or (distance == 0 and tape[3][start - 1] == sign)


@compiled
def _crossing(quotes, sign, limit, arrival, end):  # type: ignore[no-untyped-def]
    """When the other side's best price first reached the limit between arrival and end; _NEVER where it did not."""
    quote_ns, bid, ask = quotes
    for quote in range(np.searchsorted(quote_ns, arrival), len(quote_ns)):
        if quote_ns[quote] >= end:
            break
        if (sign > 0 and ask[quote] <= limit) or (sign < 0 and bid[quote] > 0 and bid[quote] >= limit):
            return quote_ns[quote]
    return _NEVER


@compiled
def _fill(events, count, figures, order, model, quantity, at_ns, trade):  # type: ignore[no-untyped-def]
    """Note a fill; the events are replaced where their capacity is exceeded."""
    if count == events.shape[1]:
        wider = np.empty((5, 2 * count), np.int64)
        wider[:, :count] = events
        events = wider
    events[0, count], events[1, count], events[2, count] = order, model, at_ns
    events[3, count], events[4, count] = quantity, trade
    if figures[4, model, order] < 0:
        figures[2, model, order], figures[4, model, order] = trade, at_ns
    figures[3, model, order], figures[5, model, order] = trade, at_ns
    return events, count + 1
