"""
Trades of the simulated market and the barriers that they meet, compiled.
"""

from market.compiled import compiled
from simulators.exchange.market import layout
from simulators.exchange.market.quotes import set_level


@compiled
def write_trade(book, out, rates, rng, tick, quantity, seller, offset):  # type: ignore[no-untyped-def]
    """
    Write a trade to the output.

    Args:
        book, out, rates: arrays of the market, of the output, and constants.
        rng: generator of the random numbers.
        tick: the price in ticks. quantity: 1e-8 base. seller: 1 where the aggressor sells, else 0.
        offset: within the step, in millionths of it.
    """
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
def barrier_at(book, tick):  # type: ignore[no-untyped-def]
    """The row of the barrier that stands at a tick; -1 for none."""
    for i in range(book.state[layout.BARRIERS]):
        if book.barriers[i, layout.STANDS] != 0 and book.barriers[i, layout.BARRIER_TICK] == tick:
            return i
    return -1


@compiled
def hit_barrier(book, out, i, quantity):  # type: ignore[no-untyped-def]
    """Trade a quantity (1e-8 base) at the barrier in a row: hidden quantity refills it; with none left it is filled."""
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
