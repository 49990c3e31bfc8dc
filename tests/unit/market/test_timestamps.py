"""Time: what a venue's stamp means, and how times are written and read."""

import numpy as np
import pytest

from market.errors import BadTime
from market.timestamps import MINUTE_NS, day_of, floor_to, iso, parse_iso, venue_time_ns, venue_times_ns
from tests.builders import T0


def one(stamp: int) -> int:
    """A single stamp."""
    result = int(venue_times_ns(np.array([stamp], np.int64))[0])
    assert venue_time_ns(stamp) == result
    return result


def test_milliseconds_and_microseconds_are_told_by_their_size() -> None:
    """Archives changed from ms to µs in 2025; one file may hold only one, a log both."""
    assert one(1_704_067_200_000) == T0
    assert one(1_704_067_200_000_123) == T0 + 123_000
    stamps = np.array([1_704_067_200_001, 1_704_067_200_001_000])
    assert venue_times_ns(stamps).tolist() == [T0 + 10**6, T0 + 10**6]
    assert venue_times_ns(np.array([], np.int64)).dtype == np.int64


@pytest.mark.parametrize(
    "stamp",
    [
        0,
        -1,
        1_704_067_200,  # seconds
        1_230_767_999_999,  # the last ms of 2008
        4_102_444_800_000,  # the first ms of 2100
        999_999_999_999_999,
        10**15,  # µs in 2001
        1_230_767_999_999_999,  # the last µs of 2008
        4_102_444_800_000_000,
        1_704_067_200_000_000_000,  # nanoseconds
        2**63 - 1,
        -(2**63),
    ],
)
def test_a_stamp_nobody_can_mean_is_refused(stamp: int) -> None:
    """Neither before 2009 nor after 2099, in whatever unit, alone or among good ones."""
    with pytest.raises(BadTime, match=str(stamp)):
        one(stamp)
    with pytest.raises(BadTime, match=str(stamp)):
        venue_time_ns(stamp)
    with pytest.raises(BadTime, match=str(stamp)):
        venue_times_ns(np.array([1_704_067_200_000, stamp, 1_704_067_200_000_000]))


@pytest.mark.parametrize("stamp", [1_230_768_000_000, 4_102_444_799_999, 1_230_768_000_000_000, 4_102_444_799_999_999])
def test_the_first_and_last_stamps_that_are_read(stamp: int) -> None:
    """2009-01-01 and the end of 2099."""
    assert one(stamp) == stamp * (1_000 if stamp >= 10**15 else 1_000_000)


def test_times_are_written_to_the_second_or_to_the_nanosecond() -> None:
    """Nothing a time holds is lost, and a whole second shows no fraction."""
    assert iso(T0) == "2024-01-01T00:00:00Z"
    assert iso(T0 + 1) == "2024-01-01T00:00:00.000000001Z"
    assert day_of(T0 - 1) == "2023-12-31"
    assert day_of(T0) == "2024-01-01"


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("2024-01-01", T0),
        (" 2024-01-01T00:00:00Z ", T0),
        ("2024-01-01T08:00:00+08:00", T0),
        ("2024-01-01T00:00:00.000001", T0 + 1_000),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
    ],
)
def test_dates_and_times_are_read(text: str, time_ns: int) -> None:
    """A text without a zone is UTC."""
    assert parse_iso(text) == time_ns


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "0001-01-01T00:00+23:59", "9999-12-31T23:59-23:59"])
def test_a_text_that_is_no_time_is_refused(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(BadTime, match="write 2024-01-01"):
        parse_iso(text)


def test_a_time_is_floored_to_its_span() -> None:
    """A boundary is its own floor, before 1970 too."""
    assert floor_to(T0 + MINUTE_NS - 1, MINUTE_NS) == T0
    assert floor_to(T0, MINUTE_NS) == T0
    assert floor_to(-1, MINUTE_NS) == -MINUTE_NS
