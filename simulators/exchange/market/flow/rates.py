"""
The constants of the order flow from a market's parameters; those fitted are fitted to the calibration page's rows.
"""

from math import exp, sqrt
from typing import Any

from simulators.exchange.market.background import TRADES_PER_TYPICAL
from simulators.exchange.market.parameters import BASIS_POINT, STEPS_PER_DAY, MarketParameters

VOLATILITY_MEMORY_STEPS = 108_000  # three hours: volatility changes over hours, and |r| of minutes correlates over one
REQUOTE_CHANCE = 0.1  # of a step in which makers requote without an order

_VOLATILITY_SPREAD = 0.55  # of log volatility over hours
_ACTIVITY_PULL = 0.15  # of the logarithm of the pace of orders on that of the volatility
_PRIVATE_CHANCE = 0.02  # of a step: the informed learn something every five seconds
_NEWS_SHARE = 0.35  # of the variance that everybody learns at once
_QUIET_SHARE = 0.35  # of the variance that makers learn without a trade
_QUIET_CHANCE = 0.02  # of a step: every five seconds
NEWS_CHANCE = 0.002  # of a step: a piece of news every five seconds
_LEARNING_STEPS = 30.0  # in which makers learn of the value without orders
_INFORMED_TOP = 0.15  # share of informed orders while the quotes are far from the value
_SNIPER_SIZE = 0.2  # over usual trades; larger ones raise R² at 60 s above 0.4
_ANSWER_SIZE = 0.4  # over usual trades, of orders that answer news; sets R² at 1 s
_INFORMED_SIZE = 0.5  # the size of informed orders over that of others
_GAP_UNIT_STEPS = 10.0  # a gap of as much as the value moves in that time makes half of it
_USUAL_GAP_STEPS = 30.0  # the mean gap, as a time in which the value moves as far
_URGENT_SHARE = 0.3  # of orders that come in proportion to the gap
_LONGEST_RUSH = 20.0  # mean gaps; a wider one brings no more orders
_IMPACT_STEPS = 0.0169  # the impact of a median order, as a time in which the value moves as far
_IMPACT_POWER = 0.6  # concave in quantity
_READINESS = 1.0  # at 1, walks against the expected side are as much longer as they are rarer: no trend from signs
_ANTICIPATION = 0.8  # of the expected sign that moves no price
_SIGN_MEMORY = 20.0  # orders over which makers form that expectation
_PARENTS = 2  # at a time
_PARENT_POWER = 1.2  # of the tail of their lengths
_SHORTEST_PARENT = 20.0  # orders; the shortest parent
_LONGEST_PARENT = 2_000.0  # orders
_REQUOTE_PART = 0.4  # of the way to the quoted price
_TOLERANCE_STEPS = (
    25.0  # quotes stay until they are off by as much as the value moves in that time: fits moves from trade to trade
)
_SETTLED = 0.1  # of the tolerance: nearer than that, quotes that began to move stand again
_INFORMED_TOLERANCE = 0.25  # of the tolerance: what the informed leave is not worth the walk
_WALK_BOOST = 3.0  # chance of long runs where quotes lag behind, over the usual one
_ROUND_TICKS = 10_000  # a hundred of the quote at a tick of a cent
_ROUND_SIZE = 500.0  # median trades, about two thirds of what rests at a round price that the price passes
_WALL_SIZE = 60_000.0  # median levels, of a creeping wall, about
_WALL_STAY = 0.995  # of the visits that a natural wall outlives
_CREEPERS = 6  # creeping walls at a time, at most
_CREEPER_BIRTH_MIN, _CREEPER_LIFE_MIN = 2.5, 15.0  # minutes
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
        "private_size": sigma * sqrt((1.0 - _NEWS_SHARE - _QUIET_SHARE) / _PRIVATE_CHANCE),
        "quiet_chance": _QUIET_CHANCE,
        "quiet_size": sigma * sqrt(_QUIET_SHARE / _QUIET_CHANCE),
        "news_chance": NEWS_CHANCE,
        "news_size": sigma * sqrt(_NEWS_SHARE / NEWS_CHANCE),
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
        "readiness": _READINESS,
        "sign_learning": 1.0 / _SIGN_MEMORY,
    }


def _order_rates(parameters: MarketParameters) -> dict[str, Any]:
    mechanisms = parameters.mechanisms
    trade_unit = parameters.typical_quantity_e8 / TRADES_PER_TYPICAL
    sigma = max(parameters.daily_volatility / sqrt(STEPS_PER_DAY), _TINY)
    tolerance = sigma * sqrt(_TOLERANCE_STEPS) * parameters.start_tick if mechanisms.walks else 0.0
    return {
        "informed_top": _INFORMED_TOP if mechanisms.informed else 0.0,
        "informed_size": _INFORMED_SIZE if mechanisms.informed else 1.0,
        "sniper_size": _SNIPER_SIZE,
        "answer_size": _ANSWER_SIZE,
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
        "tolerance": tolerance,
        "settled": _SETTLED * tolerance,
        "informed_tolerance": _INFORMED_TOLERANCE * tolerance,
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
