"""
Natural walls: makers' large orders, of which some keep their distance from the price and others stay where they stand.

Each is taken away in the end. None of them moves the value.
"""

from market.compiled import compiled
from simulators.exchange.market import layout
from simulators.exchange.market.quotes import set_level, zone_of


@compiled
def keep_walls(book, out, rates, rng):  # type: ignore[no-untyped-def]
    """
    Place, move and take away the natural walls of a step.

    Args:
        book: arrays of the market.
        out: output arrays.
        rates: constants of the market.
        rng: generator of the random numbers.
    """
    for i in range(rates.walls):
        wall = book.walls[i]
        if wall[layout.WALL_QUANTITY] == 0:
            if rng.random() < rates.wall_births:
                _begin(wall, rates, rng)
                _put(book, out, rates, wall, _place(book, wall))
            continue
        old = wall[layout.WALL_TICK]
        is_behind = (old > book.state[layout.FAIR]) == (wall[layout.WALL_ASK] == 1)  # the price has not passed it
        if rng.random() < rates.wall_deaths or (wall[layout.WALL_STANDS] and not is_behind):
            _take_away(book, out, rates, old, is_behind)
            wall[layout.WALL_QUANTITY] = 0
        elif not wall[layout.WALL_STANDS]:
            place = _place(book, wall)
            if abs(place - old) >= rates.wall_stride:
                _take_away(book, out, rates, old, is_behind)
                _put(book, out, rates, wall, place)


@compiled
def _begin(wall, rates, rng):  # type: ignore[no-untyped-def]
    span = rates.wall_far - rates.wall_near
    wall[layout.WALL_DISTANCE] = int(rates.wall_near + rng.random() * span)
    wall[layout.WALL_ASK] = 1 if rng.random() < 0.5 else 0
    wall[layout.WALL_STANDS] = 1 if rng.random() < rates.standing_share else 0
    size = rates.level_unit_e8 * rates.wall_size * (0.5 + rng.standard_exponential())
    wall[layout.WALL_QUANTITY] = max(1, int(size / rates.step_e8)) * rates.step_e8


@compiled
def _place(book, wall):  # type: ignore[no-untyped-def]
    fair, distance = book.state[layout.FAIR], wall[layout.WALL_DISTANCE]
    return fair + 1 + distance if wall[layout.WALL_ASK] else fair - distance


@compiled
def _take_away(book, out, rates, tick, is_behind):  # type: ignore[no-untyped-def]
    if tick > 0 and is_behind and _is_free(book, rates, tick):
        set_level(book, out, tick, 0)


@compiled
def _put(book, out, rates, wall, place):  # type: ignore[no-untyped-def]
    # Where a planted structure or the book's end is in the way, it waits off the book.
    wall[layout.WALL_TICK] = 0
    if book.state[layout.LOW] < place < book.state[layout.HIGH] and _is_free(book, rates, place):
        wall[layout.WALL_TICK] = place
        set_level(book, out, place, wall[layout.WALL_QUANTITY])


@compiled
def _is_free(book, rates, tick):  # type: ignore[no-untyped-def]
    if not book.state[layout.LOW] <= tick <= book.state[layout.HIGH]:
        return False
    return book.state[layout.ZONES] == 0 or zone_of(book, rates, tick)[1] == 0
