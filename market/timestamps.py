"""
Time: int64 nanoseconds UTC everywhere, milliseconds and microseconds only in what a venue sends.
"""

from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from market.arrays import I64
from market.errors import BadTime

# Units, so that no other file spells them.
MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

# Below this a venue's stamp is milliseconds, from it on microseconds (1e15 µs is in 2001, 1e15 ms in 33658).
_MICROSECONDS_FROM = 10**15
_EARLIEST_NS = 1_230_768_000 * SECOND_NS  # 2009-01-01: no coin market is older
_LATEST_NS = 4_102_444_800 * SECOND_NS  # 2100-01-01
_CACHED_TIMES = 1 << 12  # an event stays in the analyses of hours; bounds the memory of the cache


def venue_times_ns(stamps: I64) -> I64:
    """
    Convert a venue's n millisecond or microsecond stamps to nanoseconds UTC; the magnitude of each gives its unit.

    Raises:
        BadTime: one before 2009 or after 2099; `row` is its index.
    """
    micro = stamps >= _MICROSECONDS_FROM
    lowest, highest = (int(stamps.min()), int(stamps.max())) if len(stamps) else (_EARLIEST_NS // 10**6,) * 2
    if (
        lowest < _EARLIEST_NS // 10**6
        or highest >= _LATEST_NS // 10**3
        or np.any(stamps[~micro] >= _LATEST_NS // 10**6)
        or np.any(stamps[micro] < _EARLIEST_NS // 10**3)
    ):
        row = next(i for i, stamp in enumerate(stamps) if not _plausible(int(stamp)))
        raise BadTime(f"{stamps[row]} is no time in milliseconds or microseconds between 2009 and 2099", row)
    return np.where(micro, stamps * 1_000, stamps * 1_000_000).astype(np.int64)


def venue_time_ns(stamp: int) -> int:
    """
    Convert one millisecond or microsecond stamp, as `venue_times_ns`.

    Raises:
        BadTime: it is before 2009 or after 2099.

    >>> venue_time_ns(1_704_067_200_000) == venue_time_ns(1_704_067_200_000_000)
    True
    """
    if not _plausible(stamp):
        raise BadTime(f"{stamp} is no time in milliseconds or microseconds between 2009 and 2099", 0)
    return stamp * (1_000 if stamp >= _MICROSECONDS_FROM else 1_000_000)


def _plausible(stamp: int) -> bool:
    if stamp >= _MICROSECONDS_FROM:
        return _EARLIEST_NS // 10**3 <= stamp < _LATEST_NS // 10**3
    return _EARLIEST_NS // 10**6 <= stamp < _LATEST_NS // 10**6


def floor_to(time_ns: int, span_ns: int) -> int:
    """
    The last multiple of a span at or before a time.

    >>> floor_to(125, 60)
    120
    """
    return time_ns - time_ns % span_ns


@lru_cache(_CACHED_TIMES)
def iso(time_ns: int) -> str:
    """
    Format a time, to the second where it is a whole second, else to the nanosecond.

    >>> iso(1_704_067_260_000_000_000)
    '2024-01-01T00:01:00Z'
    """
    seconds, rest = divmod(time_ns, SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    return f"{text}Z" if rest == 0 else f"{text}.{rest:09d}Z"


def parse_iso(text: str) -> int:
    """
    Parse a date or a time into nanoseconds UTC; text without a zone is read as UTC.

    Raises:
        BadTime: text that is neither.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadTime(f"{text!r} is no date or time; write 2024-01-01 or 2024-01-01T12:30:00Z") from error
    seconds = int((moment.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return seconds * SECOND_NS + moment.microsecond * 1_000


def day_of(time_ns: int) -> str:
    """The UTC date of a time: 2024-01-01."""
    return datetime.fromtimestamp(time_ns // SECOND_NS, UTC).strftime("%Y-%m-%d")
