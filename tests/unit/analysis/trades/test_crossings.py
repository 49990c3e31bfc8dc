"""How price went through an interval, counted by hand and against a plain search."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.parameters import OrderFlowParameters
from analysis.trades.crossings import Crossing, last_crossings
from market.fixed_point import ONE_E8
from projections.trades.trade_columns import Trades
from tests.market_builders import e8
from tests.trade_builders import after, some_trades

PARAMETERS = OrderFlowParameters()
INTERVAL = (e8(100), e8(110))
UNIT = 5 * ONE_E8
"""σ is 5: a random walk crosses ten units in 100 / (3 · 25) minutes, at 7.5 units a minute."""


def test_a_passage_in_figures() -> None:
    """
    From 99 to 111 in four seconds with one unit traded in ten rows: 3 a second against 0.125, 0.1 a row against 7 units
    in 7 rows.
    """
    trades = some_trades([98, 99, 105, 111, 112], [0, 1, 3, 5, 6], quantities=[1, 2, 1, 1, 2])
    assert last_crossings(trades, [INTERVAL], UNIT, ONE_E8, PARAMETERS) == [
        Crossing(
            start_ns=after(1),
            stop_ns=after(5),
            turnbacks=0,
            trades=1,
            volume_e8=ONE_E8,
            volume_per_row_e8=0.1 * ONE_E8,
            usual_e8=1.4 * ONE_E8,
            speed=3.0,
            walk_speed=0.125,
            thin=True,
            fast=True,
            confirmed=True,
        )
    ]


def test_slow_or_heavy_is_no_vacuum() -> None:
    """Ninety seconds for 12 units is 0.1333 a second, below twice a walk's; five units a row are more than 71 / 22."""
    (slow,) = last_crossings(some_trades([99, 105, 111], [0, 45, 90]), [INTERVAL], UNIT, ONE_E8, PARAMETERS)
    assert slow is not None
    assert (slow.speed, slow.fast, slow.thin, slow.confirmed) == (0.1333333333, False, True, False)
    heavy = some_trades([*[98, 99] * 10, 105, 111], quantities=[*[1] * 20, 50, 1])
    (crossing,) = last_crossings(heavy, [INTERVAL], UNIT, ONE_E8, PARAMETERS)
    assert crossing is not None
    assert (crossing.fast, crossing.thin, crossing.confirmed) == (True, False, False)


def test_a_jump_is_a_passage_without_trades() -> None:
    """Two trades of one millisecond on both sides; no faster than the clock can tell."""
    (crossing,) = last_crossings(some_trades([99, 111], [0, 0]), [INTERVAL], UNIT, ONE_E8, PARAMETERS)
    assert crossing is not None
    assert (crossing.trades, crossing.volume_e8, crossing.speed) == (0, 0, 12_000.0)
    assert crossing.stop_ns - crossing.start_ns == 1_000_000


def test_turning_back_is_not_crossing() -> None:
    """Price crossed upwards, then looked in from above twice; the upper edge is outside."""
    trades = some_trades([99, 105, 110, 109, 110, 108, 107, 115, 109])
    (crossing,) = last_crossings(trades, [INTERVAL], UNIT, ONE_E8, PARAMETERS)
    assert crossing is not None
    assert (crossing.start_ns, crossing.stop_ns, crossing.turnbacks) == (after(0), after(2), 2)


def test_nothing_to_tell() -> None:
    """No trades, never there, never left, an empty interval, no σ."""
    assert last_crossings(Trades.empty(), [INTERVAL], UNIT, ONE_E8, PARAMETERS) == [None]
    for prices in ([99, 98], [99, 105], [105, 111], [105, 106], [99]):
        assert last_crossings(some_trades(prices), [INTERVAL], UNIT, ONE_E8, PARAMETERS) == [None]
    trades = some_trades([99, 105, 111])
    assert last_crossings(trades, [(e8(100), e8(100))], UNIT, ONE_E8, PARAMETERS) == [None]
    assert last_crossings(trades, [INTERVAL], 0, ONE_E8, PARAMETERS) == [None]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 1200), st.integers(-30, 30), st.integers(1, 15), st.integers(1, 9))
def test_the_last_crossing_is_the_plain_one(seed: int, n: int, low: int, width: int, step: int) -> None:
    """On random walks: the last change of side among the trades outside."""
    walk = 100 + np.cumsum(np.random.default_rng(seed).integers(-step, step + 1, n)) / 4
    trades = some_trades(np.maximum(walk, 1).tolist())
    low_e8, high_e8 = e8(100 + low), e8(100 + low + width)
    (crossing,) = last_crossings(trades, [(low_e8, high_e8)], UNIT, ONE_E8, PARAMETERS)
    side = np.where(trades.price_e8 < low_e8, -1, np.where(trades.price_e8 >= high_e8, 1, 0))
    outside = np.flatnonzero(side)
    crossings = np.flatnonzero(side[outside][1:] != side[outside][:-1])
    if len(crossings) == 0:
        assert crossing is None
    else:
        before, behind = outside[crossings[-1] : crossings[-1] + 2].tolist()
        inside = side[behind:] == 0
        assert crossing is not None
        assert (crossing.start_ns, crossing.stop_ns) == (trades.time_ns[before], trades.time_ns[behind])
        assert crossing.trades == behind - before - 1
        assert crossing.turnbacks == int((inside[:-1] & ~inside[1:]).sum())
