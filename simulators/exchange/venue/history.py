"""
The aggTrades before the exchange opens: a random walk without a book that ends at the start price of the engine.
"""

from math import sqrt

import numpy as np

from market.arrays import I64, Bools
from market.timestamps import DAY_NS, HOUR_NS, MILLISECOND_NS
from simulators.exchange.errors import ParameterError
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.trades import FIELDS, Trades, no_trades

_LEVELS_PER_ORDER = 1.5  # that an order takes, in the mean: each is an aggregate trade
_MOVE_CHANCE = 0.4  # of an order moving the price
_ACTIVITY_SPAN_ORDERS = 400  # orders between two paces, which change smoothly
_ACTIVITY_SPREAD = 0.6  # of the log pace: busy and quiet hours


def make_history(parameters: MarketParameters, rng: np.random.Generator, start_ns: int, hours: float) -> Trades:
    """
    Generate the aggTrades of the hours before a start.

    Args:
        parameters: the market; agg ids end one below its first agg id, trade ids one below its first trade id.
        rng: a seeded generator that nothing else uses.
        start_ns: when the engine starts, ns UTC; every trade is earlier.
        hours: length of the history; 0 gives no trades.

    Raises:
        ParameterError: there are more trades than ids below the first.
    """
    orders = int(hours * HOUR_NS / 1e9 * parameters.history_trades_per_second / _LEVELS_PER_ORDER)
    if orders <= 0:
        return no_trades()
    levels = np.minimum(rng.geometric(1.0 / _LEVELS_PER_ORDER, orders), 16)
    time_ns = _order_times(rng, orders, start_ns, int(hours * HOUR_NS))
    selling = rng.random(orders) < 0.5
    fair = _fair_ticks(parameters, rng, time_ns)
    tick = np.repeat(fair + np.where(selling, 0, 1), levels) + _sweep_offsets(parameters, rng, levels, selling)
    return _columns(
        parameters, rng, np.maximum(tick, 1), np.repeat(time_ns, levels), np.repeat(selling, levels).astype(np.int64)
    )


def _order_times(rng: np.random.Generator, orders: int, start_ns: int, span_ns: int) -> I64:
    # Waiting times stretched by a slow activity, then scaled so that they fill the span exactly.
    knots = orders // _ACTIVITY_SPAN_ORDERS + 2
    activity = np.exp(_ACTIVITY_SPREAD * rng.standard_normal(knots))
    pace = np.interp(np.arange(orders) / _ACTIVITY_SPAN_ORDERS, np.arange(knots), activity)
    offsets = np.cumsum(rng.standard_exponential(orders) * pace)
    ends = offsets[-1] + 1e-9 + pace[-1]
    time_ns = start_ns - span_ns + (offsets / ends * span_ns).astype(np.int64)
    time_ns = np.minimum(time_ns, start_ns - MILLISECOND_NS)
    milliseconds_ns: I64 = time_ns - time_ns % MILLISECOND_NS
    return milliseconds_ns


def _fair_ticks(parameters: MarketParameters, rng: np.random.Generator, time_ns: I64) -> I64:
    waits = np.diff(time_ns, append=time_ns[-1]) / DAY_NS
    moves = rng.random(len(time_ns)) < _MOVE_CHANCE
    sizes = parameters.daily_volatility * np.sqrt(waits / _MOVE_CHANCE) * rng.laplace(0.0, 1.0 / sqrt(2.0), len(waits))
    steps = np.where(moves, sizes, 0.0)
    # The last order waits for nothing and trades at the start price: the walk is summed from its end backwards.
    log_price = -np.cumsum(steps[::-1])[::-1]
    ticks: I64 = np.floor(parameters.start_tick * np.exp(log_price) + 0.5).astype(np.int64)
    return ticks


def _sweep_offsets(parameters: MarketParameters, rng: np.random.Generator, levels: I64, selling: Bools) -> I64:
    # Levels of one order lie ever farther from the touch: gaps summed within each order.
    gaps = rng.geometric(min(0.9, 5.0 * parameters.density), int(levels.sum()))
    firsts = np.cumsum(levels) - levels
    gaps[firsts] = 0
    run = np.cumsum(gaps)
    offsets = run - np.repeat(run[firsts], levels)
    ticks: I64 = np.where(np.repeat(selling, levels), -offsets, offsets).astype(np.int64)
    return ticks


def _columns(parameters: MarketParameters, rng: np.random.Generator, tick: I64, time_ns: I64, selling: I64) -> Trades:
    count = len(tick)
    step = parameters.step_size_e8
    size = 0.2 * parameters.typical_quantity_e8 * np.exp(1.6 * rng.standard_normal(count))
    steps = np.maximum(1, size / step).astype(np.int64)
    makers = 1 + np.minimum(rng.poisson(0.3, count), steps - 1)
    columns = np.empty((FIELDS, count), np.int64)
    columns[0] = parameters.first_agg_id - count + np.arange(count)
    columns[1] = tick * parameters.tick_size_e8
    columns[2] = steps * step
    columns[4] = parameters.first_trade_id - 1 - makers.sum() + np.cumsum(makers)
    columns[3] = columns[4] - makers + 1
    columns[5] = time_ns
    columns[6] = selling
    if int(columns[0, 0]) <= 0 or int(columns[3, 0]) <= 0:
        raise ParameterError(f"a history of {count} trades needs more ids than there are below the first")
    return Trades(columns)
