"""
Tests of price levels: touched, then rejected or broken, from exact trades (docs/measures.md §4).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import msgspec
import numpy as np

from analysis.parameters import OrderFlowParameters
from analysis.trades.level_search import BROKEN, OPEN, REJECTED, search_level_tests
from market.arrays import I64
from market.timestamps import MINUTE_NS
from projections.trades.trade_columns import Trades

_NAMES = {OPEN: "open", REJECTED: "rejected", BROKEN: "broken"}


class Reach(msgspec.Struct, frozen=True):
    """
    The distances of a test, 1e-8 quote.

    Attributes:
        near_e8: a trade this near touches the level. away_e8: a trade so far off rejects it.
        beyond_e8: a trade so far through breaks it. cell_e8: `near_e8` in whole ticks, to cut prices into bands with.
    """

    near_e8: int
    away_e8: int
    beyond_e8: int
    cell_e8: int


class LevelTests(msgspec.Struct, frozen=True):
    """
    n tests of k levels, level by level, each level's oldest first.

    Attributes:
        level: index of the level. side: +1 where price came from above, −1 from below.
        outcome: OPEN, REJECTED or BROKEN. touch_ns: the time of the touching trade.
        touch, decision: indices of the touching and of the deciding trade; −1 without a decision.
    """

    level: I64
    side: I64
    outcome: I64
    touch_ns: I64
    touch: I64
    decision: I64


class LevelRecord(msgspec.Struct, frozen=True):
    """
    The record of one level's tests.

    Attributes:
        tests, rejected, broken, open: number of tests, in all and by outcome.
        last_ns: when the last test began, None without one.
        outcomes, sides: of the last tests, most recent first; a side is where price came from.
        rate: rejected over decided tests, None where none was decided.
        recent_weight: decided tests, each counted by half for every half-life of its age.
        recent_rate: the rate under these weights.
    """

    level_e8: int
    tests: int
    rejected: int
    broken: int
    open: int
    last_ns: int | None
    outcomes: tuple[str, ...]
    sides: tuple[str, ...]
    rate: float | None
    recent_weight: float
    recent_rate: float | None


def build_reach(sigma: float | None, price_e8: int, tick_size_e8: int, parameters: OrderFlowParameters) -> Reach | None:
    """
    Build the distances of a test at a price.

    Args:
        sigma: as a fraction of price; None where there is none.
        price_e8: 1e-8 quote.
        tick_size_e8: 1e-8 quote.
        parameters: the distances in σ.

    Returns:
        None without σ.
    """
    if sigma is None or sigma <= 0:
        return None
    sigma_e8 = sigma * price_e8
    near_e8 = max(_round_within(parameters.near_sigma * sigma_e8, tick_size_e8), tick_size_e8)
    away_e8, beyond_e8 = (
        _round_past(s * sigma_e8, tick_size_e8) for s in (parameters.away_sigma, parameters.beyond_sigma)
    )
    cell_e8 = near_e8 // tick_size_e8 * tick_size_e8
    return Reach(near_e8, max(away_e8, near_e8 + 1), max(beyond_e8, near_e8 + 1), cell_e8)


def _round_within(distance: float, tick_e8: int) -> int:
    """
    Rounded, but no further than the last tick that lies within the distance: a tick may be no more than one count.
    """
    return min(round(distance), int(distance) // tick_e8 * tick_e8 + tick_e8 - 1)


def _round_past(distance: float, tick_e8: int) -> int:
    """Rounded, but past all ticks that lie within the distance."""
    return max(round(distance), -(-ceil(distance) // tick_e8) * tick_e8 - tick_e8 + 1)


def find_level_tests(trades: Trades, level_e8: I64, reach: Reach | None, parameters: OrderFlowParameters) -> LevelTests:
    """
    Find every test of k levels in exact trades.

    A test begins at the first trade in the level's band or through it that comes from outside. From that trade on, a
    trade `beyond` on the far side breaks the level, one `away` on the side it came from rejects it, whichever comes
    first; a trade that jumps past both is a break. Without either within `test_min`, or before the trades end: open.
    The next test may begin when price has left the band.

    Args:
        trades: in agg_id order.
        level_e8: (k,) prices, 1e-8 quote.
        reach: the distances; None gives no test.
        parameters: `test_min`.
    """
    if reach is None or len(trades) == 0 or len(level_e8) == 0:
        return _no_tests()
    span_ns = parameters.test_min * MINUTE_NS
    tests = search_level_tests(
        trades.time_ns,
        trades.price_e8,
        trades.block_high_e8,
        trades.block_low_e8,
        trades.block_offset,
        np.ascontiguousarray(level_e8, np.int64),
        reach.near_e8,
        reach.away_e8,
        reach.beyond_e8,
        span_ns,
    )
    return LevelTests(tests[0], tests[1], tests[2], trades.time_ns[tests[3]], tests[3], tests[4])


def build_records(
    level_e8: I64, tests: Sequence[LevelTests], as_of_ns: int, parameters: OrderFlowParameters
) -> list[LevelRecord]:
    """
    Build the record of each of k levels.

    Args:
        level_e8: (k,) prices, 1e-8 quote.
        tests: of the same levels, older spans first; a test that is open where one span ends stays open.
        as_of_ns: the time that ages are counted to.
        parameters: half-life and number of listed tests.
    """
    level = np.concatenate([t.level for t in tests]) if tests else np.empty(0, np.int64)
    order = np.argsort(level, kind="stable")
    ends = np.searchsorted(level[order], np.arange(len(level_e8) + 1))
    if len(level) == 0:
        return [_record(int(price), [], [], [], as_of_ns, parameters) for price in level_e8]
    sides, outcomes, touches = (
        np.concatenate([getattr(t, name) for t in tests])[order].tolist() for name in ("side", "outcome", "touch_ns")
    )
    parts = [slice(start, stop) for start, stop in pairwise(ends.tolist())]
    return [
        _record(int(price), sides[part], outcomes[part], touches[part], as_of_ns, parameters)
        for price, part in zip(level_e8, parts, strict=True)
    ]


def _record(
    level_e8: int,
    sides: list[int],
    outcomes: list[int],
    touches: list[int],
    as_of_ns: int,
    parameters: OrderFlowParameters,
) -> LevelRecord:
    rejections, breaks = outcomes.count(REJECTED), outcomes.count(BROKEN)
    half_life_ns = parameters.half_life_min * MINUTE_NS
    weight = rejected_weight = 0.0
    for outcome, touch_ns in zip(outcomes, touches, strict=True):
        if outcome != OPEN:
            share = 0.5 ** (max(0, as_of_ns - touch_ns) / half_life_ns)
            weight += share
            rejected_weight += share * (outcome == REJECTED)
    decisions = rejections + breaks
    last = slice(None, -1 - parameters.recent_tests, -1)
    return LevelRecord(
        level_e8=level_e8,
        tests=len(outcomes),
        rejected=rejections,
        broken=breaks,
        open=len(outcomes) - decisions,
        last_ns=touches[-1] if touches else None,
        outcomes=tuple(_NAMES[o] for o in outcomes[last]),
        sides=tuple("above" if s > 0 else "below" for s in sides[last]),
        rate=round(rejections / decisions, 4) if decisions else None,
        recent_weight=round(weight, 4),
        recent_rate=round(rejected_weight / weight, 4) if decisions and weight > 0 else None,
    )


def _no_tests() -> LevelTests:
    empty = np.empty(0, np.int64)
    return LevelTests(empty, empty, empty, empty, empty, empty)
