"""
The quotes of the simulated book, compiled: levels appear, change their size and disappear; the depth is kept.
"""

from math import exp, log, sqrt

import numpy as np

from market.compiled import compiled
from simulators.exchange.market import layout
from simulators.exchange.market.draws import level_size

_LARGEST_TOUCH = 0.7  # bounds the logarithm of a best quote's size over `touch_e8`


@compiled
def set_level(book, out, tick, quantity):  # type: ignore[no-untyped-def]
    """
    Set the quantity of a tick, and note the change in the output.

    Args:
        book: arrays of the market.
        out: output arrays.
        tick: the price in ticks.
        quantity: 1e-8 base; 0 removes the level.

    Raises:
        ValueError: the step has changed more levels than the output has room for.
    """
    state = book.state
    index = tick - state[layout.BASE]
    previous = book.quantity[index]
    if previous == quantity:
        return
    side = 1 if tick > state[layout.FAIR] else 0
    if previous == 0:
        state[layout.BIDS + side] += 1
    elif quantity == 0:
        state[layout.BIDS + side] -= 1
    book.quantity[index] = quantity
    if state[layout.CHANGES] >= len(out.changes):
        raise ValueError("a step changed more levels than a step has room for")
    out.changes[state[layout.CHANGES]] = tick * 2 + side
    state[layout.CHANGES] += 1


@compiled
def zone_of(book, rates, tick):  # type: ignore[no-untyped-def]
    """
    The zone that limits the background at a tick.

    Args:
        book: arrays of the market.
        rates: its constants.
        tick: the price in ticks.

    Returns:
        Row and kind of the zone; -1 and 0 where there is none.
    """
    for i in range(book.state[layout.ZONES]):
        if book.zones[i, layout.ZONE_LOW] <= tick <= book.zones[i, layout.ZONE_HIGH]:
            kind = book.zones[i, layout.ZONE_KIND]
            if kind == layout.ANCHORED and not is_anchor(tick, rates.bin_ticks):
                continue
            return i, kind
    return -1, 0


@compiled
def is_anchor(tick, bin_ticks):  # type: ignore[no-untyped-def]
    """Whether a tick is the anchor of its bin, where a band puts its quantity: one per bin, at irregular distances."""
    number = tick // bin_ticks
    return tick % bin_ticks == (number * 2_654_435_761 >> 8) % bin_ticks


@compiled
def quote_size(book, rates, rng, tick, distance):  # type: ignore[no-untyped-def]
    """
    Draw the quantity of a quote, 1e-8 base, thinned out where a zone says so.

    Args:
        book: arrays of the market.
        rates: its constants.
        rng: generator of the random numbers.
        tick: the price in ticks.
        distance: from the best price of its side, in ticks.
    """
    if distance == 0:  # a level that the price leaves behind must not look like a wall
        size = rates.touch_e8 * exp(min(rng.standard_normal(), _LARGEST_TOUCH))
    else:
        size = level_size(rates, rng, tick, distance)
    if book.state[layout.ZONES] > 0:
        i, kind = zone_of(book, rates, tick)
        if kind == layout.THINNED:
            size *= book.zones[i, layout.ZONE_E6] * 1e-6
    steps = max(1, int(size / rates.step_e8))
    if steps >= 20 and rng.random() < 0.3:
        unit = 1_000 if steps >= 10_000 else 10
        steps -= steps % unit
    return steps * rates.step_e8


@compiled
def draw_presence(rates, rng, tick, distance):  # type: ignore[no-untyped-def]
    """
    Draw whether a tick holds a level.

    Args:
        rates: constants of the market.
        rng: generator of the random numbers.
        tick: the price in ticks.
        distance: from the best price of its side, in ticks.
    """
    chance = rates.density + rates.near_density / (1.0 + distance / rates.near_scale)
    if distance > rates.far_ticks:
        chance *= rates.far_density
    if tick % 100 == 0:
        chance *= 8.0
    return rng.random() < min(chance, 0.95)


@compiled
def renew(book, out, rates, rng, tick, distance, present):  # type: ignore[no-untyped-def]
    """
    Renew the quote at a tick, unless a zone or a natural wall keeps it as it is.

    Args:
        book: arrays of the market.
        out: output arrays.
        rates: constants.
        rng: generator of the random numbers.
        tick: the price in ticks.
        distance: from the best price of its side, in ticks.
        present: whether the tick is to hold a level.
    """
    state = book.state
    previous = book.quantity[tick - state[layout.BASE]]
    if state[layout.ZONES] > 0:
        _, kind = zone_of(book, rates, tick)
        if kind == layout.FROZEN or kind == layout.ANCHORED:
            return
    if rates.natural_walls and previous > 4_000.0 * rates.level_unit_e8 and rng.random() < rates.wall_stay:
        return  # a wall stays
    if not present:
        set_level(book, out, tick, 0)
    elif previous == 0 or rng.random() < 0.5:
        set_level(book, out, tick, quote_size(book, rates, rng, tick, distance))


@compiled
def quote_touch(book, out, rates, rng):  # type: ignore[no-untyped-def]
    """
    Refill the best prices where they are empty, nine times in ten.

    Args:
        book: arrays of the market.
        out: output arrays.
        rates: constants.
        rng: generator of the random numbers.
    """
    state = book.state
    for side in range(2):
        touch = state[layout.FAIR] + side
        free = state[layout.ZONES] == 0 or zone_of(book, rates, touch)[1] != layout.FROZEN
        if free and book.quantity[touch - state[layout.BASE]] == 0 and rng.random() < 0.9:
            set_level(book, out, touch, quote_size(book, rates, rng, touch, 0))


@compiled
def quote(book, out, rates, rng, behind, near, deep):  # type: ignore[no-untyped-def]
    """
    Refill the best prices and renew the quotes at random ticks of both sides.

    Args:
        book: arrays of the market.
        out: output arrays.
        rates: constants.
        rng: generator of the random numbers.
        behind: number of ticks per side close behind the best price.
        near: number of ticks per side near the best price.
        deep: number of ticks per side anywhere in the book.
    """
    # The loop over visits is the hottest one: fields are read from the tuples before it.
    state, quantity = book.state, book.quantity
    even, density = rates.even_ticks, rates.density
    near_density, near_scale = rates.near_density, rates.near_scale
    decades = log(1.0 + rates.near_span / even)
    far_ticks, far_density = rates.far_ticks, rates.far_density
    fair, base, low, high = state[layout.FAIR], state[layout.BASE], state[layout.LOW], state[layout.HIGH]
    quote_touch(book, out, rates, rng)
    for side in range(2):
        span = high - fair if side else fair - low
        for visit in range(behind + near + deep):
            draw = rng.random()
            if visit < behind:  # makers queue up close behind the best price
                distance = 1 + int(-near_scale * log(1.0 - draw))
            elif visit < behind + near:  # more in every decade of distance than in the one before
                distance = int(even * (exp(sqrt(draw) * decades) - 1.0))
            else:
                distance = int(draw * span)
            tick = fair + 1 + distance if side else fair - distance
            if tick < low or tick > high:
                continue
            chance = density + near_density / (1.0 + distance / near_scale)
            if distance > far_ticks:
                chance *= far_density
            present = rng.random() < (min(chance * 8.0, 0.95) if tick % 100 == 0 else chance)
            if present or quantity[tick - base] > 0:
                renew(book, out, rates, rng, tick, distance, present)


@compiled
def keep_depth(book, out, rates, rng, side):  # type: ignore[no-untyped-def]
    """
    Remove or add levels until a side has between `MIN_LEVELS` and `MAX_LEVELS`, none too far from the price.

    Args:
        book: arrays of the market.
        out: output arrays.
        rates: constants.
        rng: generator of the random numbers.
        side: 0 for bids, 1 for asks.
    """
    state = book.state
    edge, outward = (layout.HIGH, 1) if side else (layout.LOW, -1)
    fair = state[layout.FAIR]
    while state[layout.BIDS + side] > layout.MAX_LEVELS or abs(state[edge] - fair) > 1.6 * rates.reach:
        set_level(book, out, state[edge], 0)
        state[edge] -= outward
    while state[layout.BIDS + side] < layout.MIN_LEVELS:
        distance = abs(state[edge] - fair)
        if distance < 1.3 * rates.reach:
            state[edge] += outward
            tick = state[edge]
            if draw_presence(rates, rng, tick, distance):
                set_level(book, out, tick, quote_size(book, rates, rng, tick, distance))
        else:
            distance = int(rng.random() * (distance - 1))
            tick = fair + 1 + distance if side else fair - distance
            if book.quantity[tick - state[layout.BASE]] == 0 and zone_of(book, rates, tick)[1] != layout.FROZEN:
                set_level(book, out, tick, quote_size(book, rates, rng, tick, distance))


@compiled
def recentre(book):  # type: ignore[no-untyped-def]
    """Move the grid of ticks so that the fair tick is in its middle, once it is far from it."""
    state, size = book.state, len(book.quantity)
    if abs(state[layout.FAIR] - state[layout.BASE] - size // 2) <= size // 8:
        return
    levels = book.quantity[state[layout.LOW] - state[layout.BASE] : state[layout.HIGH] - state[layout.BASE] + 1].copy()
    book.quantity[:] = 0
    state[layout.BASE] = state[layout.FAIR] - size // 2
    book.quantity[state[layout.LOW] - state[layout.BASE] : state[layout.HIGH] - state[layout.BASE] + 1] = levels


@compiled
def write_levels(book, out):  # type: ignore[no-untyped-def]
    """Write the changed levels of a step to the output, each once, and count up the update id."""
    state = book.state
    keys = np.sort(out.changes[: state[layout.CHANGES]])
    n = state[layout.LEVELS]
    for i in range(len(keys)):
        if i > 0 and keys[i] == keys[i - 1]:
            continue
        tick, side = keys[i] >> 1, keys[i] & 1
        stands = side == (1 if tick > state[layout.FAIR] else 0)
        out.levels[0, n] = side
        out.levels[1, n] = tick
        out.levels[2, n] = book.quantity[tick - state[layout.BASE]] if stands else 0
        n += 1
    state[layout.LEVELS] = n
    state[layout.UPDATE] += len(keys)
