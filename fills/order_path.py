"""
The hot loop of the engine: each order along the trades that reach its price and the changes of its level.

Under one model an order first waits in the queue, then stands at its front and takes whatever trades; under `through`
it waits for trades beyond its price. Models in the same position are advanced together: a trade costs one addition a
position, and only one that fills an order to the end, or brings it to the front, looks at the models one by one.
"""

import numpy as np

from fills.outcome import CANCELLED, FILLED, PARTIAL, REFUSED, UNFILLED
from fills.queue_models import THROUGH, TOUCH, front_after_change
from fills.trade_search import NEVER, is_marketable, level_at, next_crossing, next_reach
from market.compiled import compiled

_QUEUE, _FRONT, _BEYOND, _DONE = range(4)  # positions: in the queue, at its front, waiting for trades beyond, filled
_COUNT, _VOLUME, _GOAL, _LAST = range(4)  # of a position: its models, what traded since, when to look again, last trade
_POSITION, _LEFT, _FIRST_TRADE, _LAST_TRADE = range(4)  # of a model: where it stands, what is left to fill, its fills
_BY_BOOK = -2  # stands for a trade where the book crossed the order


@compiled
def follow_orders(orders, tape, blocks, levels, quotes, models, rules, out, notes):  # type: ignore[no-untyped-def]
    """
    Fill the results of n orders under m models.

    Args:
        orders: sign (+1 buy), limit, quantity, arrival, end, first trade, level, whether its size is known.
        tape, blocks: columns of trades, and their extremes; see `TradeTape`.
        levels, quotes: offsets, times and sizes of levels, and best prices; see `DisplayedBook`.
        models: kinds and powers.
        rules: lot, unit, whether a trade beyond the price fills the whole order.
        out: (6, n, m) status, quantity, first and last trade, first and last time; (n,) quantity ahead. Changed.
        notes: (5, c) is filled in with order, model, time, quantity and trade of single fills, as far as there is room.

    Returns:
        How many single fills there were; 0 where there is no room for any.
    """
    sign, limit, quantity, arrival, end, first_trade, level, is_known = orders
    figures, ahead = out
    front, state = np.empty(len(models[0]), np.float64), np.empty((4, len(models[0])), np.int64)
    groups = np.zeros((4, 4), np.int64)
    for k in range(len(limit)):
        start = max(np.searchsorted(tape[0], arrival[k]), first_trade[k])
        stop = max(np.searchsorted(tape[0], end[k]), start)
        row, size = level_at(levels, level[k], arrival[k], is_known[k])
        ahead[k] = size
        if is_marketable(tape, quotes, sign[k], limit[k], arrival[k], start):
            figures[0, k, :] = REFUSED
            continue
        cross_ns = next_crossing(quotes, sign[k], limit[k], arrival[k], end[k]) if rules[2] else NEVER
        if cross_ns < end[k]:
            stop = max(np.searchsorted(tape[0], cross_ns, side="right"), start)
        is_over = len(tape[0]) > 0 and end[k] <= tape[0][-1]
        start = next_reach(tape[1], blocks, sign[k], limit[k], start, stop)
        if start >= stop and cross_ns >= end[k]:
            figures[0, k, :] = CANCELLED if is_over else UNFILLED  # nothing reached its price
            continue
        _begin(models[0], size, quantity[k], front, state, groups)
        last_row = levels[0][level[k] + 1] if level[k] >= 0 else row
        order = (k, sign[k], limit[k], start, stop, row, last_row, size)
        _follow(order, tape, blocks, levels, models, rules, front, state, groups, notes)
        if cross_ns < end[k]:
            _take_rest(k, _BY_BOOK, cross_ns, state, groups, notes)
        _write(figures, k, quantity[k], state, tape[0], cross_ns, is_over)
    return groups[_DONE, _COUNT]


@compiled
def _begin(kinds, size, quantity, front, state, groups):  # type: ignore[no-untyped-def]
    """Each model's position on arrival; the goal of 0 makes the first trade of a position be looked at."""
    groups[:_DONE, :] = 0
    for m in range(len(kinds)):
        position = _FRONT if kinds[m] == TOUCH else _BEYOND if kinds[m] == THROUGH or size < 0 else _QUEUE
        front[m] = size
        state[_POSITION, m], state[_LEFT, m] = position, quantity
        state[_FIRST_TRADE, m], state[_LAST_TRADE, m] = -1, -1
        groups[position, _COUNT] += 1


@compiled
def _follow(order, tape, blocks, levels, models, rules, front, state, groups, notes):  # type: ignore[no-untyped-def]
    k, sign, limit, i, stop, row, last_row, size = order
    times, prices, quantities, signs = tape
    _, change_ns, sizes = levels
    lot, unit, is_whole = rules
    waiting, ready, beyond = groups[_QUEUE], groups[_FRONT], groups[_BEYOND]
    nearest = np.float64(size)  # the least that is ahead under a model that waits in the queue
    while waiting[_COUNT] + ready[_COUNT] + beyond[_COUNT] > 0:
        near = limit if waiting[_COUNT] + ready[_COUNT] > 0 else limit - sign  # trades at the price matter no more
        if i >= stop or sign * (near - prices[i]) < 0:
            i = next_reach(prices, blocks, sign, near, i, stop)
            if i >= stop:
                break
        quantity = quantities[i]
        while waiting[_COUNT] > 0 and row < last_row and change_ns[row] < times[i]:
            if sizes[row] < size or waiting[_VOLUME] > 0:  # what is added without a trade comes behind
                nearest = _change_fronts(models, state, front, groups, np.float64(size), np.float64(sizes[row]), unit)
            size, row = sizes[row], row + 1
        is_beyond, opposes = sign * (limit - prices[i]) > 0, signs[i] != sign
        if is_whole and is_beyond and opposes:
            _take_rest(k, i, times[i], state, groups, notes)
        elif opposes or not is_whole:
            if ready[_COUNT] > 0:
                ready[_VOLUME] += quantity  # below 2^63: what is unsettled lies below the least that is left
                ready[_LAST] = i
                if ready[_VOLUME] >= ready[_GOAL]:
                    _settle(k, _FRONT, times[i], state, groups, notes)
            if is_beyond and beyond[_COUNT] > 0:
                beyond[_VOLUME] += quantity
                beyond[_LAST] = i
                if beyond[_VOLUME] >= beyond[_GOAL]:
                    _settle(k, _BEYOND, times[i], state, groups, notes)
            if waiting[_COUNT] > 0:
                waiting[_VOLUME] = min(waiting[_VOLUME], NEVER - quantity) + quantity
                is_open = is_beyond or not opposes  # an aggressor of one's own side: the other side came to the price
                if is_open or waiting[_VOLUME] > nearest:
                    _settle(k, _FRONT, times[i], state, groups, notes)
                    nearest = _leave_queue((k, i, times[i], quantity, is_open), lot, front, state, groups, notes)
        i += 1
    for position in (_FRONT, _BEYOND):
        if groups[position, _VOLUME] > 0:
            _settle(k, position, np.int64(0), state, groups, notes)


@compiled
def _settle(k, position, now, state, groups, notes):  # type: ignore[no-untyped-def]
    """Give the models of a position what traded since the last time."""
    volume, trade = groups[position, _VOLUME], groups[position, _LAST]
    groups[position, _VOLUME], groups[position, _GOAL] = 0, NEVER
    for m in range(state.shape[1]):
        if state[_POSITION, m] != position:
            continue
        if volume > 0:
            _fill(k, m, min(volume, state[_LEFT, m]), trade, now, state, groups, notes)
        if state[_LEFT, m] == 0:
            state[_POSITION, m] = _DONE
            groups[position, _COUNT] -= 1
        else:
            goal = 0 if notes.shape[1] > 0 or state[_FIRST_TRADE, m] == -1 else state[_LEFT, m]
            groups[position, _GOAL] = min(groups[position, _GOAL], goal)


@compiled
def _leave_queue(trade, lot, front, state, groups, notes):  # type: ignore[no-untyped-def]
    """Move the models whose queue a trade used up to its front; the least that is ahead under the others comes back."""
    k, i, now, quantity, is_open = trade
    volume, nearest = groups[_QUEUE, _VOLUME], np.inf
    for m in range(state.shape[1]):
        if state[_POSITION, m] != _QUEUE:
            continue
        beyond = np.float64(volume) - front[m]
        if not is_open and beyond <= 0.0:
            nearest = min(nearest, front[m])
            continue
        amount = quantity
        if not is_open and beyond < quantity:
            amount = min(np.int64(np.floor(beyond / lot + 0.5)) * lot, quantity)
        groups[_QUEUE, _COUNT] -= 1
        if amount > 0:
            amount = min(amount, state[_LEFT, m])
            _fill(k, m, amount, i, now, state, groups, notes)
        state[_POSITION, m] = _FRONT if state[_LEFT, m] > 0 else _DONE
        if state[_LEFT, m] > 0:
            groups[_FRONT, _COUNT] += 1
            goal = state[_LEFT, m] if amount > 0 and notes.shape[1] == 0 else 0
            groups[_FRONT, _GOAL] = min(groups[_FRONT, _GOAL], goal)
    return nearest


@compiled
def _take_rest(k, trade, now, state, groups, notes):  # type: ignore[no-untyped-def]
    """Fill all that is left of an order under every model."""
    for position in (_FRONT, _BEYOND):
        _settle(k, position, now, state, groups, notes)
    for m in range(state.shape[1]):
        if state[_LEFT, m] > 0:
            _fill(k, m, state[_LEFT, m], trade, now, state, groups, notes)
            state[_POSITION, m] = _DONE
    groups[:_DONE, _COUNT] = 0


@compiled
def _change_fronts(models, state, front, groups, size, new_size, unit):  # type: ignore[no-untyped-def]
    """Apply a change of the level to the models in the queue; the least that is then ahead comes back."""
    kinds, powers = models
    traded, nearest = np.float64(groups[_QUEUE, _VOLUME]), np.inf
    groups[_QUEUE, _VOLUME] = 0
    for m in range(len(kinds)):
        if state[_POSITION, m] == _QUEUE:
            ahead = front[m] - traded
            front[m] = front_after_change(kinds[m], powers[m], ahead, traded, size, new_size, np.float64(unit))
            nearest = min(nearest, front[m])
    return nearest


@compiled
def _fill(k, m, amount, trade, now, state, groups, notes):  # type: ignore[no-untyped-def]
    """Fill some of an order under one model."""
    state[_LEFT, m] -= amount
    if state[_FIRST_TRADE, m] == -1:
        state[_FIRST_TRADE, m] = trade
    state[_LAST_TRADE, m] = trade
    if notes.shape[1] > 0:
        count = groups[_DONE, _COUNT]
        groups[_DONE, _COUNT] += 1
        if count < notes.shape[1]:
            notes[0, count], notes[1, count], notes[2, count], notes[3, count] = k, m, now, amount
            notes[4, count] = max(trade, -1)


@compiled
def _write(figures, k, quantity, state, times, cross_ns, is_over):  # type: ignore[no-untyped-def]
    rest = CANCELLED if is_over else UNFILLED
    for m in range(state.shape[1]):
        left = state[_LEFT, m]
        figures[0, k, m] = FILLED if left == 0 else PARTIAL if left < quantity else rest
        figures[1, k, m] = quantity - left
        for place in range(2):
            trade = state[_FIRST_TRADE + place, m]
            if trade != -1:
                figures[2 + place, k, m] = max(trade, -1)
                figures[4 + place, k, m] = cross_ns if trade == _BY_BOOK else times[trade]
