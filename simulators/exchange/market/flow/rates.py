"""
The constants of the order flow from a market's parameters; those fitted are fitted to the calibration page's rows.
"""

from math import exp, sqrt
from typing import Any

import numpy as np

from simulators.exchange.market.background import TRADES_PER_TYPICAL, even_sizes, run_length_table, trade_size_table
from simulators.exchange.market.parameters import BASIS_POINT, STEPS_PER_DAY, MarketParameters

VOLATILITY_MEMORY_STEPS = 108_000  # three hours: volatility changes over hours, and |r| of minutes correlates over one
NEWS_CHANCE = 0.012  # of a step: a piece of news every eight seconds

_VOLATILITY_SPREAD = 0.38  # of log volatility over hours
_ACTIVITY_PULL = 0.3  # of the logarithm of the pace of orders on that of the volatility
_IMPACT_SHARE = 0.06  # of the variance of the value that comes with ordinary orders
_QUIET_SHARE = 0.512  # of the variance that makers learn without a trade; the rest is news
_QUIET_CHANCE = 0.003  # of a step: every half minute
_LEARNING_STEPS = 14.0  # in which makers' quotes go most of the way to news, where the informed are not faster
_SNIPER_SIZE = 0.2  # over usual trades
_ANSWER_SIZE = 0.62  # over usual trades, of orders that answer news; sets R² at 1 s
_SIZE_POWER = 0.1  # of the size of an order's trades in its impact: concave
_LEVEL_POWER = 1.0  # of the number of levels that it takes beyond the first: what the best level fills tells nothing
_SURPRISE = 0.65  # the mean square of a sign less its expectation, with the weights below
_SIGN_WEIGHTS = (0.2, 0.25, 0.3, 0.2)
_SIGN_MEMORY = (1.5, 10.0, 60.0, 400.0)  # orders, of the spans that sides follow
_REQUOTE_CHANCE = 0.05  # of a step in which makers whose quotes are off requote without an order
_REQUOTE_MORE = 0.25  # without any takers: few trades cannot walk all the way that the price goes
_FITTED_RATE = 10.0  # trades per second of the recorded day, which the constants here are fitted to
_REQUOTE_PART = 1.0  # of the way to the quoted price
_TOLERANCE_STEPS = 10.0  # quotes stay until they are off by as much as the value moves in that time
_SETTLED = 0.1  # of the tolerance: nearer than that, quotes that began to move stand again
_INFORMED_TOLERANCE = 0.15  # of the tolerance: what the informed leave is not worth the walk
_WALK_BOOST = 8.0  # chance of long runs where quotes lag behind, over the usual one
_ROUND_TICKS = 10_000  # a hundred of the quote at a tick of a cent
_ROUND_SIZE = 500.0  # median trades, about two thirds of what rests at a round price that the price passes
_WALL_STAY = 0.995  # of the visits that a large level outlives
_WALLS = 12  # of the makers' own, at a time, at most
_WALL_SIZE = 60_000.0  # median levels, about
_STANDING_SHARE = 0.5  # of them that stay where they are
_WALL_BIRTH_MIN, _WALL_LIFE_MIN = 2.5, 15.0  # minutes
_WALL_NEAR_BP, _WALL_FAR_BP = 5.0, 40.0  # distances
_WALL_STRIDE_BP = 0.5  # the price moves so far before a creeping one follows
_STEPS_PER_MINUTE = 600.0


def log_volatility_variance(parameters: MarketParameters) -> float:
    """The variance of the logarithm of the market's volatility."""
    slow = _VOLATILITY_SPREAD**2 if parameters.mechanisms.slow_volatility else 0.0
    return slow + (_ACTIVITY_PULL * parameters.activity_spread) ** 2


def flow_rates(parameters: MarketParameters, orders: float) -> dict[str, Any]:
    """
    The fields of `layout.Rates` that the order flow needs.

    Args:
        parameters: the market.
        orders: ordinary orders per step, on average.
    """
    return _price_rates(parameters, orders) | _order_rates(parameters) | _wall_rates(parameters)


def _price_rates(parameters: MarketParameters, orders: float) -> dict[str, Any]:
    mechanisms = parameters.mechanisms
    sigma = parameters.daily_volatility / sqrt(STEPS_PER_DAY)
    spread = _VOLATILITY_SPREAD if mechanisms.slow_volatility else 0.0
    calm = exp(-1.0 / VOLATILITY_MEMORY_STEPS)
    impact_share = _IMPACT_SHARE if mechanisms.impact else 0.0
    news_share = 1.0 - _IMPACT_SHARE - _QUIET_SHARE
    impact_square = _IMPACT_SHARE / (orders * _SURPRISE * _mean_square_impact(parameters))
    return {
        "quiet_chance": _QUIET_CHANCE,
        "quiet_size": sigma * sqrt((1.0 - impact_share - news_share) / _QUIET_CHANCE),
        "news_chance": NEWS_CHANCE,
        "news_size": sigma * sqrt(news_share / NEWS_CHANCE),
        "largest_move": parameters.reach_ticks / 4.0 / parameters.start_tick,
        "learning": 1.0 - exp(-1.0 / _LEARNING_STEPS) if mechanisms.slow_quotes else 1.0,
        "calm": calm,
        "restlessness": spread * sqrt(1.0 - calm**2),
        "volatility_variance": spread**2,
        "volatility_bias": log_volatility_variance(parameters),
        "activity_pull": _ACTIVITY_PULL,
        "impact": sigma * sqrt(impact_square) if mechanisms.impact else 0.0,
        "size_power": _SIZE_POWER,
        "level_power": _LEVEL_POWER,
        "sign_weights": np.array(_SIGN_WEIGHTS if mechanisms.sign_memory else [0.0] * len(_SIGN_WEIGHTS)),
        "sign_learning": 1.0 - np.exp(-1.0 / np.array(_SIGN_MEMORY)),
    }


def _mean_square_impact(parameters: MarketParameters) -> float:
    # In units of a median order's impact: size and number of levels are drawn on their own.
    rank = (np.arange(20_000) + 0.5) / 20_000
    sizes = trade_size_table() if parameters.mechanisms.heavy_sizes else even_sizes()
    size = np.exp(np.interp(rank, sizes[0], sizes[1]))
    logs = run_length_table()
    run = np.exp(np.interp(np.log(rank), logs[1][::-1], logs[0][::-1])).astype(np.int64)
    run = np.minimum(run, parameters.longest_run)
    return float((size ** (2 * _SIZE_POWER)).mean() * ((run - 1.0) ** (2 * _LEVEL_POWER)).mean())


def _order_rates(parameters: MarketParameters) -> dict[str, Any]:
    mechanisms = parameters.mechanisms
    trade_unit = parameters.typical_quantity_e8 / TRADES_PER_TYPICAL
    takers = min(1.0, parameters.trades_per_second / _FITTED_RATE)
    sigma = parameters.daily_volatility / sqrt(STEPS_PER_DAY)
    tolerance = sigma * sqrt(_TOLERANCE_STEPS) * parameters.start_tick if mechanisms.walks else 0.0
    return {
        "informed": mechanisms.informed,
        "sniper_size": _SNIPER_SIZE,
        "answer_size": _ANSWER_SIZE,
        "requote_chance": _REQUOTE_CHANCE + (1.0 - takers) * _REQUOTE_MORE,
        "requote_part": _REQUOTE_PART if mechanisms.walks else 1.0,
        "tolerance": tolerance,
        "settled": _SETTLED * tolerance,
        "informed_tolerance": _INFORMED_TOLERANCE * tolerance,
        "walk_holds": mechanisms.walks and mechanisms.impact and parameters.daily_volatility > 0.0,
        "walk_boost": _WALK_BOOST**takers if mechanisms.walks else 1.0,
        "round_ticks": _ROUND_TICKS,
        "round_size": trade_unit * _ROUND_SIZE if mechanisms.round_orders else 0.0,
    }


def _wall_rates(parameters: MarketParameters) -> dict[str, Any]:
    mechanisms = parameters.mechanisms
    ticks_per_bp = parameters.start_tick * BASIS_POINT
    shares = _STANDING_SHARE * mechanisms.held_walls, (1.0 - _STANDING_SHARE) * mechanisms.creeping_walls
    return {
        "wall_stay": _WALL_STAY if mechanisms.held_walls else 0.0,
        "walls": _WALLS if parameters.natural_walls and sum(shares) > 0.0 else 0,
        "wall_size": _WALL_SIZE,
        "standing_share": shares[0] / sum(shares) if sum(shares) > 0.0 else 0.0,
        "wall_births": sum(shares) / (_WALL_BIRTH_MIN * _STEPS_PER_MINUTE),
        "wall_deaths": 1.0 / (_WALL_LIFE_MIN * _STEPS_PER_MINUTE),
        "wall_near": _WALL_NEAR_BP * ticks_per_bp,
        "wall_far": _WALL_FAR_BP * ticks_per_bp,
        "wall_stride": max(1, round(_WALL_STRIDE_BP * ticks_per_bp)),
    }
