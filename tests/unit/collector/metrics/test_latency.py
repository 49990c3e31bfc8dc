"""Rolling percentiles and means against numbers counted by hand."""

import math

from hypothesis import given
from hypothesis import strategies as st

from collector.metrics.latency import RollingLatency, RollingMean
from market.timestamps import SECOND_NS
from tests.builders import T0

US = 1_000


def test_percentiles_of_a_hundred_microseconds() -> None:
    """1 to 100 µs, each once: nearest ranks 50, 95 and 99, exactly."""
    latency = RollingLatency()
    latency.add([n * US for n in range(100, 0, -1)], T0)
    assert latency.summary(T0) == {"count": 100, "p50_ms": 0.05, "p95_ms": 0.095, "p99_ms": 0.099}


def test_a_negative_latency_counts() -> None:
    """Of -3, -2 and 5 µs the median is -2 µs."""
    latency = RollingLatency()
    latency.add([5 * US, -3 * US, -2 * US], T0)
    assert latency.summary(T0) == {"count": 3, "p50_ms": -0.002, "p95_ms": 0.005, "p99_ms": 0.005}


def test_coarse_buckets_end_where_they_should() -> None:
    """10 ms is 10,000 µs: in buckets of 128 µs the one of 9,984 to 10,111 µs."""
    latency = RollingLatency()
    latency.add([10_000 * US], T0)
    assert latency.summary(T0)["p50_ms"] == 10.111


def test_nothing_has_no_percentiles() -> None:
    """None, not zero."""
    assert RollingLatency().summary(T0) == {"count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None}


def test_what_is_older_than_five_minutes_is_forgotten() -> None:
    """A slice of ten seconds goes when the thirtieth after it begins."""
    latency = RollingLatency()
    latency.add([1 * US], T0)
    latency.add([9 * US], T0 + 10 * SECOND_NS)
    assert latency.summary(T0 + 299 * SECOND_NS)["count"] == 2
    assert latency.summary(T0 + 300 * SECOND_NS) == {"count": 1, "p50_ms": 0.009, "p95_ms": 0.009, "p99_ms": 0.009}
    assert latency.summary(T0 + 310 * SECOND_NS)["count"] == 0
    assert latency.summary(T0 + 10_000 * SECOND_NS)["count"] == 0


def test_a_clock_that_was_set_back_begins_a_new_window() -> None:
    """An hour ahead by mistake: what was counted there goes, what comes at the right time is counted as ever."""
    hour_ns = 3600 * SECOND_NS
    latency, mean = RollingLatency(), RollingMean()
    for value in (latency, mean):
        value.add([5 * US], T0 + hour_ns)
        value.add([1 * US], T0)
        value.add([2 * US], T0 + 290 * SECOND_NS)
    assert latency.summary(T0 + 290 * SECOND_NS)["count"] == 2
    assert mean.summary(T0 + 290 * SECOND_NS) == {"avg": 1.5 * US, "max": 2 * US, "count": 2}
    assert mean.summary(T0 + 300 * SECOND_NS) == {"avg": 2 * US, "max": 2 * US, "count": 1}


def test_a_clock_that_was_set_back_a_little_loses_nothing() -> None:
    """A minute back: both numbers are of the last five minutes."""
    mean = RollingMean()
    mean.add([1], T0 + 60 * SECOND_NS)
    mean.add([2], T0)
    assert mean.summary(T0) == {"avg": 1.5, "max": 2, "count": 2}


def test_a_mean_is_of_five_minutes() -> None:
    """1 and 2 in one slice, 9 in the next: mean and maximum while both count, then of the second, then of nothing."""
    mean = RollingMean()
    mean.add([1, 2], T0)
    mean.add([], T0)
    mean.add([9], T0 + 10 * SECOND_NS)
    assert mean.summary(T0 + 299 * SECOND_NS) == {"avg": 4, "max": 9, "count": 3}
    assert mean.summary(T0 + 300 * SECOND_NS) == {"avg": 9, "max": 9, "count": 1}
    assert mean.summary(T0 + 310 * SECOND_NS) == {"avg": None, "max": None, "count": 0}


@given(st.lists(st.tuples(st.integers(-(10**20), 10**20), st.integers(0, 700)), min_size=1, max_size=50))
def test_a_mean_is_that_of_the_numbers_in_the_window(numbers: list[tuple[int, int]]) -> None:
    """Whatever the numbers and the rising seconds at which they come: the last thirty slices of ten seconds count."""
    mean, at_s = RollingMean(), 0
    slices: list[tuple[int, int]] = []
    for number, pause_s in numbers:
        at_s += pause_s
        mean.add([number], T0 + at_s * SECOND_NS)
        slices.append((at_s // 10, number))
    window = [number for place, number in slices if place > at_s // 10 - 30]
    summary = mean.summary(T0 + at_s * SECOND_NS)
    assert (summary["max"], summary["count"]) == (max(window), len(window))
    assert summary["avg"] == round(sum(window) / len(window), 3)


@given(st.lists(st.integers(-(10**10), 10**13), min_size=1, max_size=200))
def test_a_percentile_is_at_most_a_sixty_fourth_off(durations_ns: list[int]) -> None:
    """Never below the nearest rank of the durations in µs, and above it by less than 1/64."""
    latency = RollingLatency()
    latency.add(durations_ns, T0)
    summary = latency.summary(T0)
    ranked = sorted(d // US for d in durations_ns)
    for share in (50, 95, 99):
        true_us = ranked[math.ceil(len(ranked) * share / 100) - 1]
        figure = summary[f"p{share}_ms"]
        assert figure is not None
        assert true_us <= round(figure * 1_000) <= true_us + abs(true_us) / 64
