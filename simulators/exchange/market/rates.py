"""
The constants of the hot loop from a market's parameters; for the fitted ones, the recordings they are fitted on.
"""

from math import exp, sqrt

import numpy as np

from market.fixed_point import ONE_E8
from simulators.exchange.market import background
from simulators.exchange.market.flow.rates import (
    NEWS_CHANCE,
    VOLATILITY_MEMORY_STEPS,
    flow_rates,
    log_volatility_variance,
)
from simulators.exchange.market.layout import Rates
from simulators.exchange.market.parameters import BASIS_POINT, STEP_NS, MarketParameters
from simulators.exchange.market.pulls import Volatility

_SNIPE = 1.0  # per trade^1.5 in a step: how often a taker is faster than makers whose quotes are off

# Fitted to the counts per second of 2024-01-01: Fano factors at 1, 10, 60 s, autocorrelation at 1, 10, 60 s.
_ACTIVITY_MEMORY_STEPS = 18_000
_EXCITEMENT_MEMORY_STEPS = 20
_BRANCHING = 0.6
_LEVELS_PER_ORDER = 1.95
_BURST_SHARE = 0.27  # of all trades
_BURST_PACE = 0.4  # of the answers to news that come in a step
_CALM_PART = 0.35  # of the usual excitement of orders: a market with no more of it is calm
_MEAN_SURPRISE = 0.798  # the mean of the absolute value of a standard normal number
_LEVELS_PER_BURST_ORDER = 2.6
_BURST_BOOST = 2.0
_BURST_BRANCHING = 0.6

# Fitted to the snapshot's depth by octave: quotes are renewed fast enough that depth follows the mid out to 64 bp.
_RENEWED_BP = 64.0
_NEAR_VISITS = 100
_NEAR_DENSITY = 0.19  # levels more per tick close behind the best price: 2 to 5 in ten ticks of the recordings
_NEAR_SCALE = 4.0  # ticks in which that falls to half
_TOUCH_VISITS = 5  # per side and step: the second level follows the best one within a second
_FIRST_POWER = 0.7  # the first print of an order of n levels is n^0.7 times a usual one, as on the real day
_EVEN_BP = 0.3  # nearer than this all ticks are visited equally often

_PRESS_ROOM_BP = 2.0  # how far beyond a barrier the log price may lie that wants through it
_MINUTES_PER_DAY = 1_440  # volatility is given by the day and used by the minute
_MEAN_TRADE = 23.5  # median trades, as recorded


def usual_minute_e8(parameters: MarketParameters) -> float:
    """The average quantity traded per minute, 1e-8 base."""
    trade = parameters.typical_quantity_e8 / background.TRADES_PER_TYPICAL * _MEAN_TRADE
    return trade * parameters.trades_per_second * 60.0


def usual_volatility(parameters: MarketParameters) -> Volatility:
    """The volatility per minute that the market returns to, as the current one."""
    variance = log_volatility_variance(parameters)
    usual_bp = parameters.daily_volatility / sqrt(_MINUTES_PER_DAY) / BASIS_POINT * exp(-variance)
    return Volatility(usual_bp, usual_bp, sqrt(variance), VOLATILITY_MEMORY_STEPS / 600)


def rates_of(parameters: MarketParameters) -> Rates:
    """The constants of a market's hot loop."""
    reach = parameters.reach_ticks
    trades_per_step = parameters.trades_per_second * STEP_NS / 1e9
    answers = _BURST_SHARE * trades_per_step / (NEWS_CHANCE * _LEVELS_PER_BURST_ORDER)  # to a piece of news
    burst_excitement = _BURST_BRANCHING * NEWS_CHANCE * answers
    calm_share = 1.0 - _BURST_SHARE
    orders = calm_share * trades_per_step / _LEVELS_PER_ORDER
    decay = exp(-1.0 / _EXCITEMENT_MEMORY_STEPS)
    activity_calm = exp(-1.0 / _ACTIVITY_MEMORY_STEPS)
    trade_unit = parameters.typical_quantity_e8 / background.TRADES_PER_TYPICAL
    ticks_per_bp = parameters.start_tick * BASIS_POINT
    return Rates(
        start_tick=float(parameters.start_tick),
        lowest_tick=2 * reach,
        reach=reach,
        near_span=max(100, min(int(_RENEWED_BP * ticks_per_bp), reach // 2)),
        near_visits=_NEAR_VISITS,
        touch_visits=_TOUCH_VISITS,
        first_power=_FIRST_POWER,
        even_ticks=max(1.0, _EVEN_BP * ticks_per_bp),
        density=parameters.density,
        near_density=_NEAR_DENSITY,
        near_scale=_NEAR_SCALE,
        far_ticks=background.FAR_BP * ticks_per_bp,
        far_density=background.FAR_DENSITY,
        ticks_per_bp=ticks_per_bp,
        level_unit_e8=parameters.typical_quantity_e8 / background.LEVELS_PER_TYPICAL,
        trade_unit_e8=trade_unit,
        touch_e8=parameters.typical_quantity_e8 * background.TOUCH_SIZE,
        step_e8=parameters.step_size_e8,
        natural_walls=parameters.natural_walls,
        longest_run=parameters.longest_run,
        level_ranks=np.array(background.SIZE_RANKS),
        level_sizes=background.level_size_table(),
        trade_sizes=background.trade_size_table() if parameters.mechanisms.heavy_sizes else background.even_sizes(),
        run_lengths=background.run_length_table(),
        bin_ticks=max(1, ONE_E8 // parameters.tick_size_e8),
        activity_calm=activity_calm,
        activity_restlessness=parameters.activity_spread * sqrt(1.0 - activity_calm**2),
        activity_variance=parameters.activity_spread**2,
        sweep_chance=min(0.5, _SNIPE * trades_per_step**1.5),
        order_rate=max(0.0, (1.0 - _BRANCHING) * orders - burst_excitement),
        usual_excitement=_BRANCHING * orders + burst_excitement,
        calm_part=_CALM_PART,
        order_decay=decay,
        order_kick=_BRANCHING * (1.0 - decay),
        burst_pace=_BURST_PACE,
        burst_orders=answers / _MEAN_SURPRISE,
        burst_boost=_BURST_BOOST,
        burst_kick=_BURST_BRANCHING * (1.0 - decay),
        press_e8=trade_unit * _MEAN_TRADE * trades_per_step,
        press_room=_PRESS_ROOM_BP * BASIS_POINT,
        **flow_rates(parameters, orders),
    )
