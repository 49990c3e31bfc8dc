"""
What planted structures add to the orders of the market, compiled: pushes, sweeps, and barriers that stop the price.
"""

from math import log

from market.compiled import compiled
from simulators.exchange.market import layout
from simulators.exchange.market.flow.executions import barrier_at, hit_barrier, write_trade
from simulators.exchange.market.layout import MIN_FREE_TRADES
from simulators.exchange.market.quotes import set_level


@compiled
def take_best(book, out, rates, rng, seller, quantity, offset):  # type: ignore[no-untyped-def]
    """Trade extra volume (1e-8 base) at the best price of a side only; returns how much was traded."""
    state = book.state
    for distance in range(rates.near_span):
        tick = state[layout.FAIR] - distance if seller else state[layout.FAIR] + 1 + distance
        available = book.quantity[tick - state[layout.BASE]]
        if available > 0:
            break
    else:
        return 0
    barrier = barrier_at(book, tick)
    if barrier >= 0 and book.barriers[barrier, layout.VISIBLE] > 0:
        available = min(book.barriers[barrier, layout.VISIBLE], available + book.barriers[barrier, layout.HIDDEN])
    volume = 0
    while volume < quantity and state[layout.TRADES] + MIN_FREE_TRADES < out.trades.shape[1]:
        available = book.quantity[tick - state[layout.BASE]]
        part = min(quantity - volume, available)
        if part == 0:
            break
        write_trade(book, out, rates, rng, tick, part, seller, offset)
        set_level(book, out, tick, available - part)
        volume += part
        if barrier < 0:
            break
        hit_barrier(book, out, barrier, part)
        if book.barriers[barrier, layout.STANDS] == 0:
            break
    return volume


@compiled
def push_volume(book, out, rates, rng, offset):  # type: ignore[no-untyped-def]
    """Send the extra aggressors of planted pushes while the price is right."""
    state = book.state
    for i in range(state[layout.PUSHES]):
        push = book.pushes[i]
        for seller in range(2):
            if push[layout.PUSH_REMAINING] <= 0 or (
                push[layout.PUSH_SELLER] != layout.BOTH_SIDES and push[layout.PUSH_SELLER] != seller
            ):
                continue
            touch = state[layout.FAIR] + 1 - seller
            if touch < push[layout.PUSH_LOW] or touch > push[layout.PUSH_HIGH]:
                continue
            size = int(push[layout.PUSH_STEP] * rng.standard_exponential() / rates.step_e8) * rates.step_e8
            size = min(size, push[layout.PUSH_REMAINING])
            if size > 0:
                volume = take_best(book, out, rates, rng, seller, size, offset)
                push[layout.PUSH_REMAINING] -= volume
                push[layout.PUSH_VOLUME] += volume


@compiled
def sweep_levels(book, out, rates, rng, offset):  # type: ignore[no-untyped-def]
    """Let the planted order take its levels; makers add quantity where they hold less than the order is for."""
    state = book.state
    seller, count = state[layout.SWEEP_SELLER], state[layout.SWEEP_LEVELS]
    direction = -1 if seller else 1
    tick = state[layout.FAIR] + 1 - seller
    minimum = state[layout.SWEEP_QUANTITY] // count // rates.step_e8 * rates.step_e8
    levels, last = 0, tick
    while levels < count and state[layout.LOW] < tick < state[layout.HIGH]:
        if barrier_at(book, tick) >= 0:
            break
        available = book.quantity[tick - state[layout.BASE]]
        if available > 0:
            write_trade(book, out, rates, rng, tick, max(available, minimum), seller, offset)
            set_level(book, out, tick, 0)
            levels, last = levels + 1, tick
        tick += direction
    state[layout.SWEEP_LEVELS], state[layout.SWEEP_COUNT] = 0, levels
    start = state[layout.FAIR] + 1 - seller
    state[layout.SWEEP_LOW], state[layout.SWEEP_HIGH] = min(start, last), max(start, last)
    if levels > 0:  # the price moves with it
        change = log((last - seller) / state[layout.FAIR])
        book.flow[layout.LOG_PRICE] += change
        book.flow[layout.VALUE] += change
        state[layout.FAIR] = last - seller


@compiled
def stop_at_barrier(book, rates, target):  # type: ignore[no-untyped-def]
    """
    Stop the price at the nearest barrier on its path; value and quoted price stay within `press_room` of it.

    Returns:
        The tick that the price can go to, and the row of the barrier, -1 for none.
    """
    state, flow = book.state, book.flow
    barrier_index = -1
    for i in range(state[layout.BARRIERS]):
        barrier = book.barriers[i]
        if barrier[layout.STANDS] == 0:
            continue
        tick = barrier[layout.BARRIER_TICK]
        if barrier[layout.BARRIER_SIDE] and state[layout.FAIR] < tick <= target:
            target, barrier_index = tick - 1, i
        elif not barrier[layout.BARRIER_SIDE] and target < tick <= state[layout.FAIR]:
            target, barrier_index = tick, i
    if barrier_index >= 0:
        limit = log(target / rates.start_tick)
        for row in (layout.LOG_PRICE, layout.VALUE):
            flow[row] = min(max(flow[row], limit - rates.press_room), limit + rates.press_room)
    return target, barrier_index
