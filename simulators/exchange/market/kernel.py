"""
The hot loop of the simulated market: one step of 100 ms on a dense grid of price ticks.

Every bid lies at or below the fair tick and every ask above it, so the book cannot cross. A fair tick that moves
makes the makers in its path pull their quotes, or a taker sweep them. Orders cluster as in a self-exciting process
(Hawkes 1971) whose base rate wanders; levels are born and die by visiting ticks and redrawing them from the density and
sizes recorded at that distance. Planted structures are zones (where the background is limited), barriers (which the
price does not pass while quantity stands there) and pushes (extra aggressors); without any, nothing changes. Random
numbers come from the generator passed in, in an order that does not depend on batches.
"""

from math import exp, log

import numpy as np

from market.compiled import compiled
from simulators.exchange.market import layout
from simulators.exchange.market.draws import run_length, scaled_trade_size
from simulators.exchange.market.flow.creeping import creep
from simulators.exchange.market.flow.prices import (
    answer_order,
    answer_walk,
    next_value,
    target_tick,
    urgency,
    value_tick,
)
from simulators.exchange.market.flow.signs import draw_seller
from simulators.exchange.market.quotes import (
    keep_depth,
    quote,
    quote_touch,
    recentre,
    set_level,
    write_levels,
    zone_of,
)

_MAX_ORDERS = 160  # per step; bounds the trades of a step
_MIN_FREE_TRADES = 512  # rows of the output: an order needs room for all its levels and for round prices on its way


@compiled
def _trade(book, out, rates, rng, tick, quantity, seller, offset):  # type: ignore[no-untyped-def]
    state = book.state
    n = state[layout.TRADES]
    makers = 1 + min(rng.poisson(0.3), quantity // rates.step_e8 - 1, 50)
    out.trades[layout.AGG, n] = state[layout.NEXT_AGG]
    out.trades[layout.TICK, n] = tick
    out.trades[layout.QUANTITY, n] = quantity
    out.trades[layout.FIRST, n] = state[layout.NEXT_TRADE]
    out.trades[layout.LAST, n] = state[layout.NEXT_TRADE] + makers - 1
    out.trades[layout.SELLER, n] = seller
    out.trades[layout.OFFSET, n] = offset
    state[layout.NEXT_AGG] += 1
    state[layout.NEXT_TRADE] += makers
    state[layout.TRADES] = n + 1


@compiled
def _barrier_at(book, tick):  # type: ignore[no-untyped-def]
    for i in range(book.state[layout.BARRIERS]):
        if book.barriers[i, layout.STANDS] != 0 and book.barriers[i, layout.BARRIER_TICK] == tick:
            return i
    return -1


@compiled
def _hit_barrier(book, out, i, quantity):  # type: ignore[no-untyped-def]
    # A trade at a barrier: hidden quantity refills it to its displayed size; with none left it is filled.
    barrier = book.barriers[i]
    if barrier[layout.VOLUME] == 0:
        barrier[layout.FIRST_STEP] = book.state[layout.STEPS]
    barrier[layout.VOLUME] += quantity
    available = book.quantity[barrier[layout.BARRIER_TICK] - book.state[layout.BASE]]
    if available < barrier[layout.VISIBLE]:
        refill = min(barrier[layout.VISIBLE] - available, barrier[layout.HIDDEN])
        barrier[layout.HIDDEN] -= refill
        set_level(book, out, barrier[layout.BARRIER_TICK], available + refill)
        available += refill
    if available == 0:
        barrier[layout.STANDS] = 0
        barrier[layout.LAST_STEP] = book.state[layout.STEPS]


@compiled
def _follow(book, out, rates, rng, target, seller, offset):  # type: ignore[no-untyped-def]
    # The fair tick moves to the target; makers in between pull their quotes, orders parked at round prices are filled.
    state = book.state
    direction = 1 if target > state[layout.FAIR] else -1
    first, stop = (state[layout.FAIR] + 1, target + 1) if direction > 0 else (state[layout.FAIR], target)
    for tick in range(first, stop, direction):
        if book.quantity[tick - state[layout.BASE]] > 0:
            set_level(book, out, tick, 0)
        if rates.round_size > 0.0 and tick % rates.round_ticks == 0:
            size = int(rates.round_size * (0.5 + rng.standard_exponential()) / rates.step_e8) * rates.step_e8
            _trade(book, out, rates, rng, tick, max(size, rates.step_e8), seller, offset)
    state[layout.FAIR] = target
    quote_touch(book, out, rates, rng)


@compiled
def _take_levels(book, out, rates, rng, seller, factor, target, tolerance, offset, boost):  # type: ignore[no-untyped-def]
    # An order takes a run of levels and the quotes follow it there. Where the quotes are off its target by more than
    # makers tolerate, it takes long runs more often, and none beyond the target.
    state = book.state
    walks = (state[layout.FAIR] - target if seller else target - state[layout.FAIR]) > tolerance
    if walks:
        boost = max(boost, 1.0) * rates.walk_boost
    run = min(run_length(rates, rng, boost), rates.longest_run) if boost >= 1.0 or rng.random() < boost else 1
    first = factor * run**rates.first_power
    count, volume, last = 0, 0, state[layout.FAIR]
    for distance in range(rates.near_span):
        tick = state[layout.FAIR] - distance if seller else state[layout.FAIR] + 1 + distance
        available = book.quantity[tick - state[layout.BASE]]
        if available == 0:
            continue
        if walks and count > 0 and (tick < target if seller else tick > target):
            break
        part = min(scaled_trade_size(rates, rng, factor if count else first), available)
        _trade(book, out, rates, rng, tick, part, seller, offset)
        count += 1
        volume += part
        kind = zone_of(book, rates, tick)[1] if state[layout.ZONES] > 0 else 0
        stays = count == run or kind == layout.FROZEN or kind == layout.ANCHORED
        set_level(book, out, tick, available - part if stays else 0)
        last = tick if seller else tick - 1
        barrier = _barrier_at(book, tick)
        if barrier >= 0:
            _hit_barrier(book, out, barrier, part)
        if count == run or barrier >= 0:
            break
    answer_order(book, rates, seller, volume)
    if rates.walk_holds:
        answer_walk(book, rates, seller, last)
    target = target_tick(book, rates)
    target = max(target, last) if seller else min(target, last)
    if target < state[layout.FAIR] if seller else target > state[layout.FAIR]:
        _follow(book, out, rates, rng, target, seller, offset)
    elif book.quantity[state[layout.FAIR] + 1 - seller - state[layout.BASE]] == 0:
        quote_touch(book, out, rates, rng)
    return count


@compiled
def _take_best(book, out, rates, rng, seller, quantity, offset):  # type: ignore[no-untyped-def]
    # Extra volume at the best price of a side only; returns how much was traded.
    state = book.state
    for distance in range(rates.near_span):
        tick = state[layout.FAIR] - distance if seller else state[layout.FAIR] + 1 + distance
        available = book.quantity[tick - state[layout.BASE]]
        if available > 0:
            break
    else:
        return 0
    barrier = _barrier_at(book, tick)
    if barrier >= 0 and book.barriers[barrier, layout.VISIBLE] > 0:
        available = min(book.barriers[barrier, layout.VISIBLE], available + book.barriers[barrier, layout.HIDDEN])
    volume = 0
    while volume < quantity and state[layout.TRADES] + _MIN_FREE_TRADES < out.trades.shape[1]:
        available = book.quantity[tick - state[layout.BASE]]
        part = min(quantity - volume, available)
        if part == 0:
            break
        _trade(book, out, rates, rng, tick, part, seller, offset)
        set_level(book, out, tick, available - part)
        volume += part
        if barrier < 0:
            break
        _hit_barrier(book, out, barrier, part)
        if book.barriers[barrier, layout.STANDS] == 0:
            break
    return volume


@compiled
def _push(book, out, rates, rng, offset):  # type: ignore[no-untyped-def]
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
                volume = _take_best(book, out, rates, rng, seller, size, offset)
                push[layout.PUSH_REMAINING] -= volume
                push[layout.PUSH_VOLUME] += volume


@compiled
def _sweep(book, out, rates, rng, offset):  # type: ignore[no-untyped-def]
    # One order takes a number of full levels; makers add quantity where the levels hold less than the order is for.
    state = book.state
    seller, count = state[layout.SWEEP_SELLER], state[layout.SWEEP_LEVELS]
    direction = -1 if seller else 1
    tick = state[layout.FAIR] + 1 - seller
    minimum = state[layout.SWEEP_QUANTITY] // count // rates.step_e8 * rates.step_e8
    levels, last = 0, tick
    while levels < count and state[layout.LOW] < tick < state[layout.HIGH]:
        if _barrier_at(book, tick) >= 0:
            break
        available = book.quantity[tick - state[layout.BASE]]
        if available > 0:
            _trade(book, out, rates, rng, tick, max(available, minimum), seller, offset)
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
def _stop_at_barrier(book, rates, target):  # type: ignore[no-untyped-def]
    # The nearest barrier on the path stops the price; the log price stays within `press_room` of it.
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


@compiled
def _move(book, out, rates, rng, offset):  # type: ignore[no-untyped-def]
    # Makers requote towards the price that they learnt, without an order; some of the way a taker sweeps them.
    state, flow = book.state, book.flow
    fair = state[layout.FAIR]
    target = target_tick(book, rates)
    barrier_index = -1
    if state[layout.BARRIERS] > 0:
        target, barrier_index = _stop_at_barrier(book, rates, target)
    held = barrier_index >= 0 or flow[layout.PIN_PULL] > 0.0  # planted structures hold the price without tolerance
    if held or abs(target - fair) > rates.tolerance:
        flow[layout.MOVING] = 1.0
    elif abs(target - fair) <= rates.settled:
        flow[layout.MOVING] = 0.0
    if target == fair or flow[layout.MOVING] == 0.0:
        return barrier_index
    seller = 1 if target < fair else 0
    if not held and rng.random() < rates.sweep_chance:  # a taker is faster than the makers
        _take_levels(book, out, rates, rng, seller, rates.sniper_size, target, 0.0, offset, 1.0)
    elif rng.random() < rates.requote_chance:
        way = max(1, int(rates.requote_part * abs(target - fair)))
        _follow(book, out, rates, rng, fair - way if seller else fair + way, seller, offset)
    return barrier_index


@compiled
def _draw_orders(book, rates, rng, surprise):  # type: ignore[no-untyped-def]
    # Numbers of ordinary orders and of those that answer news; news are answered within some steps.
    flow = book.flow
    noise = rates.activity_restlessness * rng.standard_normal()
    flow[layout.LOG_ACTIVITY] = rates.activity_calm * flow[layout.LOG_ACTIVITY] + noise
    pace = exp(flow[layout.LOG_ACTIVITY] - 0.5 * rates.activity_variance)
    orders = rng.poisson(rates.order_rate * pace * urgency(book, rates) + flow[layout.EXCITEMENT])
    if surprise != 0.0:
        flow[layout.ANSWERS] += rng.poisson(rates.burst_orders * surprise)
    answers = rng.poisson(rates.burst_pace * flow[layout.ANSWERS])
    flow[layout.ANSWERS] = max(0.0, flow[layout.ANSWERS] - answers)
    flow[layout.EXCITEMENT] *= rates.order_decay
    flow[layout.EXCITEMENT] += rates.order_kick * orders + rates.burst_kick * answers
    return min(orders, _MAX_ORDERS), min(answers, _MAX_ORDERS)


@compiled
def _send_order(book, out, rates, rng, offset, answers):  # type: ignore[no-untyped-def]
    # One order: those that answer news trade towards the value while the quotes are off it.
    fair, value = book.state[layout.FAIR], value_tick(book, rates)
    if answers and rates.informed_top > 0.0 and abs(value - fair) > rates.informed_tolerance:
        seller, informed = 1 if value < fair else 0, True
        size, boost = rates.answer_size, rates.burst_boost
    else:
        seller, informed = draw_seller(book, rates, rng)
        size, boost = rates.informed_size, 1.0
    if informed:
        _take_levels(book, out, rates, rng, seller, size, value, rates.informed_tolerance, offset, boost)
    else:  # makers stand ready for the side that they expect, and are thin on the other
        boost = 1.0 - rates.readiness * (-1.0 if seller else 1.0) * book.flow[layout.EXPECTED_SIGN]
        tolerance = rates.tolerance if book.flow[layout.MOVING] == 0.0 else rates.settled
        _take_levels(book, out, rates, rng, seller, 1.0, target_tick(book, rates), tolerance, offset, boost)


@compiled
def _step(book, out, rates, rng):  # type: ignore[no-untyped-def]
    state = book.state
    state[layout.CHANGES] = 0
    for i in range(state[layout.EDITS]):
        set_level(book, out, book.edits[i, 0], book.edits[i, 1])
    state[layout.EDITS] = 0
    full = state[layout.TRADES] + layout.TRADE_ROOM - _MIN_FREE_TRADES
    surprise = next_value(book, rates, rng)
    calm, answers = _draw_orders(book, rates, rng, surprise)
    orders = calm + answers
    offsets = np.sort((rng.random(orders + 1) * 1e6).astype(np.int64))
    barrier_index = _move(book, out, rates, rng, offsets[0])
    quote(book, out, rates, rng, rates.touch_visits, rates.near_visits, 6)
    for i in range(orders):
        if state[layout.TRADES] < full:
            _send_order(book, out, rates, rng, offsets[i + 1], i < answers)
    if barrier_index >= 0 and book.barriers[barrier_index, layout.STANDS] == layout.PRESSED and rng.random() < 0.3:
        quantity = int(rates.press_e8 / 0.3 * rng.standard_exponential() / rates.step_e8) * rates.step_e8
        seller = 1 - book.barriers[barrier_index, layout.BARRIER_SIDE]
        _take_best(book, out, rates, rng, seller, quantity, offsets[orders])
    if state[layout.PUSHES] > 0:
        _push(book, out, rates, rng, offsets[orders])
    if state[layout.SWEEP_LEVELS] > 0:
        _sweep(book, out, rates, rng, 999_999)
    quote(book, out, rates, rng, 0, 2, 0)
    keep_depth(book, out, rates, rng, 0)
    keep_depth(book, out, rates, rng, 1)
    if rates.creepers > 0:
        creep(book, out, rates, rng)
    write_levels(book, out)
    state[layout.STEPS] += 1


@compiled
def seed_book(book, out, rates, rng):  # type: ignore[no-untyped-def]
    """
    Fill an empty book around its fair tick, which must be set; the output holds no changes afterwards.

    Args:
        book: arrays of the market, filled in place.
        out: output arrays, used as scratch.
        rates: constants of the market.
        rng: generator of the random numbers.
    """
    state = book.state
    state[layout.LOW], state[layout.HIGH] = state[layout.FAIR] + 1, state[layout.FAIR]
    state[layout.CHANGES] = 0
    book.flow[layout.LOG_VOLATILITY] = rates.volatility_variance**0.5 * rng.standard_normal()
    book.flow[layout.LOG_ACTIVITY] = 0.5 * rates.activity_variance  # every market starts at its average pace
    book.flow[layout.EXCITEMENT] = rates.usual_excitement
    book.flow[layout.SCALE] = 1.0
    keep_depth(book, out, rates, rng, 0)
    keep_depth(book, out, rates, rng, 1)
    quote(book, out, rates, rng, 0, 0, 0)
    state[layout.CHANGES] = 0


@compiled
def advance(book, out, rates, rng, count):  # type: ignore[no-untyped-def]
    """
    Make steps until `count` are done or the output has no room for another.

    Args:
        book: arrays of the market, advanced in place.
        out: output arrays; filled from their beginning.
        rates: constants of the market.
        rng: generator of the random numbers.
        count: number of steps.

    Returns:
        The number of steps made. The rows of `out.ends` hold for each: trades, levels and last update id at its end.
    """
    state = book.state
    state[layout.TRADES] = 0
    state[layout.LEVELS] = 0
    for step in range(min(count, layout.LARGEST_BATCH)):
        if (
            state[layout.TRADES] + layout.TRADE_ROOM > out.trades.shape[1]
            or state[layout.LEVELS] + layout.LEVEL_ROOM > out.levels.shape[1]
        ):
            return step
        recentre(book)
        _step(book, out, rates, rng)
        out.ends[0, step] = state[layout.TRADES]
        out.ends[1, step] = state[layout.LEVELS]
        out.ends[2, step] = state[layout.UPDATE]
    return min(count, layout.LARGEST_BATCH)
