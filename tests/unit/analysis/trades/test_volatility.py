"""σ is the root mean square of one-minute log returns, over empty minutes too, never below a tick."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.trades.volatility import compute_sigma
from market.timestamps import MINUTE_NS
from tests.market_builders import T0, e8


def a_sigma(closes: dict[int, float], end: int, minutes: int = 60, least: int = 15, tick: str = "0.01") -> float | None:
    """σ from closes by minute after T0."""
    starts = np.array([T0 + m * MINUTE_NS for m in sorted(closes)], np.int64)
    prices = np.array([e8(closes[m]) for m in sorted(closes)], np.int64)
    return compute_sigma(starts, prices, T0 + end * MINUTE_NS, minutes, least, e8(tick))


def plain(closes: dict[int, float], end: int, minutes: int, least: int, tick: float) -> float | None:
    """The same by the words of docs/measures.md §4, one minute at a time."""
    line: list[float] = []
    for minute in range(end - minutes - 1, end):
        earlier = [m for m in closes if m <= minute]
        if earlier:
            line.append(closes[max(earlier)])
    returns = [math.log(b / a) for a, b in pairwise(line)]
    if len(returns) < least:
        return None
    return max(math.sqrt(sum(r * r for r in returns) / len(returns)), tick / line[-1])


def test_alternating_prices() -> None:
    """Prices that jump between 100 and 101 every minute have σ = ln(1.01) exactly."""
    closes = {m: 100 + m % 2 for m in range(61)}
    assert a_sigma(closes, 61) == pytest.approx(math.log(1.01), abs=1e-9)


def test_only_the_last_returns_count() -> None:
    """What happened before the last 60 returns does not matter."""
    closes = {m: 50 + 40 * (m % 2) for m in range(40)} | {m: 100 + m % 2 for m in range(40, 140)}
    assert a_sigma(closes, 140) == pytest.approx(math.log(1.01), abs=1e-9)


def test_an_empty_minute_is_a_return_of_zero() -> None:
    """One jump of 2 % in 60 returns, the other minutes empty: |ln 1.02| / √60."""
    assert a_sigma({0: 100, 30: 102}, 61) == pytest.approx(math.log(1.02) / math.sqrt(60), abs=1e-9)


def test_too_few_returns() -> None:
    """With 15 closes there are 14 returns and no σ; with 16 there is one."""
    closes = {m: 100 + m % 2 for m in range(15)}
    assert a_sigma(closes, 15) is None
    assert a_sigma(closes | {15: 101}, 16) == pytest.approx(math.log(1.01), abs=1e-9)
    assert a_sigma({}, 16) is None


def test_never_below_a_tick() -> None:
    """A price that does not move has a σ of one tick."""
    assert a_sigma(dict.fromkeys(range(30), 200), 30, tick="0.5") == 0.0025
    assert a_sigma({0: 200}, 30, tick="0.5") == 0.0025


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.integers(0, 90), st.integers(9_000, 11_000).map(lambda p: p / 100), min_size=1),
    st.integers(91, 95),
    st.integers(1, 70),
    st.integers(1, 20),
)
def test_equals_the_plain_formula(closes: dict[int, float], end: int, minutes: int, least: int) -> None:
    """For random minutes, with and without trades, σ is what the words say."""
    expected = plain(closes, end, minutes, least, 0.01)
    result = a_sigma(closes, end, minutes, least)
    if expected is None:
        assert result is None
    else:
        assert result == pytest.approx(expected, abs=1.1e-9)
