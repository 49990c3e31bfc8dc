"""
The hot loop of the simulated market: one step of 100 ms on a dense grid of price ticks.

Every bid lies at or below the fair tick and every ask above it, so the book cannot cross. A fair tick that moves
makes the makers in its way pull their quotes, or a taker sweep them. Orders cluster as in a self-exciting process
(Hawkes 1971); levels are born and die by visiting ticks and redrawing them from the density wanted there.
Random numbers come from the generator passed in, in an order that no batching changes.
All of it stays in one file: numba's cache does not see a callee change in another.
"""

from math import exp, floor
from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from market.fixed_point import I64

F64 = npt.NDArray[np.float64]

FEWEST_LEVELS, MOST_LEVELS = 5_500, 7_500
LEVEL_ROOM, TRADE_ROOM = 32_768, 2_048
LARGEST_BATCH = 4_096

# What `Book.state` holds; BIDS and ASKS stay neighbours, so that BIDS + side finds the count of a side.
FAIR, BASE, LOW, HIGH, BIDS, ASKS, NEXT_AGG, NEXT_TRADE, UPDATE, TOUCHED, SELLING, TRADES, LEVELS = range(13)
# What `Book.flow` holds.
LOG_PRICE, LOG_VOLATILITY, EXCITEMENT = range(3)
# The rows of `Output.trades`.
AGG, TICK, QUANTITY, FIRST, LAST, SELLER, OFFSET = range(7)

_MOST_ORDERS = 64
_MOST_LEVELS_AN_ORDER = 16
_MOST_LEVELS_A_SWEEP = 64


class Book(NamedTuple):
    """The market: quantity per tick (1e-8 base), whole-number state, and the slow movers of the flow."""

    quantity: I64
    state: I64
    flow: F64


class Output(NamedTuple):
    """Where steps write: trades (7, n), levels (3, n: side, tick, quantity), what each step ended at, scratch."""

    trades: I64
    levels: I64
    ends: I64
    touched: I64


class Rates(NamedTuple):
    """The constants of a market, ready for the loop; lengths in ticks, chances and rates per step."""

    start_tick: float
    lowest_tick: int
    reach: int
    near_span: int
    density: float
    near_scale: float
    typical_e8: float
    step_e8: int
    move_chance: float
    move_size: float
    largest_move: float
    calm: float
    restlessness: float
    volatility_variance: float
    sweep_chance: float
    order_rate: float
    order_decay: float
    order_kick: float


@nb.njit(cache=True)
def _set(book, out, tick, quantity):  # type: ignore[no-untyped-def]
    state = book.state
    at = tick - state[BASE]
    before = book.quantity[at]
    if before == quantity:
        return
    side = 1 if tick > state[FAIR] else 0
    if before == 0:
        state[BIDS + side] += 1
    elif quantity == 0:
        state[BIDS + side] -= 1
    book.quantity[at] = quantity
    if state[TOUCHED] >= len(out.touched):
        raise ValueError("a step changed more levels than a step has room for")
    out.touched[state[TOUCHED]] = tick * 2 + side
    state[TOUCHED] += 1


@nb.njit(cache=True)
def _size(rates, rng, tick, distance):  # type: ignore[no-untyped-def]
    size = rates.typical_e8 * exp(1.1 * rng.standard_normal()) * (1.0 + 3.0 * distance / rates.reach)
    wall_chance = 0.002
    if tick % 100 == 0:
        size *= 2.5
        wall_chance = 0.02
    if tick % 1_000 == 0:
        size *= 2.0
        wall_chance = 0.05
    if rng.random() < wall_chance:
        size = rates.typical_e8 * 200.0 * (0.5 + rng.standard_exponential())
    steps = max(1, int(size / rates.step_e8))
    if rng.random() < 0.3:
        whole = 1_000 if steps >= 1_000 else 100
        steps = max(steps - steps % whole, min(steps, whole))
    return steps * rates.step_e8


@nb.njit(cache=True)
def _wanted(rates, rng, tick, distance):  # type: ignore[no-untyped-def]
    chance = rates.density + 0.4 / (1.0 + distance / rates.near_scale)
    if tick % 100 == 0:
        chance *= 8.0
    return rng.random() < min(chance, 0.95)


@nb.njit(cache=True)
def _visit(book, out, rates, rng, side, distance):  # type: ignore[no-untyped-def]
    state = book.state
    tick = state[FAIR] + 1 + distance if side else state[FAIR] - distance
    if tick < state[LOW] or tick > state[HIGH]:
        return
    before = book.quantity[tick - state[BASE]]
    if before > 100.0 * rates.typical_e8 and rng.random() < 0.98:
        return  # a wall stays
    if not _wanted(rates, rng, tick, distance):
        _set(book, out, tick, 0)
    elif before == 0 or rng.random() < 0.5:
        _set(book, out, tick, _size(rates, rng, tick, distance))


@nb.njit(cache=True)
def _quote(book, out, rates, rng, near, deep):  # type: ignore[no-untyped-def]
    state = book.state
    for side in range(2):
        touch = state[FAIR] + side
        if book.quantity[touch - state[BASE]] == 0 and rng.random() < 0.9:
            _set(book, out, touch, _size(rates, rng, touch, 0))
        for _ in range(near):  # as many in every decade of distance
            distance = int(exp(rng.random() * np.log(rates.near_span)))
            _visit(book, out, rates, rng, side, distance)
        span = state[HIGH] - state[FAIR] if side else state[FAIR] - state[LOW]
        for _ in range(deep):
            _visit(book, out, rates, rng, side, int(rng.random() * span))


@nb.njit(cache=True)
def _trade(book, out, rates, rng, tick, quantity, seller, offset):  # type: ignore[no-untyped-def]
    state = book.state
    n = state[TRADES]
    makers = 1 + min(rng.poisson(0.3), quantity // rates.step_e8 - 1, 50)
    out.trades[AGG, n] = state[NEXT_AGG]
    out.trades[TICK, n] = tick
    out.trades[QUANTITY, n] = quantity
    out.trades[FIRST, n] = state[NEXT_TRADE]
    out.trades[LAST, n] = state[NEXT_TRADE] + makers - 1
    out.trades[SELLER, n] = seller
    out.trades[OFFSET, n] = offset
    state[NEXT_AGG] += 1
    state[NEXT_TRADE] += makers
    state[TRADES] = n + 1


@nb.njit(cache=True)
def _take(book, out, rates, rng, offset):  # type: ignore[no-untyped-def]
    state = book.state
    if rng.random() < 0.3:
        state[SELLING] = 1 - state[SELLING]
    seller = state[SELLING]
    left = max(1, int(0.2 * rates.typical_e8 * exp(1.6 * rng.standard_normal()) / rates.step_e8)) * rates.step_e8
    taken = 0
    for distance in range(rates.near_span):
        tick = state[FAIR] - distance if seller else state[FAIR] + 1 + distance
        there = book.quantity[tick - state[BASE]]
        if there == 0:
            continue
        part = min(left, there)
        _trade(book, out, rates, rng, tick, part, seller, offset)
        _set(book, out, tick, there - part)
        left -= part
        taken += 1
        if left == 0 or taken == _MOST_LEVELS_AN_ORDER:
            return


@nb.njit(cache=True)
def _next_fair(book, rates, rng):  # type: ignore[no-untyped-def]
    flow = book.flow
    flow[LOG_VOLATILITY] = rates.calm * flow[LOG_VOLATILITY] + rates.restlessness * rng.standard_normal()
    if rng.random() >= rates.move_chance:
        return book.state[FAIR]
    size = rates.move_size * exp(flow[LOG_VOLATILITY] - rates.volatility_variance) * rng.standard_exponential() / 2**0.5
    size = min(size, rates.largest_move)
    flow[LOG_PRICE] += size if rng.random() < 0.5 else -size
    lowest = np.log(rates.lowest_tick / rates.start_tick)
    flow[LOG_PRICE] = max(flow[LOG_PRICE], lowest)
    return floor(rates.start_tick * exp(flow[LOG_PRICE]) + 0.5)


@nb.njit(cache=True)
def _move(book, out, rates, rng, offset):  # type: ignore[no-untyped-def]
    state = book.state
    fair = state[FAIR]
    target = min(max(_next_fair(book, rates, rng), state[LOW]), state[HIGH] - 1)  # never off the book
    if target == fair:
        return False
    way = 1 if target > fair else -1
    first, stop = (fair + 1, target + 1) if way > 0 else (fair, target)
    swept = 0
    if rng.random() < rates.sweep_chance:
        swept = min(1 + int(2.5 * rng.standard_exponential()), _MOST_LEVELS_A_SWEEP)
        book.flow[EXCITEMENT] += rates.order_kick
    for tick in range(first, stop, way):
        there = book.quantity[tick - state[BASE]]
        if there == 0:
            continue
        if swept > 0:
            _trade(book, out, rates, rng, tick, there, 1 if way < 0 else 0, offset)
            swept -= 1
        _set(book, out, tick, 0)
    state[FAIR] = target
    return True


@nb.njit(cache=True)
def _keep_depth(book, out, rates, rng, side):  # type: ignore[no-untyped-def]
    state = book.state
    edge, outward = (HIGH, 1) if side else (LOW, -1)
    fair = state[FAIR]
    while state[BIDS + side] > MOST_LEVELS or abs(state[edge] - fair) > 1.6 * rates.reach:
        _set(book, out, state[edge], 0)
        state[edge] -= outward
    while state[BIDS + side] < FEWEST_LEVELS:
        distance = abs(state[edge] - fair)
        if distance < 1.3 * rates.reach:
            state[edge] += outward
            tick = state[edge]
            if _wanted(rates, rng, tick, distance):
                _set(book, out, tick, _size(rates, rng, tick, distance))
        else:
            distance = int(rng.random() * (distance - 1))
            tick = fair + 1 + distance if side else fair - distance
            if book.quantity[tick - state[BASE]] == 0:
                _set(book, out, tick, _size(rates, rng, tick, distance))


@nb.njit(cache=True)
def _recentre(book):  # type: ignore[no-untyped-def]
    state, size = book.state, len(book.quantity)
    if abs(state[FAIR] - state[BASE] - size // 2) <= size // 8:
        return
    kept = book.quantity[state[LOW] - state[BASE] : state[HIGH] - state[BASE] + 1].copy()
    book.quantity[:] = 0
    state[BASE] = state[FAIR] - size // 2
    book.quantity[state[LOW] - state[BASE] : state[HIGH] - state[BASE] + 1] = kept


@nb.njit(cache=True)
def _write_levels(book, out):  # type: ignore[no-untyped-def]
    state = book.state
    keys = np.sort(out.touched[: state[TOUCHED]])
    n = state[LEVELS]
    for i in range(len(keys)):
        if i > 0 and keys[i] == keys[i - 1]:
            continue
        tick, side = keys[i] >> 1, keys[i] & 1
        stands = side == (1 if tick > state[FAIR] else 0)
        out.levels[0, n] = side
        out.levels[1, n] = tick
        out.levels[2, n] = book.quantity[tick - state[BASE]] if stands else 0
        n += 1
    state[LEVELS] = n
    state[UPDATE] += len(keys)


@nb.njit(cache=True)
def _step(book, out, rates, rng):  # type: ignore[no-untyped-def]
    flow = book.flow
    book.state[TOUCHED] = 0
    orders = min(rng.poisson(rates.order_rate + flow[EXCITEMENT]), _MOST_ORDERS)
    flow[EXCITEMENT] = flow[EXCITEMENT] * rates.order_decay + orders * rates.order_kick
    offsets = np.sort((rng.random(orders + 1) * 1e6).astype(np.int64))
    moved = _move(book, out, rates, rng, offsets[0])
    _quote(book, out, rates, rng, 24 if moved else 8, 6)
    for i in range(orders):
        _take(book, out, rates, rng, offsets[i + 1])
    _quote(book, out, rates, rng, 2, 0)
    _keep_depth(book, out, rates, rng, 0)
    _keep_depth(book, out, rates, rng, 1)
    _write_levels(book, out)


@nb.njit(cache=True)
def seed_book(book, out, rates, rng):  # type: ignore[no-untyped-def]
    """Fill an empty grid whose fair tick is set, and forget the changes that took."""
    state = book.state
    state[LOW], state[HIGH] = state[FAIR] + 1, state[FAIR]
    state[TOUCHED] = 0
    book.flow[LOG_VOLATILITY] = rates.volatility_variance**0.5 * rng.standard_normal()
    _keep_depth(book, out, rates, rng, 0)
    _keep_depth(book, out, rates, rng, 1)
    _quote(book, out, rates, rng, 0, 0)
    state[TOUCHED] = 0


@nb.njit(cache=True)
def nearest_levels(book, side, limit):  # type: ignore[no-untyped-def]
    """The best levels of a side, best first: their ticks and quantities, at most `limit` of them."""
    state = book.state
    count = min(limit, state[BIDS + side])
    ticks, quantities = np.empty(count, np.int64), np.empty(count, np.int64)
    tick, way = (state[FAIR] + 1, 1) if side else (state[FAIR], -1)
    found = 0
    while found < count:
        quantity = book.quantity[tick - state[BASE]]
        if quantity > 0:
            ticks[found], quantities[found] = tick, quantity
            found += 1
        tick += way
    return ticks, quantities


@nb.njit(cache=True)
def advance(book, out, rates, rng, count):  # type: ignore[no-untyped-def]
    """
    Make steps until `count` are done or the output has no room for another.

    Returns:
        How many were made. Row by row of `out.ends`: trades, levels and last update id at the end of each.
    """
    state = book.state
    state[TRADES] = 0
    state[LEVELS] = 0
    for step in range(min(count, LARGEST_BATCH)):
        if state[TRADES] + TRADE_ROOM > out.trades.shape[1] or state[LEVELS] + LEVEL_ROOM > out.levels.shape[1]:
            return step
        _recentre(book)
        _step(book, out, rates, rng)
        out.ends[0, step] = state[TRADES]
        out.ends[1, step] = state[LEVELS]
        out.ends[2, step] = state[UPDATE]
    return min(count, LARGEST_BATCH)
