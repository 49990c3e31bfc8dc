"""Exact trades decide what became of a level and of an order; only what came after publication counts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.timestamps import MINUTE_NS, SECOND_NS
from replay.recorded.price_path import PricePath
from replay.scoring import outcomes
from replay.scoring.outcomes import BROKEN, HORIZONS_S, OPEN, REJECTED, UNTOUCHED, Levels, markouts
from tests.market_builders import T0, a_path, e8

HOUR_S = 3600


def a_level(
    side: str = "buy", low: Any = 99, high: Any = "99.5", away: Any = 2, beyond: Any = 2, start: float = 0,
    stop: float = HOUR_S, after_seq: int = 0,
) -> Levels:  # fmt: skip
    """One level, times in seconds after T0."""
    return Levels(
        np.array([side == "buy"]),
        *(np.array([e8(v)]) for v in (low, high, away, beyond)),
        *(np.array([T0 + round(s * SECOND_NS)]) for s in (start, stop)),
        np.array([after_seq]),
    )


def outcome(path: PricePath, level: Levels) -> tuple[str, int]:
    """The word for what became of it, and the touching trade."""
    result = outcomes.outcomes_at(path, level)
    touch_ns = int(result.touch_ns[0])
    assert int(result.touch_e8[0]) == (-1 if touch_ns < 0 else int(path.price_e8[path.at_ns == touch_ns][0]))
    return outcomes.OUTCOMES[int(result.outcome[0])], -1 if touch_ns < 0 else int(np.searchsorted(path.at_ns, touch_ns))


def mirror(prices: Sequence[Any]) -> list[float]:
    """The same prices on the other side of 100."""
    return [round(200 - float(p), 6) for p in prices]


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([100, 99.6, 101.5], ("untouched", -1)),
        ([100, 99.5, 99.7], ("open", 1)),  # touched at its near edge exactly
        ([100, 99.5, 101.49], ("open", 1)),
        ([100, 99.5, 101.5], ("rejected", 1)),  # 2 off the near edge
        ([100, 99.5, 97.01, 101.5], ("rejected", 1)),
        ([100, 99.5, 97], ("broken", 1)),  # 2 beyond the far edge
        ([100, 99.5, 101.5, 97], ("rejected", 1)),  # the first of both decides
        ([100, 99.5, 97, 101.5], ("broken", 1)),
        ([100, 96], ("broken", 1)),  # the touch itself lies beyond
        ([100, 99.2, 101.4], ("open", 1)),  # touched inside: still measured from the edges
        ([99.4, 101.5], ("rejected", 0)),  # already inside when it starts
    ],
)
def test_what_becomes_of_a_level(prices: list[float], expected: tuple[str, int]) -> None:
    """Buy level 99–99.5 with 2 away and 2 beyond, and its mirror image, come out the same."""
    assert outcome(a_path(prices), a_level()) == expected
    assert outcome(a_path(mirror(prices)), a_level("sell", "100.5", 101)) == expected


def test_a_jump_past_both_is_a_break() -> None:
    """Where one trade satisfies both at once, the level is broken."""
    level = a_level(low=99, high=99, away=0, beyond=0)
    assert outcome(a_path([100, 99]), level) == ("broken", 1)


def test_an_hour_to_decide() -> None:
    """59 min 59.999 s after the touch still counts; an hour after is too late and the test is open."""
    for late, expected in ((HOUR_S - 0.001, "rejected"), (HOUR_S, "open")):
        path = a_path([100, 99.5, 101.5, 101.5], [0, 10, 10 + late, 9000])
        assert outcome(path, a_level()) == (expected, 1)
    broken_late = a_path([100, 99.5, 90, 90], [0, 10, 10 + HOUR_S, 9000])
    assert outcome(broken_late, a_level()) == ("open", 1)


def test_open_at_the_end_of_the_record() -> None:
    """A record that ends before anything was decided leaves the test open."""
    assert outcome(a_path([100, 99.5]), a_level()) == ("open", 1)


def test_a_touch_counts_from_start_to_stop() -> None:
    """A trade before the start or at the stop is no touch; the hour of a touch may go on after the stop."""
    path = a_path([99.5, 100, 99.5, 101.5], [0, 10, 20, 30])
    assert outcome(path, a_level(start=1)) == ("rejected", 2)
    assert outcome(path, a_level(start=1, stop=20)) == ("untouched", -1)
    assert outcome(path, a_level(start=1, stop=20.001)) == ("rejected", 2)
    assert outcome(path, a_level(start=20)) == ("rejected", 2)


def test_what_was_known_at_publication_does_not_count() -> None:
    """A trade whose seq was in the log already is no touch, whatever its time."""
    path = a_path([100, 99.5, 101.5, 99.5, 97], [0, 10, 20, 30, 40], seq=[1, 2, 3, 4, 5])
    assert outcome(path, a_level(after_seq=1)) == ("rejected", 1)
    assert outcome(path, a_level(after_seq=2)) == ("broken", 3)
    assert outcome(path, a_level(after_seq=5)) == ("untouched", -1)


def test_known_trades_behind_a_late_one_do_not_count() -> None:
    """A trade filled in late stands before trades that were known long ago; those stay known."""
    path = a_path([100, 100, 99.5, 97, 99.5, 101.5], [0, 30, 30, 30, 40, 50], seq=[1, 9, 2, 3, 10, 11])
    assert outcome(path, a_level(start=20, after_seq=5)) == ("rejected", 4)


def test_no_trades_at_all() -> None:
    """An empty record leaves every level untouched, and no fill is worth anything."""
    path = PricePath.from_batches([])
    assert outcome(path, a_level()) == ("untouched", -1)
    one = np.array([0])
    assert np.isnan(markouts(path, one > 0, one + 1, one - 1, 0.0)).all()


def by_hand(prices: list[int], is_buy: bool, low: int, high: int, away: int, beyond: int) -> tuple[int, int]:
    """The rule as it is written, one trade at a time."""
    touch = -1
    for i, p in enumerate(prices):
        if touch < 0 and (p <= high if is_buy else p >= low):
            touch = i
        if touch >= 0:
            if p <= low - beyond if is_buy else p >= high + beyond:
                return BROKEN, touch
            if p >= high + away if is_buy else p <= low - away:
                return REJECTED, touch
    return (OPEN, touch) if touch >= 0 else (UNTOUCHED, -1)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=40),
    st.lists(st.tuples(st.booleans(), st.integers(5, 50), *(st.integers(0, 9),) * 3), min_size=1, max_size=6),
)
def test_many_levels_at_once_equal_the_written_rule(
    prices: list[int], levels: list[tuple[bool, int, int, int, int]]
) -> None:
    """Any prices within the hour, any levels: the vectorised answer is the written one."""
    path = a_path(prices)
    side, low, width, away, beyond = (np.array(c) for c in zip(*levels, strict=True))
    unit = e8(1)
    n = len(levels)
    values = outcomes.outcomes_at(
        path,
        Levels(side, low * unit, (low + width) * unit, away * unit, beyond * unit, np.full(n, T0),
               np.full(n, T0 + HOUR_S * SECOND_NS), np.zeros(n, np.int64)),
    )  # fmt: skip
    expected = [by_hand(prices, bool(b), lo, lo + w, a, y) for b, lo, w, a, y in levels]
    touch = [-1 if ns < 0 else (ns - T0) // SECOND_NS for ns in values.touch_ns.tolist()]
    assert list(zip(values.outcome.tolist(), touch, strict=True)) == expected


def test_markouts_by_hand() -> None:
    """Bought at 100: +1 % after 10 s, −1 % after 60 s, 0 after 5 min, less a fee of 2 bps; mirrored for a sale."""
    path = a_path([100, 101, 99, 100, 100], [0, 5, 50, 200, 300])
    price, fill = np.array([e8(100), e8(100)]), np.array([0, 0])
    values = markouts(path, np.array([True, False]), price, fill, 2.0)
    assert values[:, :3].tolist() == [[98.0, -102.0, -2.0], [-102.0, 98.0, -2.0]]
    assert np.isnan(values[:, 3:]).all()


def test_a_markout_starts_at_the_filling_trade() -> None:
    """Horizons count from the fill, not from the order, and compare with the order's own price."""
    path = a_path([100, 99, 98, 102], [0, 100, 105, 111])
    values = markouts(path, np.array([True]), np.array([e8(100)]), np.array([1]), 0.0)
    assert values[0, 0] == -200.0
    assert np.isnan(values[0, 1:]).all()


def test_no_fill_and_no_future_are_no_number() -> None:
    """NaN without a fill, and where the record ends a nanosecond before the horizon."""
    path = a_path([100, 101], [0, 10])
    price = np.array([e8(100)])
    assert np.isnan(markouts(path, np.array([True]), price, np.array([-1]), 0.0)).all()
    assert markouts(path, np.array([True]), price, np.array([0]), 0.0)[0, 0] == 100.0
    short = a_path([100, 101], [0, 10 - 1e-9])
    assert np.isnan(markouts(short, np.array([True]), price, np.array([0]), 0.0)).all()


def test_horizons_are_the_documented_ones() -> None:
    """DESIGN §8: 10 s, 1, 5, 15 and 60 minutes; an hour to be rejected or broken."""
    assert HORIZONS_S == (10, 60, 300, 900, 3600)
    assert outcomes.TEST_NS == 60 * MINUTE_NS
