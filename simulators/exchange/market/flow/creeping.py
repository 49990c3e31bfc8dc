"""
Natural walls that creep: a maker's large order that keeps its distance from the price, and is taken away in the end.
"""

from market.compiled import compiled
from simulators.exchange.market import layout
from simulators.exchange.market.quotes import set_level, zone_of


@compiled
def creep(book, out, rates, rng):  # type: ignore[no-untyped-def]
    """
    Place, move and take away the creeping walls of a step.

    Args:
        book: arrays of the market.
        out: output arrays.
        rates: constants of the market.
        rng: generator of the random numbers.
    """
    fair = book.state[layout.FAIR]
    for i in range(rates.creepers):
        wall = book.creepers[i]
        if wall[layout.CREEPER_QUANTITY] == 0:
            if rng.random() < rates.creeper_births:
                span = rates.creeper_far - rates.creeper_near
                wall[layout.CREEPER_DISTANCE] = int(rates.creeper_near + rng.random() * span)
                wall[layout.CREEPER_ASK] = 1 if rng.random() < 0.5 else 0
                size = rates.level_unit_e8 * rates.wall_size * (0.5 + rng.standard_exponential())
                wall[layout.CREEPER_QUANTITY] = max(1, int(size / rates.step_e8)) * rates.step_e8
                wall[layout.CREEPER_TICK] = 0
            continue
        ask = wall[layout.CREEPER_ASK]
        distance = wall[layout.CREEPER_DISTANCE]
        place = fair + 1 + distance if ask else fair - distance
        is_over = rng.random() < rates.creeper_deaths
        if not is_over and abs(place - wall[layout.CREEPER_TICK]) < rates.creeper_stride:
            continue
        old = wall[layout.CREEPER_TICK]
        if old > 0 and (old > fair) == (ask == 1) and _is_free(book, rates, old):
            set_level(book, out, old, 0)
        if is_over:
            wall[layout.CREEPER_QUANTITY] = 0
        elif book.state[layout.LOW] < place < book.state[layout.HIGH] and _is_free(book, rates, place):
            wall[layout.CREEPER_TICK] = place
            set_level(book, out, place, wall[layout.CREEPER_QUANTITY])
        else:
            wall[layout.CREEPER_TICK] = 0


@compiled
def _is_free(book, rates, tick):  # type: ignore[no-untyped-def]
    if not book.state[layout.LOW] <= tick <= book.state[layout.HIGH]:
        return False
    return book.state[layout.ZONES] == 0 or zone_of(book, rates, tick)[1] == 0
