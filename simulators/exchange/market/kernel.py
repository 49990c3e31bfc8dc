"""
The hot loop of the simulated market: one step of 100 ms on a dense grid of price ticks.

Every bid lies at or below the fair tick and every ask above it, so the book cannot cross. A fair tick that moves
makes the makers in its path pull their quotes, or a taker sweep them. Orders cluster as in a self-exciting process
(Hawkes 1971) whose base rate wanders; levels are born and die by visiting ticks and redrawing them from the density and
sizes recorded at that distance. Planted structures are zones (where the background is limited), barriers (which the
price does not pass while quantity stands there) and pushes (extra aggressors); without any, nothing changes. Random
numbers come from the generator passed in, in an order that does not depend on batches.
"""

from math import exp, floor

import numpy as np

from market.compiled import compiled
from simulators.exchange.market import layout
from simulators.exchange.market.draws import run_length, scaled_trade_size
from simulators.exchange.market.flow.activity import order_pace
from simulators.exchange.market.flow.executions import barrier_at, hit_barrier, write_trade
from simulators.exchange.market.flow.planted import push_volume, stop_at_barrier, sweep_levels, take_best
from simulators.exchange.market.flow.prices import answer_order, answer_walk, next_value, target_tick, value_tick
from simulators.exchange.market.flow.signs import expected_sign, remember_sign
from simulators.exchange.market.flow.walls import keep_walls
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
_INFORMED = 2.0  # in place of the sign that was expected of an order: it knows the price


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
            write_trade(book, out, rates, rng, tick, max(size, rates.step_e8), seller, offset)
    state[layout.FAIR] = target
    quote_touch(book, out, rates, rng)


@compiled
def _shifted(book, tick, change):  # type: ignore[no-untyped-def]
    # A tick moved by a change of the logarithm, inside the book.
    moved = floor(tick * exp(change) + 0.5)
    return min(max(moved, book.state[layout.LOW]), book.state[layout.HIGH] - 1)


@compiled
def _take_levels(book, out, rates, rng, seller, factor, target, tolerance, offset, boost, expected):  # type: ignore[no-untyped-def]
    # An order takes a run of levels and the quotes follow it there. Where the quotes are off its target by more than
    # makers tolerate, it takes long runs more often, and none beyond the target. An ordinary order,
    # of which a sign was expected, moves the price by what it tells: by what was drawn for it, whatever book and target
    # made of that. Any other order knows the price.
    state = book.state
    walks = (state[layout.FAIR] - target if seller else target - state[layout.FAIR]) > tolerance
    if walks:
        boost *= rates.walk_boost
    rank, start = rng.random(), state[layout.FAIR]
    run = min(run_length(rates, rank, boost), rates.longest_run)
    size = scaled_trade_size(rates, rng, factor)
    first = size * run**rates.first_power
    count, last = 0, start
    for distance in range(rates.near_span):
        tick = start - distance if seller else start + 1 + distance
        available = book.quantity[tick - state[layout.BASE]]
        if available == 0:
            continue
        if walks and count > 0 and (tick < target if seller else tick > target):
            break
        part = scaled_trade_size(rates, rng, factor) if count else int(first / rates.step_e8) * rates.step_e8
        part = min(part, available)
        write_trade(book, out, rates, rng, tick, part, seller, offset)
        count += 1
        kind = zone_of(book, rates, tick)[1] if state[layout.ZONES] > 0 else 0
        stays = count == run or kind == layout.FROZEN or kind == layout.ANCHORED
        set_level(book, out, tick, available - part if stays else 0)
        last = tick if seller else tick - 1
        barrier = barrier_at(book, tick)
        if barrier >= 0:
            hit_barrier(book, out, barrier, part)
        if count == run or barrier >= 0:
            break
    if expected != _INFORMED:
        levels = min(run_length(rates, rank, 1.0), rates.longest_run)
        shift = answer_order(book, rates, seller, size, levels, expected)
        shifted = _shifted(book, start, shift) if state[layout.MIRRORS] == 0 else target_tick(book, rates)
        if state[layout.BARRIERS] == 0:
            last = min(shifted, last) if seller else max(shifted, last)
    if not rates.walk_holds:  # the quotes stand again where they were, as far as makers want them there
        wanted = target_tick(book, rates)
        last = max(wanted, last) if seller else min(wanted, last)
    if last < start if seller else last > start:
        _follow(book, out, rates, rng, last, seller, offset)
    elif book.quantity[start + 1 - seller - state[layout.BASE]] == 0:
        quote_touch(book, out, rates, rng)


@compiled
def _move(book, out, rates, rng, offset, surprise):  # type: ignore[no-untyped-def]
    # Makers requote towards the price that they learnt, without an order; some of the way a taker sweeps them.
    state, flow = book.state, book.flow
    target = target_tick(book, rates)
    barrier_index = -1
    if flow[layout.QUIET] != 0.0 and state[layout.BARRIERS] == 0 and flow[layout.PIN_PULL] == 0.0:
        shifted = _shifted(book, state[layout.FAIR], flow[layout.QUIET])
        if state[layout.MIRRORS] > 0:  # a planted edge may have turned the value back
            shifted = target
        if shifted != state[layout.FAIR]:
            _follow(book, out, rates, rng, shifted, 1 if shifted < state[layout.FAIR] else 0, offset)
    fair = state[layout.FAIR]
    if state[layout.BARRIERS] > 0:
        target, barrier_index = stop_at_barrier(book, rates, target)
    held = barrier_index >= 0 or flow[layout.PIN_PULL] > 0.0  # planted structures hold the price without tolerance
    scale = flow[layout.SCALE]
    if held or surprise > 0.0 or abs(target - fair) > rates.tolerance * scale:
        flow[layout.MOVING] = 1.0
    elif max(abs(target - fair), abs(value_tick(book, rates) - target)) <= rates.settled * scale:
        flow[layout.MOVING] = 0.0
    if target == fair or flow[layout.MOVING] == 0.0:
        return barrier_index
    seller = 1 if target < fair else 0
    if not held and rng.random() < rates.sweep_chance:  # a taker is faster than the makers
        _take_levels(book, out, rates, rng, seller, rates.sniper_size, target, 0.0, offset, 1.0, _INFORMED)
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
    orders = rng.poisson(rates.order_rate * order_pace(book, rates) + flow[layout.EXCITEMENT])
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
    fair, value, scale = book.state[layout.FAIR], value_tick(book, rates), book.flow[layout.SCALE]
    if answers and rates.informed and abs(value - fair) > rates.informed_tolerance * scale:
        seller = 1 if value < fair else 0
        _take_levels(book, out, rates, rng, seller, rates.answer_size, value, 0.0, offset, rates.burst_boost, _INFORMED)
        answer_walk(book, rates, seller, book.state[layout.FAIR])
        remember_sign(book, rates, -1.0 if seller else 1.0)
        return
    expected = expected_sign(book, rates)
    seller = 1 if rng.random() * 2.0 > 1.0 + expected else 0
    tolerance = scale * (rates.tolerance if book.flow[layout.MOVING] == 0.0 else rates.settled)
    _take_levels(book, out, rates, rng, seller, 1.0, target_tick(book, rates), tolerance, offset, 1.0, expected)
    remember_sign(book, rates, -1.0 if seller else 1.0)


@compiled
def _step(book, out, rates, rng):  # type: ignore[no-untyped-def]
    state = book.state
    state[layout.CHANGES] = 0
    for i in range(state[layout.EDITS]):
        set_level(book, out, book.edits[i, 0], book.edits[i, 1])
    state[layout.EDITS] = 0
    full = state[layout.TRADES] + layout.TRADE_ROOM - layout.MIN_FREE_TRADES
    surprise = next_value(book, rates, rng)
    calm, answers = _draw_orders(book, rates, rng, surprise)
    orders = calm + answers
    offsets = np.sort((rng.random(orders + 1) * 1e6).astype(np.int64))
    barrier_index = _move(book, out, rates, rng, offsets[0], surprise)
    quote(book, out, rates, rng, rates.touch_visits, rates.near_visits, 6)
    for i in range(orders):
        if state[layout.TRADES] < full:
            _send_order(book, out, rates, rng, offsets[i + 1], i < answers)
    if barrier_index >= 0 and book.barriers[barrier_index, layout.STANDS] == layout.PRESSED and rng.random() < 0.3:
        quantity = int(rates.press_e8 / 0.3 * rng.standard_exponential() / rates.step_e8) * rates.step_e8
        seller = 1 - book.barriers[barrier_index, layout.BARRIER_SIDE]
        take_best(book, out, rates, rng, seller, quantity, offsets[orders])
    if state[layout.PUSHES] > 0:
        push_volume(book, out, rates, rng, offsets[orders])
    if state[layout.SWEEP_LEVELS] > 0:
        sweep_levels(book, out, rates, rng, 999_999)
    quote(book, out, rates, rng, 0, 2, 0)
    keep_depth(book, out, rates, rng, 0)
    keep_depth(book, out, rates, rng, 1)
    if rates.walls > 0:
        keep_walls(book, out, rates, rng)
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
