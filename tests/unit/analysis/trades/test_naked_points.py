"""Points of control of closed days: naked until somebody trades there again."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.parameters import Parameters
from analysis.trades.naked_points import NakedPoint, NakedPoints
from eventlog.facts.entry import Fact
from market.fixed_point import ONE_E8
from market.timestamps import DAY_NS, HOUR_NS, MINUTE_NS
from projections.trades.minute_buckets import MinuteBuckets
from tests.builders import T0, a_batch, a_trade

PARAMETERS = Parameters()
DAYS = 3 * 24 * 60


def a_day(price: str, day: int = 0, first_id: int = 1) -> list[Fact]:
    """Three units at a price and one unit ten above, within an hour of a day."""
    at_ns = T0 + day * DAY_NS
    above = f"{int(price) + 10}"
    return [a_trade(first_id, price, "3", at_ns), a_trade(first_id + 1, above, "1", at_ns + HOUR_NS)]


def fold_facts(facts: list[Fact], end_ns: int) -> MinuteBuckets:
    """A fold of three days."""
    buckets = MinuteBuckets(DAYS)
    buckets.apply(a_batch(facts))
    buckets.close(end_ns)
    return buckets


def test_a_closed_day_has_a_point() -> None:
    """Rows are 2 bp of its close, here 5 of 20010; until the day has closed there is none."""
    buckets = fold_facts(a_day("20000"), T0 + DAY_NS - MINUTE_NS)
    points = NakedPoints(buckets, PARAMETERS)
    assert points.find_points() == []
    buckets.close(T0 + DAY_NS)
    expected = NakedPoint(T0, 20_000 * ONE_E8, 20_005 * ONE_E8, 3 * ONE_E8, 0.75, 2)
    assert points.find_points() == [expected]
    assert points.find_points() == [expected]


def test_a_trade_in_the_row_ends_it() -> None:
    """Its upper edge is outside; a trade counts once its minute has closed; a jump over the row does not."""
    buckets = fold_facts(a_day("20000"), T0 + DAY_NS)
    points = NakedPoints(buckets, PARAMETERS)
    buckets.apply(a_batch([a_trade(5, "20005", at_ns=T0 + DAY_NS), a_trade(6, "19999.99", at_ns=T0 + DAY_NS)], 5))
    buckets.close(T0 + DAY_NS + MINUTE_NS)
    assert [p.day_ns for p in points.find_points()] == [T0]
    buckets.apply(a_batch([a_trade(7, "20004.99", at_ns=T0 + DAY_NS + MINUTE_NS)], 7))
    assert [p.day_ns for p in points.find_points()] == [T0]
    buckets.close(T0 + DAY_NS + 2 * MINUTE_NS)
    assert points.find_points() == []


def test_days_leave_with_the_window() -> None:
    """Two days, two points; a day that is no longer wholly inside has none."""
    facts = [*a_day("20000"), *a_day("30000", 1, 10)]
    buckets = fold_facts(facts, T0 + 3 * DAY_NS)
    points = NakedPoints(buckets, PARAMETERS)
    assert [p.low_e8 // ONE_E8 for p in points.find_points()] == [20_000, 30_000]
    buckets.close(T0 + 3 * DAY_NS + MINUTE_NS)
    assert [p.low_e8 // ONE_E8 for p in points.find_points()] == [30_000]


def test_late_trades_move_the_point_of_a_closed_day() -> None:
    """Then the day is looked at anew, with what was traded since."""
    buckets = fold_facts([*a_day("20000"), a_trade(9, "20000", at_ns=T0 + DAY_NS)], T0 + DAY_NS + MINUTE_NS)
    points = NakedPoints(buckets, PARAMETERS)
    assert points.find_points() == []
    buckets.apply(a_batch([a_trade(3, "20100", "50", T0 + 2 * HOUR_NS)], 10))
    assert [p.low_e8 // ONE_E8 for p in points.find_points()] == [20_100]


def test_silence_has_no_points() -> None:
    """No trade at all, or none on a closed day."""
    empty = MinuteBuckets(DAYS)
    assert NakedPoints(empty, PARAMETERS).find_points() == []
    empty.close(T0 + 2 * DAY_NS)
    assert NakedPoints(empty, PARAMETERS).find_points() == []


trades = st.tuples(st.integers(0, 130), st.integers(0, 20), st.sampled_from([0, 0, 0, 5, 40]))


@settings(deadline=None, max_examples=60)
@given(st.lists(trades, min_size=1, max_size=25).map(sorted), st.sets(st.integers(0, 25)))
def test_what_is_kept_changes_nothing(made: list[tuple[int, int, int]], asked: set[int]) -> None:
    """Asked at any ticks, with trades up to 40 hours late: what a fresh look and a plain search find."""
    buckets = MinuteBuckets(DAYS)
    reused = NakedPoints(buckets, PARAMETERS)
    prices_by_time: list[tuple[int, int]] = []
    for i, (hour, price, late) in enumerate(made):
        at_ns = T0 + (hour - late) * HOUR_NS
        prices_by_time.append((at_ns, 1000 + price))
        buckets.apply(a_batch([a_trade(i + 1, f"{1000 + price}", at_ns=at_ns)], i + 1))
        buckets.close(T0 + hour * HOUR_NS)
        if i in asked:
            assert reused.find_points() == NakedPoints(buckets, PARAMETERS).find_points()
    points = reused.find_points()
    assert points == NakedPoints(buckets, PARAMETERS).find_points()
    for point in points:
        since = [p for at, p in prices_by_time if point.day_ns + DAY_NS <= at < buckets.end_ns]
        assert not [p for p in since if point.low_e8 <= p * ONE_E8 < point.high_e8]
        prices = np.array([p for at, p in prices_by_time if point.day_ns <= at < point.day_ns + DAY_NS])
        assert point.volume_e8 == np.unique(prices, return_counts=True)[1].max() * ONE_E8
