"""
The constants of the order flow from a market's parameters; those fitted are fitted to the calibration page's rows.
"""

from math import exp, sqrt
from typing import Any

from simulators.exchange.market.background import TRADES_PER_TYPICAL
from simulators.exchange.market.parameters import BASIS_POINT, STEPS_PER_DAY, MarketParameters

VOLATILITY_MEMORY_STEPS = 108_000  # three hours: volatility changes over hours, and |r| of minutes correlates over one
REQUOTE_CHANCE = 0.45  # of a step in which makers requote without an order

_VOLATILITY_SPREAD = 0.4  # of log volatility over hours
_ACTIVITY_PULL = 0.45  # of the logarithm of the pace of orders on that of the volatility
_PRIVATE_CHANCE = 0.02  # of a step: the informed learn something every five seconds
_NEWS_SHARE = 0.3  # of the variance that everybody learns at once
_NEWS_CHANCE = 0.02  # of a step: a piece of news every five seconds
_LEARNING_STEPS = 200.0  # in which makers learn of the value without orders
_INFORMED_TOP = 0.9  # share of informed orders while the quotes are far from the value
_INFORMED_SIZE = 2.0  # the size of informed orders over that of others
_GAP_UNIT_STEPS = 20.0  # a gap of as much as the value moves in that time makes half of it
_USUAL_GAP_STEPS = 30.0  # the mean gap, as a time in which the value moves as far
_URGENT_SHARE = 0.8  # of orders that come in proportion to the gap
_LONGEST_RUSH = 20.0  # mean gaps; a wider one brings no more orders
_IMPACT_STEPS = 0.0169  # the impact of a median order, as a time in which the value moves as far
_IMPACT_POWER = 0.6  # concave in quantity
_ANTICIPATION = 0.8  # of the expected sign that moves no price
_SIGN_MEMORY = 20.0  # orders over which makers form that expectation
_PARENTS = 1  # at a time
_PARENT_POWER = 1.2  # of the tail of their lengths
_SHORTEST_PARENT = 20.0  # orders; the shortest parent
_LONGEST_PARENT = 4_000.0  # orders
_REQUOTE_PART = 0.4  # of the way to the quoted price
_REQUOTE_BP = 0.03  # the least step
_WALK_BOOST = 3.0  # chance of long runs where quotes lag behind, over the usual one
_ROUND_TICKS = 10_000  # a hundred of the quote at a tick of a cent
_ROUND_SIZE = 250.0  # median trades, about two thirds of what rests at a round price that the price passes
_WALL_SIZE = 8_000.0  # median levels, of a creeping wall, about
_WALL_STAY = 0.98  # of the visits that a natural wall outlives
_CREEPERS = 6  # creeping walls at a time, at most
_CREEPER_BIRTH_MIN, _CREEPER_LIFE_MIN = 4.0, 15.0  # minutes
_CREEPER_NEAR_BP, _CREEPER_FAR_BP = 5.0, 40.0  # distances
_CREEPER_STRIDE_BP = 0.5  # the price moves so far before it follows
_TINY = 1e-15  # in place of a volatility of zero
_STEPS_PER_MINUTE = 600.0


def log_volatility_variance(parameters: MarketParameters) -> float:
    """The variance of the logarithm of the market's volatility."""
    slow = _VOLATILITY_SPREAD**2 if parameters.mechanisms.slow_volatility else 0.0
    return slow + (_ACTIVITY_PULL * parameters.activity_spread) ** 2


def flow_rates(parameters: MarketParameters) -> dict[str, Any]:
    """The fields of `layout.Rates` that the order flow needs."""
    return _price_rates(parameters) | _order_rates(parameters) | _wall_rates(parameters)


def _price_rates(parameters: MarketParameters) -> dict[str, Any]:
    mechanisms = parameters.mechanisms
    sigma = parameters.daily_volatility / sqrt(STEPS_PER_DAY)
    spread = _VOLATILITY_SPREAD if mechanisms.slow_volatility else 0.0
    calm = exp(-1.0 / VOLATILITY_MEMORY_STEPS)
    return {
        "private_chance": _PRIVATE_CHANCE,
        "private_size": sigma * sqrt((1.0 - _NEWS_SHARE) / _PRIVATE_CHANCE),
        "news_chance": _NEWS_CHANCE,
        "news_size": sigma * sqrt(_NEWS_SHARE / _NEWS_CHANCE),
        "largest_move": parameters.reach_ticks / 4.0 / parameters.start_tick,
        "learning": 1.0 / _LEARNING_STEPS if mechanisms.slow_quotes else 1.0,
        "calm": calm,
        "restlessness": spread * sqrt(1.0 - calm**2),
        "volatility_variance": spread**2,
        "volatility_bias": log_volatility_variance(parameters),
        "activity_pull": _ACTIVITY_PULL,
        "impact": sigma * sqrt(_IMPACT_STEPS) if mechanisms.impact else 0.0,
        "impact_power": _IMPACT_POWER,
        "anticipation": _ANTICIPATION,
        "sign_learning": 1.0 / _SIGN_MEMORY,
    }


def _order_rates(parameters: MarketParameters) -> dict[str, Any]:
    mechanisms = parameters.mechanisms
    trade_unit = parameters.typical_quantity_e8 / TRADES_PER_TYPICAL
    sigma = max(parameters.daily_volatility / sqrt(STEPS_PER_DAY), _TINY)
    ticks_per_bp = parameters.start_tick * BASIS_POINT
    return {
        "informed_top": _INFORMED_TOP if mechanisms.informed else 0.0,
        "informed_size": _INFORMED_SIZE if mechanisms.informed else 1.0,
        "gap_unit": sigma * sqrt(_GAP_UNIT_STEPS),
        "usual_gap": sigma * sqrt(_USUAL_GAP_STEPS),
        "urgent_share": _URGENT_SHARE if mechanisms.informed and parameters.daily_volatility > 0.0 else 0.0,
        "longest_rush": _LONGEST_RUSH,
        "parents": _PARENTS,
        "parent_power": _PARENT_POWER,
        "shortest_parent": _SHORTEST_PARENT if mechanisms.parents else 1.0,
        "longest_parent": _LONGEST_PARENT if mechanisms.parents else 1.0,
        "requote_chance": REQUOTE_CHANCE,
        "requote_part": _REQUOTE_PART if mechanisms.walks else 1.0,
        "requote_ticks": max(1, round(_REQUOTE_BP * ticks_per_bp)),
        "walk_holds": mechanisms.walks and mechanisms.impact and parameters.daily_volatility > 0.0,
        "walk_boost": _WALK_BOOST if mechanisms.walks else 1.0,
        "round_ticks": _ROUND_TICKS,
        "round_size": trade_unit * _ROUND_SIZE if mechanisms.round_orders else 0.0,
    }


def _wall_rates(parameters: MarketParameters) -> dict[str, Any]:
    mechanisms = parameters.mechanisms
    ticks_per_bp = parameters.start_tick * BASIS_POINT
    return {
        "wall_size": _WALL_SIZE,
        "wall_stay": _WALL_STAY if mechanisms.held_walls else 0.0,
        "creepers": _CREEPERS if parameters.natural_walls and mechanisms.creeping_walls else 0,
        "creeper_births": 1.0 / (_CREEPER_BIRTH_MIN * _STEPS_PER_MINUTE),
        "creeper_deaths": 1.0 / (_CREEPER_LIFE_MIN * _STEPS_PER_MINUTE),
        "creeper_near": _CREEPER_NEAR_BP * ticks_per_bp,
        "creeper_far": _CREEPER_FAR_BP * ticks_per_bp,
        "creeper_stride": max(1, round(_CREEPER_STRIDE_BP * ticks_per_bp)),
    }
