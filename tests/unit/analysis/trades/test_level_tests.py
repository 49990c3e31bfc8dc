"""Levels against trades: when a test begins, what decides it, and what is remembered of it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.parameters import OrderFlowParameters
from analysis.trades.level_search import BROKEN, OPEN, REJECTED
from analysis.trades.level_tests import LevelRecord, LevelTests, Reach, build_reach, build_records, find_level_tests
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from projections.trades.trade_columns import Trades
from tests.market_builders import e8
from tests.trade_builders import after, some_trades

PARAMETERS = OrderFlowParameters()
REACH = Reach(ONE_E8, 4 * ONE_E8, 4 * ONE_E8, ONE_E8)
"""A level is touched one unit off, rejected and broken four units off."""

ABOVE, BELOW = 1, -1
LEVEL = np.array([e8(100)], np.int64)


def to_tuples(tests: LevelTests) -> list[tuple[int, ...]]:
    """Side, outcome, place of the touch, place of the decision."""
    columns = (tests.side, tests.outcome, tests.touch, tests.decision)
    return list(zip(*(c.tolist() for c in columns), strict=True))


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([103, 101, 100, 103.99, 104], [(ABOVE, REJECTED, 1, 4)]),
        ([103, 101, 96.01, 96], [(ABOVE, BROKEN, 1, 3)]),
        ([97, 99, 96.01, 96], [(BELOW, REJECTED, 1, 3)]),
        ([97, 99, 103, 104], [(BELOW, BROKEN, 1, 3)]),
        ([103, 101.01, 99, 102], [(ABOVE, OPEN, 2, -1)]),  # neither before the trades end
        ([103, 96, 97], [(ABOVE, BROKEN, 1, 1)]),  # the touching trade jumps through to the far side
        ([103, 98, 104], [(ABOVE, REJECTED, 1, 2)]),  # through the band, not through the level's far reach
        ([101, 99, 100.5, 104], []),  # inside from the beginning: came from nowhere
        ([101, 99, 102, 101, 104], [(ABOVE, REJECTED, 3, 4)]),  # and a test once it has left and come back
        ([103, 101, 104, 100.5, 104], [(ABOVE, REJECTED, 1, 2), (ABOVE, REJECTED, 3, 4)]),
        ([103, 96, 99.5, 104], [(ABOVE, BROKEN, 1, 1), (BELOW, BROKEN, 2, 3)]),
        ([103, 97], [(ABOVE, OPEN, 1, -1)]),
        ([], []),
        ([100, 100, 100], []),
        ([130, 70], [(ABOVE, BROKEN, 1, 1)]),
    ],
)
def test_what_decides(prices: list[Any], expected: list[tuple[int, ...]]) -> None:
    """Hand-made prices, a trade a second."""
    assert to_tuples(find_level_tests(some_trades(prices), LEVEL, REACH, PARAMETERS)) == expected


def test_a_test_lasts_an_hour() -> None:
    """A trade just inside the hour decides; later the test stays open, and the next begins when price comes back."""
    late = some_trades([103, 101, 104], seconds=[0, 10, 3610])
    assert to_tuples(find_level_tests(late, LEVEL, REACH, PARAMETERS)) == [(ABOVE, OPEN, 1, -1)]
    just = some_trades([103, 101, 104], seconds=[0, 10, 3609.999])
    assert to_tuples(find_level_tests(just, LEVEL, REACH, PARAMETERS)) == [(ABOVE, REJECTED, 1, 2)]
    again = some_trades([103, 101, 100.5, 102, 101, 96], seconds=[0, 10, 3610, 3611, 3612, 3613])
    assert to_tuples(find_level_tests(again, LEVEL, REACH, PARAMETERS)) == [(ABOVE, OPEN, 1, -1), (ABOVE, BROKEN, 4, 5)]


def test_levels_are_told_one_after_the_other() -> None:
    """Two levels, each with its own test."""
    result = find_level_tests(some_trades([103, 101, 90, 86]), np.array([e8(90), e8(100)]), REACH, PARAMETERS)
    assert result.level.tolist() == [0, 1]
    assert to_tuples(result) == [(ABOVE, BROKEN, 2, 3), (ABOVE, BROKEN, 1, 2)]
    assert result.touch_ns.tolist() == [after(2), after(1)]


def test_distances_follow_sigma() -> None:
    """σ 0.1 % at 20000 is 20: touched 5 off, decided 40 off; never less than a tick, and none without σ."""
    assert build_reach(0.001, e8(20_000), e8("0.01"), PARAMETERS) == Reach(e8(5), e8(40), e8(40), e8(5))
    assert build_reach(1e-6, e8(100), e8("0.01"), PARAMETERS) == Reach(
        e8("0.01"), e8("0.01") + 1, e8("0.01") + 1, e8("0.01")
    )
    assert build_reach(None, e8(100), 1, PARAMETERS) is None
    assert len(find_level_tests(some_trades([103, 96]), LEVEL, None, PARAMETERS).level) == 0
    assert len(find_level_tests(some_trades([103, 96]), LEVEL[:0], REACH, PARAMETERS).level) == 0


def plain(trades: Trades, level: int, reach: Reach) -> list[tuple[int, ...]]:
    """The same by the words, one trade at a time."""
    result: list[tuple[int, ...]] = []
    side = touch = 0
    testing = False
    for i, (price, now) in enumerate(zip(trades.price_e8.tolist(), trades.time_ns.tolist(), strict=True)):
        if testing and now - trades.time_ns[touch] >= PARAMETERS.test_min * MINUTE_NS:
            result.append((side, OPEN, touch, -1))
            testing, side = False, 0
        if not testing and side and (price - level) * side <= reach.near_e8:
            testing, touch = True, i
        if testing:
            off = (price - level) * side
            if off <= -reach.beyond_e8 or off >= reach.away_e8:
                result.append((side, BROKEN if off <= -reach.beyond_e8 else REJECTED, touch, i))
                testing, side = False, 0
        if not testing and abs(price - level) > reach.near_e8:
            side = 1 if price > level else -1
    return [*result, (side, OPEN, touch, -1)] if testing else result


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 1500), st.sampled_from([1, 3, 12]), st.sampled_from([1, 30, 900]))
def test_any_walk_is_read_by_the_words(seed: int, n: int, step: int, gap_s: int) -> None:
    """Random walks, quick and slow, calm and wild: every test of every level is the plain one's."""
    chance = np.random.default_rng(seed)
    walk = 100 + np.cumsum(chance.integers(-step, step + 1, n)) / 2
    trades = some_trades(np.maximum(walk, 1).tolist(), seconds=np.cumsum(chance.integers(0, gap_s, n)).tolist())
    levels = np.array([e8(p) for p in (95, 99, 100, 103, 110)])
    result = find_level_tests(trades, levels, REACH, PARAMETERS)
    expected = [(k, *row) for k, level in enumerate(levels.tolist()) for row in plain(trades, level, REACH)]
    assert [(k, *row) for k, row in zip(result.level.tolist(), to_tuples(result), strict=True)] == expected


def test_records_weigh_by_age() -> None:
    """An hour halves what a test counts; one still open counts in neither rate."""
    trades = some_trades([103, 96, 99, 94, 103, 101, 104, 100], seconds=[0, 0, 1, 2, 3590, 3600, 3601, 3602])
    levels = np.array([e8(100), e8(500)])
    tests = find_level_tests(trades, levels, REACH, PARAMETERS)
    result, without_test = build_records(levels, [tests], after(3600), PARAMETERS)
    assert (result.tests, result.rejected, result.broken, result.open) == (4, 1, 2, 1)
    assert result.outcomes == ("open", "broken", "rejected", "broken")
    assert result.sides == ("above", "below", "below", "above")
    assert result.last_ns == after(3602)
    assert result.rate == 0.3333
    weights = [0.5, 0.5 ** (3599 / 3600), 0.5 ** (10 / 3600)]  # touched an hour ago, a second later, ten seconds ago
    assert result.recent_weight == round(sum(weights), 4)
    assert result.recent_rate == round(weights[1] / sum(weights), 4)
    assert without_test == LevelRecord(e8(500), 0, 0, 0, 0, None, (), (), None, 0.0, None)


def test_records_join_spans() -> None:
    """Older trades and newer ones make one record; only the last outcomes are listed."""
    old = find_level_tests(some_trades([103, 95], seconds=range(2)), LEVEL, REACH, PARAMETERS)
    new = find_level_tests(some_trades([103, 101, 104, 100.5, 104], seconds=range(60, 65)), LEVEL, REACH, PARAMETERS)
    parameters = OrderFlowParameters(recent_tests=2)
    (result,) = build_records(LEVEL, [old, new], after(65), parameters)
    assert (result.tests, result.rejected, result.broken, result.outcomes) == (3, 2, 1, ("rejected", "rejected"))
    assert build_records(LEVEL, [], after(65), parameters)[0].tests == 0
