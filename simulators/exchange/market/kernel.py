"""
The hot loop of the simulated market: one step of 100 ms on a dense grid of price ticks.

Every bid lies at or below the fair tick and every ask above it, so the book cannot cross. A fair tick that moves
makes the makers in its way pull their quotes, or a taker sweep them. Orders cluster as in a self-exciting process
(Hawkes 1971) whose base rate wanders; levels are born and die by visiting ticks and redrawing them from the density and
sizes recorded at that distance. What is planted is kept by zones (where the background is held back), barriers (which
the price does not pass while quantity stands there) and pushes (extra aggressors); without any they change nothing.
Random numbers come from the generator passed in, in an order that no batching changes.
"""

from math import exp, floor, log

import numpy as np

from market.compiled import compiled
from simulators.exchange.market import layout
from simulators.exchange.market.draws import run_length, trade_size
from simulators.exchange.market.quotes import keep_depth, quote, recentre, set_level, write_levels, zone_of

_MAX_ORDERS = 160
_FEWEST_FREE_TRADES = 256  # an order needs room for all its levels


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
def _hit(book, out, i, quantity):  # type: ignore[no-untyped-def]
    # A trade at a barrier: what is hidden behind it comes up to what it shows; with nothing left it is filled.
    barrier = book.barriers[i]
    if barrier[layout.TRADED] == 0:
        barrier[layout.FIRST_STEP] = book.state[layout.STEPS]
    barrier[layout.TRADED] += quantity
    there = book.quantity[barrier[layout.BARRIER_TICK] - book.state[layout.BASE]]
    if there < barrier[layout.SHOWN]:
        more = min(barrier[layout.SHOWN] - there, barrier[layout.HIDDEN])
        barrier[layout.HIDDEN] -= more
        set_level(book, out, barrier[layout.BARRIER_TICK], there + more)
        there += more
    if there == 0:
        barrier[layout.STANDS] = 0
        barrier[layout.LAST_STEP] = book.state[layout.STEPS]


@compiled
def _take(book, out, rates, rng, offset, boost):  # type: ignore[no-untyped-def]
    # An order takes a whole run of levels; what its trades leave of all but the last is cancelled by its makers.
    state = book.state
    if rng.random() < 0.3:
        state[layout.SELLING] = 1 - state[layout.SELLING]
    seller = state[layout.SELLING]
    run = min(run_length(rates, rng, boost), rates.longest_run)
    taken = 0
    for distance in range(rates.near_span):
        tick = state[layout.FAIR] - distance if seller else state[layout.FAIR] + 1 + distance
        there = book.quantity[tick - state[layout.BASE]]
        if there == 0:
            continue
        part = min(trade_size(rates, rng), there)
        _trade(book, out, rates, rng, tick, part, seller, offset)
        taken += 1
        kind = zone_of(book, rates, tick)[1] if state[layout.ZONES] > 0 else 0
        stays = taken == run or kind == layout.FROZEN or kind == layout.ANCHORED
        set_level(book, out, tick, there - part if stays else 0)
        barrier = _barrier_at(book, tick)
        if barrier >= 0:
            _hit(book, out, barrier, part)
        if taken == run or barrier >= 0:
            break
    return taken


@compiled
def _strike(book, out, rates, rng, seller, quantity, offset):  # type: ignore[no-untyped-def]
    # Extra volume at the best price of a side, and nowhere else.
    state = book.state
    for distance in range(rates.near_span):
        tick = state[layout.FAIR] - distance if seller else state[layout.FAIR] + 1 + distance
        there = book.quantity[tick - state[layout.BASE]]
        if there > 0:
            break
    else:
        return 0
    barrier = _barrier_at(book, tick)
    if barrier >= 0 and book.barriers[barrier, layout.SHOWN] > 0:
        there = min(book.barriers[barrier, layout.SHOWN], there + book.barriers[barrier, layout.HIDDEN])
    taken = 0
    while taken < quantity and state[layout.TRADES] + _FEWEST_FREE_TRADES < out.trades.shape[1]:
        there = book.quantity[tick - state[layout.BASE]]
        part = min(quantity - taken, there)
        if part == 0:
            break
        _trade(book, out, rates, rng, tick, part, seller, offset)
        set_level(book, out, tick, there - part)
        taken += part
        if barrier < 0:
            break
        _hit(book, out, barrier, part)
        if book.barriers[barrier, layout.STANDS] == 0:
            break
    return taken


@compiled
def _push(book, out, rates, rng, offset):  # type: ignore[no-untyped-def]
    state = book.state
    for i in range(state[layout.PUSHES]):
        push = book.pushes[i]
        for seller in range(2):
            if push[layout.PUSH_LEFT] <= 0 or (
                push[layout.PUSH_SELLER] != layout.BOTH_SIDES and push[layout.PUSH_SELLER] != seller
            ):
                continue
            touch = state[layout.FAIR] + 1 - seller
            if touch < push[layout.PUSH_LOW] or touch > push[layout.PUSH_HIGH]:
                continue
            size = int(push[layout.PUSH_STEP] * rng.standard_exponential() / rates.step_e8) * rates.step_e8
            size = min(size, push[layout.PUSH_LEFT])
            if size > 0:
                taken = _strike(book, out, rates, rng, seller, size, offset)
                push[layout.PUSH_LEFT] -= taken
                push[layout.PUSH_TAKEN] += taken


@compiled
def _sweep(book, out, rates, rng, offset):  # type: ignore[no-untyped-def]
    # One order takes so many levels whole; makers add to them as it comes until it finds the quantity it is for.
    state = book.state
    seller, wanted = state[layout.SWEEP_SELLER], state[layout.SWEEP_LEVELS]
    way = -1 if seller else 1
    tick = state[layout.FAIR] + 1 - seller
    each = state[layout.SWEEP_QUANTITY] // wanted // rates.step_e8 * rates.step_e8
    taken, last = 0, tick
    while taken < wanted and state[layout.LOW] < tick < state[layout.HIGH]:
        if _barrier_at(book, tick) >= 0:
            break
        there = book.quantity[tick - state[layout.BASE]]
        if there > 0:
            _trade(book, out, rates, rng, tick, max(there, each), seller, offset)
            set_level(book, out, tick, 0)
            taken, last = taken + 1, tick
        tick += way
    state[layout.SWEEP_LEVELS], state[layout.SWEEP_TAKEN] = 0, taken
    start = state[layout.FAIR] + 1 - seller
    state[layout.SWEEP_LOW], state[layout.SWEEP_HIGH] = min(start, last), max(start, last)
    if taken > 0:  # the price goes with it
        book.flow[layout.LOG_PRICE] += log((last - seller) / state[layout.FAIR])
        state[layout.FAIR] = last - seller


@compiled
def _next_fair(book, rates, rng):  # type: ignore[no-untyped-def]
    flow = book.flow
    flow[layout.LOG_VOLATILITY] = rates.calm * flow[layout.LOG_VOLATILITY] + rates.restlessness * rng.standard_normal()
    if flow[layout.PIN_PULL] > 0.0:
        flow[layout.LOG_PRICE] += flow[layout.PIN_PULL] * (flow[layout.PIN] - flow[layout.LOG_PRICE])
    if rng.random() < rates.move_chance:
        size = rates.move_size * exp(flow[layout.LOG_VOLATILITY] - rates.volatility_variance)
        size = min(size * rng.standard_exponential() / 2**0.5, rates.largest_move)
        flow[layout.LOG_PRICE] += size if rng.random() < 0.5 else -size
    elif flow[layout.PIN_PULL] == 0.0 and book.state[layout.BARRIERS] == 0:
        return book.state[layout.FAIR]
    lowest = log(rates.lowest_tick / rates.start_tick)
    flow[layout.LOG_PRICE] = max(flow[layout.LOG_PRICE], lowest)
    return floor(rates.start_tick * exp(flow[layout.LOG_PRICE]) + 0.5)


@compiled
def _held(book, rates, target):  # type: ignore[no-untyped-def]
    # The nearest barrier on the way stops the price; how far it would have gone is kept within `press_room`.
    state, flow = book.state, book.flow
    pressed = -1
    for i in range(state[layout.BARRIERS]):
        barrier = book.barriers[i]
        if barrier[layout.STANDS] == 0:
            continue
        tick = barrier[layout.BARRIER_TICK]
        if barrier[layout.BARRIER_SIDE] and state[layout.FAIR] < tick <= target:
            target, pressed = tick - 1, i
        elif not barrier[layout.BARRIER_SIDE] and target < tick <= state[layout.FAIR]:
            target, pressed = tick, i
    if pressed >= 0:
        at = log(target / rates.start_tick)
        flow[layout.LOG_PRICE] = min(max(flow[layout.LOG_PRICE], at - rates.press_room), at + rates.press_room)
    return target, pressed


@compiled
def _move(book, out, rates, rng, offset):  # type: ignore[no-untyped-def]
    state = book.state
    fair = state[layout.FAIR]
    target = min(max(_next_fair(book, rates, rng), state[layout.LOW]), state[layout.HIGH] - 1)  # never off the book
    pressed = -1
    if state[layout.BARRIERS] > 0:
        target, pressed = _held(book, rates, target)
    if target == fair:
        return pressed
    way = 1 if target > fair else -1
    first, stop = (fair + 1, target + 1) if way > 0 else (fair, target)
    swept = 0
    if rng.random() < rates.sweep_chance:
        swept = min(run_length(rates, rng, 3.0), rates.longest_run)
    for tick in range(first, stop, way):
        there = book.quantity[tick - state[layout.BASE]]
        if there == 0:
            continue
        if swept > 0:
            _trade(book, out, rates, rng, tick, min(trade_size(rates, rng), there), 1 if way < 0 else 0, offset)
            swept -= 1
        set_level(book, out, tick, 0)
    state[layout.FAIR] = target
    return pressed


@compiled
def _orders(book, rates, rng):  # type: ignore[no-untyped-def]
    flow = book.flow
    noise = rates.activity_restlessness * rng.standard_normal()
    flow[layout.LOG_ACTIVITY] = rates.activity_calm * flow[layout.LOG_ACTIVITY] + noise
    pace = exp(flow[layout.LOG_ACTIVITY] - 0.5 * rates.activity_variance)
    orders = rng.poisson(rates.order_rate * pace + flow[layout.EXCITEMENT])
    flow[layout.EXCITEMENT] *= rates.order_decay
    flow[layout.EXCITEMENT] += rates.order_kick * orders
    burst = 0
    if rng.random() < rates.burst_chance * pace:
        burst = rng.poisson(rates.burst_orders * rng.standard_exponential())
        flow[layout.EXCITEMENT] += rates.burst_kick * burst
    return min(orders, _MAX_ORDERS), min(burst, _MAX_ORDERS)


@compiled
def _step(book, out, rates, rng):  # type: ignore[no-untyped-def]
    state = book.state
    state[layout.TOUCHED] = 0
    for i in range(state[layout.EDITS]):
        set_level(book, out, book.edits[i, 0], book.edits[i, 1])
    state[layout.EDITS] = 0
    full = state[layout.TRADES] + layout.TRADE_ROOM - _FEWEST_FREE_TRADES
    calm, burst = _orders(book, rates, rng)
    orders = calm + burst
    offsets = np.sort((rng.random(orders + 1) * 1e6).astype(np.int64))
    pressed = _move(book, out, rates, rng, offsets[0])
    quote(book, out, rates, rng, rates.near_visits, 6)
    for i in range(orders):
        if state[layout.TRADES] < full:
            _take(book, out, rates, rng, offsets[i + 1], 1.0 if i < calm else rates.burst_boost)
    if pressed >= 0 and book.barriers[pressed, layout.STANDS] == layout.PRESSED and rng.random() < 0.3:
        quantity = int(rates.press_e8 / 0.3 * rng.standard_exponential() / rates.step_e8) * rates.step_e8
        _strike(book, out, rates, rng, 1 - book.barriers[pressed, layout.BARRIER_SIDE], quantity, offsets[orders])
    if state[layout.PUSHES] > 0:
        _push(book, out, rates, rng, offsets[orders])
    if state[layout.SWEEP_LEVELS] > 0:
        _sweep(book, out, rates, rng, 999_999)
    quote(book, out, rates, rng, 2, 0)
    keep_depth(book, out, rates, rng, 0)
    keep_depth(book, out, rates, rng, 1)
    write_levels(book, out)
    state[layout.STEPS] += 1


@compiled
def seed_book(book, out, rates, rng):  # type: ignore[no-untyped-def]
    """Fill an empty grid whose fair tick is set, and forget the changes that took."""
    state = book.state
    state[layout.LOW], state[layout.HIGH] = state[layout.FAIR] + 1, state[layout.FAIR]
    state[layout.TOUCHED] = 0
    book.flow[layout.LOG_VOLATILITY] = rates.volatility_variance**0.5 * rng.standard_normal()
    book.flow[layout.LOG_ACTIVITY] = 0.5 * rates.activity_variance  # every market starts at its usual pace
    book.flow[layout.EXCITEMENT] = rates.usual_excitement
    keep_depth(book, out, rates, rng, 0)
    keep_depth(book, out, rates, rng, 1)
    quote(book, out, rates, rng, 0, 0)
    state[layout.TOUCHED] = 0


@compiled
def advance(book, out, rates, rng, count):  # type: ignore[no-untyped-def]
    """
    Make steps until `count` are done or the output has no room for another.

    Returns:
        How many were made. Row by row of `out.ends`: trades, levels and last update id at the end of each.
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
