"""Whatever few trades there are, every measure of order flow answers without an error and without NaN."""

import math
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.parameters import OrderFlowParameters
from analysis.trades.absorption import find_absorption, find_absorption_at
from analysis.trades.absorption_windows import build_frame
from analysis.trades.crossings import last_crossings
from analysis.trades.footprint import build_footprint, sum_cvd
from analysis.trades.level_tests import build_reach, build_records, find_level_tests
from analysis.trades.sweeps import SweepFinder
from market.fixed_point import ONE_E8
from projections.trades.trade_columns import Trades
from tests.market_builders import e8
from tests.trade_builders import after, some_trades

LEAST = OrderFlowParameters(absorption_least_min=2)
END = after(3600)
LEVELS = np.array([1, e8(70), e8(100), e8(130)], np.int64)


def figures(value: Any) -> list[float]:
    """Every float in a result, however deep."""
    if isinstance(value, float):
        return [value]
    if isinstance(value, np.ndarray):
        return [float(v) for v in value]
    if isinstance(value, msgspec.Struct):
        return [f for name in value.__struct_fields__ for f in figures(getattr(value, name))]
    if is_dataclass(value):
        return [f for field in fields(value) for f in figures(getattr(value, field.name))]
    if isinstance(value, list | tuple):
        return [f for item in value for f in figures(item)]
    return []


@st.composite
def scraps(draw: Any) -> Trades:
    """Up to forty trades within the hour: all at one price, jumps of 30 %, long silences, times that may fall."""
    n = draw(st.integers(0, 40))
    prices = draw(st.lists(st.sampled_from([100, 100, 100, 100.01, 99.99, 130, 70]), min_size=n, max_size=n))
    seconds = draw(st.lists(st.integers(0, 3599), min_size=n, max_size=n))
    sizes = draw(st.lists(st.sampled_from([0.00000001, 1, 1000]), min_size=n, max_size=n))
    signs = draw(st.lists(st.sampled_from([-1, 1]), min_size=n, max_size=n))
    return some_trades(prices, seconds if draw(st.booleans()) else sorted(seconds), sizes, signs)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(scraps(), st.sampled_from([None, 1e-10, 0.0007, 0.2]), st.sampled_from([1, e8("0.01")]))
def test_nothing_breaks_and_nothing_is_nan(trades: Trades, sigma: float | None, tick: int) -> None:
    """All measures, with and without σ."""
    reach = build_reach(sigma, e8(100), tick, LEAST)
    unit = round((sigma or 0) * e8(100))
    intervals = [(e8(99), e8(101)), (e8(100), e8(100)), (0, e8(1000))]
    levels, place = np.unique(trades.price_e8, return_inverse=True)
    bought = np.bincount(place, np.where(trades.sign > 0, trades.quantity_e8, 0), len(levels)).astype(np.int64)
    tests = find_level_tests(trades, LEVELS, reach, LEAST)
    frame = build_frame(trades, reach, END, LEAST)
    sizes = [
        tests,
        build_records(LEVELS, [tests], END, LEAST),
        find_absorption_at(frame, LEVELS, ONE_E8, LEAST),
        find_absorption(frame, ONE_E8, LEAST),
        SweepFinder(LEAST).find(trades, END),
        sum_cvd(trades),
        build_footprint(levels, bought, bought[::-1], ONE_E8, LEAST),
        last_crossings(trades, intervals, unit, ONE_E8, LEAST),
    ]
    assert [f for f in figures(sizes) if not math.isfinite(f)] == []
    if reach is None:
        assert len(tests.level) == 0
        assert sizes[2] == sizes[3] == []
    if len(trades) == 0:
        assert [len(tests.level), sizes[2], sizes[3], sizes[4], sizes[7]] == [0, [], [], [], [None] * 3]
