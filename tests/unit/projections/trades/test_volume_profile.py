"""The profile that is kept as minutes come and go."""

import pytest

from market.errors import SumOverflow
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from projections.trades.minute_buckets import MinuteBuckets
from projections.trades.volume_profile import IncrementalProfile
from tests.builders import T0, a_batch, a_trade


def profile_of(profile: IncrementalProfile) -> list[tuple[int, ...]]:
    """Its rows in whole units."""
    profile.refresh()
    level, buy, sell, count = (c.tolist() for c in profile.levels())
    return [(a // ONE_E8, b // ONE_E8, c // ONE_E8, d) for a, b, c, d in zip(level, buy, sell, count, strict=True)]


def test_minutes_come_and_go() -> None:
    """Two minutes wide: the third pushes the first out, levels without trades are gone."""
    buckets = MinuteBuckets(10)
    profile = IncrementalProfile(buckets, 2)
    assert profile_of(profile) == []
    assert profile.covered_minutes == 0
    buckets.apply(a_batch([a_trade(1, "100"), a_trade(2, "101", at_ns=T0 + MINUTE_NS)]))
    buckets.close(T0 + 2 * MINUTE_NS)
    assert profile_of(profile) == [(100, 1, 0, 1), (101, 1, 0, 1)]
    assert profile.covered_minutes == 2
    buckets.apply(a_batch([a_trade(3, "101", "2", T0 + 2 * MINUTE_NS, seller=True)], 3))
    assert profile_of(profile) == [(100, 1, 0, 1), (101, 1, 0, 1)]
    buckets.close(T0 + 3 * MINUTE_NS)
    assert profile_of(profile) == [(101, 1, 2, 2)]
    buckets.close(T0 + 60 * MINUTE_NS)
    assert profile_of(profile) == []


def test_a_late_trade_is_counted_once() -> None:
    """Its minute is taken out as it was and put in as it is."""
    buckets = MinuteBuckets(10)
    profile = IncrementalProfile(buckets, 5)
    buckets.apply(a_batch([a_trade(1, "100")]))
    buckets.close(T0 + MINUTE_NS)
    assert profile_of(profile) == [(100, 1, 0, 1)]
    buckets.apply(a_batch([a_trade(2, "100"), a_trade(3, "90", at_ns=T0 - MINUTE_NS)], 2))
    assert profile_of(profile) == [(90, 1, 0, 1), (100, 2, 0, 2)]
    assert profile_of(profile) == [(90, 1, 0, 1), (100, 2, 0, 2)]


def test_a_reader_that_slept_too_long_starts_afresh() -> None:
    """Changes are kept for a while only; a profile that missed them sums everything anew."""
    buckets = MinuteBuckets(3)
    slow, quick = IncrementalProfile(buckets, 3), IncrementalProfile(buckets, 3)
    for i in range(1, 30):
        buckets.apply(a_batch([a_trade(i, f"{100 + i % 4}", at_ns=T0 + i * MINUTE_NS)], i))
        buckets.close(T0 + (i + 1) * MINUTE_NS)
        quick.refresh()
    assert profile_of(slow) == profile_of(quick)
    assert [row[3] for row in profile_of(slow)] == [1, 1, 1]


def test_a_window_whose_sum_does_not_fit_is_an_error() -> None:
    """Each minute fits, together they do not: told, never wrapped."""
    buckets = MinuteBuckets(10)
    profile = IncrementalProfile(buckets, 5)
    most = "46116860184.27387904"
    buckets.apply(a_batch([a_trade(1, "100", most), a_trade(2, "100", most, T0 + MINUTE_NS)]))
    buckets.close(T0 + MINUTE_NS)
    profile.refresh()
    buckets.close(T0 + 2 * MINUTE_NS)
    with pytest.raises(SumOverflow, match="2\\^62"):
        profile.refresh()
