"""
Percentiles of the last minutes in bounded memory: counts in fixed buckets, one set of them for each slice of time.

Up to 128 µs either way a bucket is 1 µs wide; beyond, each doubling has 64 buckets, so that a percentile is never more
than 1/64 above the value it stands for. Negative latencies are data: clocks disagree.
"""

from collections.abc import Sequence

import numpy as np

from market.fixed_point import I64
from market.timestamps import SECOND_NS

WINDOW_NS = 300 * SECOND_NS
_SLICES = 30
_AT_ONCE = 1_000
_SHARES = (0.50, 0.95, 0.99)
_FINE = 128
_HALF = _FINE // 2
_LARGEST_US = (1 << 42) - 1  # 50 days
_OF_ONE_SIGN = _FINE + (42 - 7) * _HALF


class RollingLatency:
    """Durations of the last five minutes, to a slice of ten seconds."""

    def __init__(self) -> None:
        self._counts = np.zeros((_SLICES, 2 * _OF_ONE_SIGN), np.int32)
        self._slice = 0
        self._new: list[int] = []  # of the current slice, not counted yet

    def add(self, durations_ns: Sequence[int], now_ns: int) -> None:
        """Count n durations, which may be negative, at a time that never goes back."""
        if durations_ns:
            self._move_to(now_ns)
            self._new += durations_ns
            if len(self._new) >= _AT_ONCE:
                self._count()

    def summary(self, now_ns: int) -> dict[str, float | int | None]:
        """p50, p95 and p99 in ms (nearest rank; None without a duration) and how many durations they are of."""
        self._move_to(now_ns)
        self._count()
        total = np.cumsum(self._counts.sum(axis=0, dtype=np.int64))
        count = int(total[-1])
        said: dict[str, float | int | None] = {"count": count}
        for share in _SHARES:
            rank = max(1, -(-count * round(share * 100) // 100))
            found = round(_top_us(int(np.searchsorted(total, rank))) / 1_000, 3) if count else None
            said[f"p{round(share * 100)}_ms"] = found
        return said

    def _move_to(self, now_ns: int) -> None:
        now = now_ns // (WINDOW_NS // _SLICES)
        if now <= self._slice:
            return
        self._count()
        for passed in range(max(self._slice + 1, now - _SLICES + 1), now + 1):
            self._counts[passed % _SLICES] = 0
        self._slice = now

    def _count(self) -> None:
        if self._new:
            np.add.at(self._counts[self._slice % _SLICES], _bucket_of(np.array(self._new, np.int64) // 1_000), 1)
            self._new = []


def _bucket_of(microseconds: I64) -> I64:
    size = np.minimum(np.where(microseconds < 0, -1 - microseconds, microseconds), _LARGEST_US)
    bits = np.frexp(size.astype(np.float64))[1].astype(np.int64)
    shift = np.maximum(bits - 7, 0)
    at = shift * _HALF + (size >> shift)
    return np.where(microseconds < 0, _OF_ONE_SIGN - 1 - at, _OF_ONE_SIGN + at)


def _top_us(bucket: int) -> int:
    """The largest number of microseconds that falls into a bucket."""
    if bucket < _OF_ONE_SIGN:
        return -1 - _bottom(_OF_ONE_SIGN - 1 - bucket)
    return _bottom(bucket - _OF_ONE_SIGN + 1) - 1


def _bottom(at: int) -> int:
    shift = max(at // _HALF - 1, 0)
    return (at - shift * _HALF) << shift
