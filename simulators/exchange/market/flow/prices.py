"""
The value of the coin, which only the informed know, and the price that makers quote, which learns of it.

The value is a martingale whose volatility clusters over hours. The quoted price moves by the impact of orders, by
news, and by what makers learn by themselves; what uninformed orders have moved comes back. Walls, round prices and
levels enter none of it.
"""

from math import exp, floor, log

from market.compiled import compiled
from simulators.exchange.market import layout


@compiled
def next_value(book, rates, rng):  # type: ignore[no-untyped-def]
    """
    Advance volatility, value and quoted price by a step.

    Args:
        book: arrays of the market.
        rates: constants of the market.
        rng: generator of the random numbers.
    """
    flow = book.flow
    flow[layout.LOG_VOLATILITY] = rates.calm * flow[layout.LOG_VOLATILITY] + rates.restlessness * rng.standard_normal()
    scale = exp(flow[layout.LOG_VOLATILITY] + rates.activity_pull * flow[layout.LOG_ACTIVITY] - rates.volatility_bias)
    flow[layout.SCALE] = scale
    if flow[layout.PIN_PULL] > 0.0:
        flow[layout.VALUE] += flow[layout.PIN_PULL] * (flow[layout.PIN] - flow[layout.VALUE])
        flow[layout.LOG_PRICE] += flow[layout.PIN_PULL] * (flow[layout.PIN] - flow[layout.LOG_PRICE])
    private = quiet = news = surprise = 0.0
    if rng.random() < rates.private_chance:
        private = rates.private_size * scale * rng.standard_normal()
    if rng.random() < rates.quiet_chance:
        quiet = rates.quiet_size * scale * rng.standard_normal()
    if rng.random() < rates.news_chance:
        draw = rng.standard_normal()
        news, surprise = rates.news_size * scale * draw, abs(draw)
    largest = rates.largest_move
    flow[layout.VALUE] += min(max(private + quiet + news, -largest), largest)
    flow[layout.LOG_PRICE] += min(max(quiet, -largest), largest)
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
def answer_order(book, rates, seller, quantity):  # type: ignore[no-untyped-def]
    """
    Move the quoted price by the impact of an order: concave in its quantity, in units of the volatility.

    Makers expect signs to go on as they were; only what they did not expect moves the price, so that the long memory of
    signs makes no trend.

    Args:
        book: arrays of the market.
        rates: constants of the market.
        seller: 1 for a seller, 0 for a buyer.
        quantity: of the order, 1e-8 base.
    """
    impact = rates.impact * book.flow[layout.SCALE] * (quantity / rates.trade_unit_e8) ** rates.impact_power
    impact = min(impact, rates.largest_move)
    sign = -1.0 if seller else 1.0
    expected = book.flow[layout.EXPECTED_SIGN]
    book.flow[layout.LOG_PRICE] += impact * (sign - rates.anticipation * expected)
    book.flow[layout.EXPECTED_SIGN] = expected + rates.sign_learning * (sign - expected)


@compiled
def answer_walk(book, rates, seller, tick):  # type: ignore[no-untyped-def]
    """
    Let the quoted price reach the fair tick that an order has walked to, where it is not there yet.

    Args:
        book: arrays of the market.
        rates: constants of the market.
        seller: 1 for a seller, 0 for a buyer.
        tick: the fair tick after the walk.
    """
    reached = log(tick / rates.start_tick)
    quoted = book.flow[layout.LOG_PRICE]
    book.flow[layout.LOG_PRICE] = min(quoted, reached) if seller else max(quoted, reached)


@compiled
def urgency(book, rates):  # type: ignore[no-untyped-def]
    """The pace of orders over the usual one: higher while the informed see a price far from the value."""
    flow = book.flow
    gap = abs(flow[layout.VALUE] - flow[layout.LOG_PRICE]) / (rates.usual_gap * flow[layout.SCALE])
    return 1.0 - rates.urgent_share + rates.urgent_share * min(gap, rates.longest_rush)
