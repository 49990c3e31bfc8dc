"""How long a stream may be silent, and how far clocks are apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.binance.clock_offset import clock_offset
from exchanges.binance.feed.stall_detector import SilenceRules, StallDetector
from exchanges.binance.rest import RoundTrip

RULES = SilenceRules(min_s=5.0, max_s=60.0)
MS = 1_000_000
T0 = 1_767_600_000_000 * MS


def after(every_s: float, seconds: float) -> tuple[StallDetector, float]:
    """A budget whose stream spoke steadily until now."""
    detector, now = StallDetector(RULES, 0.0), 0.0
    while now < seconds:
        now += every_s
        detector.record(1, now, now)
    return detector, now


@pytest.mark.parametrize(("every_s", "limit_s"), [(0.125, 5.0), (2.0, 20.0 * 298 / 150), (10.0, 60.0)])
def test_twenty_mean_gaps_within_the_bounds(every_s: float, limit_s: float) -> None:
    """A stream of 8/s is looked at after 5 s, one every 2 s after about 40 s, a slower one after 60 s."""
    detector, now = after(every_s, 300.0)
    assert detector.limit_s() == pytest.approx(limit_s, rel=1e-9)
    assert not detector.is_expired(now + detector.limit_s() - 0.001)
    assert detector.is_expired(now + detector.limit_s() + 0.001)


def test_a_burst_after_a_pause_makes_pauses_usual() -> None:
    """Ten a second, then 4 s without any, then ten a second: three times that pause is allowed."""
    detector = StallDetector(RULES, 0.0)
    for at in range(1, 11):
        detector.record(10, at, at)
    detector.record(10, 14.0, 14.0)
    assert detector.limit_s() == 12.0


def test_a_stream_never_heard_is_looked_at_soon() -> None:
    """Nothing says yet that it speaks at all; one that has spoken once and seldom has the longest time."""
    detector = StallDetector(RULES, 0.0)
    assert detector.limit_s() == 5.0
    detector.record(1, 1.0, 1.0)
    detector.record(0, 1.0, 400.0)
    assert detector.limit_s() == 60.0
    detector.restart(401.0)
    assert detector.limit_s() == 5.0


def test_patience_doubles_until_it_speaks() -> None:
    """5, 10, 20 … s while nothing comes, at most 15 min; one message brings 5 s back."""
    detector, now = after(0.125, 100.0)
    limits = []
    for _ in range(10):
        limits.append(detector.limit_s())
        detector.note_probe(now, broken=False)
    assert limits == [5, 10, 20, 40, 80, 160, 320, 320, 320, 320]
    detector.record(1, now + 1, now + 1)
    assert detector.limit_s() == 5.0


def test_silence_that_a_broken_stream_made_is_not_usual() -> None:
    """The pause before a reconnect says nothing about the market."""
    detector, now = after(0.125, 100.0)
    detector.note_probe(now + 6.0, broken=True)
    detector.restart(now + 7.0)
    detector.record(1, now + 8.0, now + 8.0)
    assert detector.limit_s() == 5.0


def test_silence_counts_from_the_new_connection() -> None:
    """It is told from the last message on, and looked at from the connection on."""
    detector, now = after(0.125, 100.0)
    detector.restart(now + 50.0)
    assert not detector.is_expired(now + 54.0)
    assert detector.is_expired(now + 56.0)
    assert detector.silence_s(now + 56.0) == 56.0


def test_one_round_trip_bounds_the_offset() -> None:
    """Sent at 0, received at 20 ms, the venue says 5,010 ms: between 4,990 and 5,011 ms ahead."""
    offset = clock_offset([RoundTrip(T0, T0 + 20 * MS, T0 // MS + 5_010)])
    assert (offset.offset_ns, offset.uncertainty_ns, offset.round_trips) == (5_000_500_000, 10_500_000, 1)


def test_more_round_trips_bound_it_closer() -> None:
    """Slow ones of 100 ms on either side and one of 2 ms: the quick one's bounds are the bounds."""
    trips = [
        RoundTrip(T0, T0 + 100 * MS, T0 // MS - 3 + 1),
        RoundTrip(T0 + 200 * MS, T0 + 202 * MS, T0 // MS + 201 - 3),
        RoundTrip(T0 + 400 * MS, T0 + 500 * MS, T0 // MS + 499 - 3),
    ]
    offset = clock_offset(trips)
    assert (offset.offset_ns, offset.uncertainty_ns) == (-2_500_000, 1_500_000)


def test_a_clock_set_between_round_trips_is_said_as_uncertainty() -> None:
    """Trips that contradict each other: both are within the bounds."""
    offset = clock_offset([RoundTrip(T0, T0, T0 // MS), RoundTrip(T0 + MS, T0 + MS, T0 // MS + 5_001)])
    assert offset.offset_ns - offset.uncertainty_ns <= 0
    assert offset.offset_ns + offset.uncertainty_ns >= 5_000 * MS


@given(
    st.integers(-(10**13), 10**13),
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=9),
)
def test_the_truth_is_within_the_uncertainty(truth_ns: int, waits: list[tuple[int, int, int]]) -> None:
    """Whatever the way there and the way back take."""
    trips, now = [], T0
    for there, back, pause in waits:
        trips.append(RoundTrip(now, now + there + back, (now + there + truth_ns) // MS))
        now += there + back + pause
    offset = clock_offset(trips)
    assert abs(offset.offset_ns - truth_ns) <= offset.uncertainty_ns
