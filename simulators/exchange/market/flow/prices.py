"""
The value of the coin, and the price that makers quote, which follows it within a second.

The value is a martingale: it moves by news, by what makers learn without a trade, and by what an order tells: its
impact times its sign less the sign that was expected. The informed know the value while the quotes are still on their
way to it. Walls, round prices and levels enter none of it.
"""

from math import exp, floor, log

from market.compiled import compiled
from simulators.exchange.market import layout
from simulators.exchange.market.flow.activity import is_calm


@compiled
def next_value(book, rates, rng):  # type: ignore[no-untyped-def]
    """
    Advance volatility, value and quoted price by a step.

    Args:
        book: arrays of the market.
        rates: constants of the market.
        rng: generator of the random numbers.

    Returns:
        The size of the step's news in their standard deviations; 0 without news.
    """
    flow = book.flow
    flow[layout.LOG_VOLATILITY] = rates.calm * flow[layout.LOG_VOLATILITY] + rates.restlessness * rng.standard_normal()
    scale = exp(flow[layout.LOG_VOLATILITY] + rates.activity_pull * flow[layout.LOG_ACTIVITY] - rates.volatility_bias)
    flow[layout.SCALE] = scale
    if flow[layout.PIN_PULL] > 0.0:
        flow[layout.VALUE] += flow[layout.PIN_PULL] * (flow[layout.PIN] - flow[layout.VALUE])
        flow[layout.LOG_PRICE] += flow[layout.PIN_PULL] * (flow[layout.PIN] - flow[layout.LOG_PRICE])
    quiet = news = surprise = 0.0
    if rng.random() < rates.quiet_chance:
        flow[layout.QUIET_WAITS] += 1.0
    if flow[layout.QUIET_WAITS] > 0.0 and is_calm(book, rates):
        flow[layout.QUIET_WAITS] -= 1.0
        quiet = rates.quiet_size * scale * rng.standard_normal()
    if rng.random() < rates.news_chance:
        draw = rng.standard_normal()
        news, surprise = rates.news_size * scale * draw, abs(draw)
    largest = rates.largest_move
    quiet, news = min(max(quiet, -largest), largest), min(max(news, -largest), largest)
    flow[layout.VALUE] += quiet + news
    flow[layout.LOG_PRICE] += quiet
    flow[layout.QUIET] = quiet
    lowest = log(rates.lowest_tick / rates.start_tick)
    flow[layout.VALUE] = max(flow[layout.VALUE], lowest)
    if book.state[layout.MIRRORS] > 0:
        _mirror(book, rates)
    learnt = rates.learning * (flow[layout.VALUE] - flow[layout.LOG_PRICE])
    flow[layout.LOG_PRICE] = max(flow[layout.LOG_PRICE] + learnt, lowest)
    return surprise


@compiled
def _mirror(book, rates):  # type: ignore[no-untyped-def]
    # A planted edge turns the value back, and makers do not quote beyond it.
    flow = book.flow
    for i in range(book.state[layout.MIRRORS]):
        tick = book.mirrors[i, layout.MIRROR_TICK]
        if tick == 0:
            continue
        limit = log(tick / rates.start_tick)
        if book.mirrors[i, layout.MIRROR_ASK]:
            flow[layout.VALUE] = min(flow[layout.VALUE], 2.0 * limit - flow[layout.VALUE])
            flow[layout.LOG_PRICE] = min(flow[layout.LOG_PRICE], limit)
        else:
            flow[layout.VALUE] = max(flow[layout.VALUE], 2.0 * limit - flow[layout.VALUE])
            flow[layout.LOG_PRICE] = max(flow[layout.LOG_PRICE], limit)


@compiled
def target_tick(book, rates):  # type: ignore[no-untyped-def]
    """The fair tick that the quoted price asks for, inside the book."""
    return _tick_of(book, rates, book.flow[layout.LOG_PRICE])


@compiled
def value_tick(book, rates):  # type: ignore[no-untyped-def]
    """The fair tick at the value, inside the book."""
    return _tick_of(book, rates, book.flow[layout.VALUE])


@compiled
def _tick_of(book, rates, log_price):  # type: ignore[no-untyped-def]
    state = book.state
    tick = floor(rates.start_tick * exp(log_price) + 0.5)
    return min(max(tick, state[layout.LOW]), state[layout.HIGH] - 1)


@compiled
def answer_walk(book, rates, seller, tick):  # type: ignore[no-untyped-def]
    """
    Let the quoted price reach the fair tick that an informed order has walked to, where it is not there yet.

    Args:
        book: arrays of the market.
        rates: constants of the market.
        seller: 1 for a seller, 0 for a buyer.
        tick: the fair tick after the walk.
    """
    reached, quoted = log(tick / rates.start_tick), book.flow[layout.LOG_PRICE]
    book.flow[layout.LOG_PRICE] = min(quoted, reached) if seller else max(quoted, reached)


@compiled
def answer_order(book, rates, seller, size, levels, expected):  # type: ignore[no-untyped-def]
    """
    Move value and quoted price by what an ordinary order tells: concave in its size, in units of the volatility.

    Only the part of its sign that was not expected moves the price, so that the long memory of signs makes no trend.

    Args:
        book: arrays of the market.
        rates: constants of the market.
        seller: 1 for a seller, 0 for a buyer.
        size: of its trades, 1e-8 base. levels: that it takes. Both are drawn without regard to its side: no trend.
        expected: the sign that was expected of it.

    Returns:
        The change of both, as a logarithm.
    """
    weight = (size / rates.trade_unit_e8) ** rates.size_power * (levels - 1.0) ** rates.level_power
    move = min(rates.impact * book.flow[layout.SCALE] * weight, rates.largest_move) * (
        (-1.0 if seller else 1.0) - expected
    )
    book.flow[layout.VALUE] += move
    book.flow[layout.LOG_PRICE] += move
    if book.state[layout.MIRRORS] > 0:
        _mirror(book, rates)
    return move
