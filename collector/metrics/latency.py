"""
Percentiles, means and maxima of the last five minutes in bounded memory: one set of counts per slice of time.

Percentiles come from fixed buckets: up to ±128 µs a bucket is 1 µs wide; beyond, each doubling has 64 buckets, so that
a percentile is at most 1/64 above the exact value. Negative latencies are valid: clocks disagree. A clock that is set
back by a whole window or more begins a new window.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from market.arrays import I64
from market.timestamps import SECOND_NS

WINDOW_NS = 300 * SECOND_NS  # quantiles are those of the last five minutes
_SLICES = 30  # of ten seconds each: the oldest leaves as a whole
_SLICE_NS = WINDOW_NS // _SLICES
_BATCH_SIZE = 1_000  # values wait for numpy, which counts many at once
_QUANTILES = (0.50, 0.95, 0.99)  # median, and two of the tail
_FINE_BUCKETS = 128  # one a microsecond up to here, then ever wider: an error below 2 %
_BUCKETS_PER_DOUBLING = _FINE_BUCKETS // 2  # as many for each further power of two
_LARGEST_US = (1 << 42) - 1  # 50 days
# 7 bits are the fine ones; 2^42 µs are 50 days, longer than any latency.
_BUCKETS_PER_SIGN = _FINE_BUCKETS + (42 - 7) * _BUCKETS_PER_DOUBLING


class _Rolling(ABC):
    """Integers of the last five minutes, to a slice of ten seconds."""

    def __init__(self) -> None:
        self._slice = 0
        self._begin_ns = 0
        self._end_ns = 0
        self._new: list[int] = []  # of the current slice, not counted yet

    def add(self, values: Sequence[int], now_ns: int) -> None:
        """Add n integers, which may be negative, at the time `now_ns`."""
        if values:
            if not self._begin_ns <= now_ns < self._end_ns:
                self._move_to(now_ns)
            self._new += values
            if len(self._new) >= _BATCH_SIZE:
                self._count()

    def _move_to(self, now_ns: int) -> None:
        now = now_ns // _SLICE_NS
        if self._slice - _SLICES < now <= self._slice:
            return
        self._count()
        # After a clock was set back by a window or more no slice is left.
        self._drop_slices_outside(max(now, self._slice) - _SLICES + 1, min(now, self._slice))
        self._slice = now
        self._begin_ns, self._end_ns = now * _SLICE_NS, (now + 1) * _SLICE_NS

    @abstractmethod
    def _drop_slices_outside(self, first: int, last: int) -> None:
        """Drop all slices but those numbered first to last."""

    @abstractmethod
    def _count(self) -> None:
        """Count the new numbers in the current slice."""


class RollingLatency(_Rolling):
    """Durations of the last five minutes in ns, to a slice of ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._counts = np.zeros((_SLICES, 2 * _BUCKETS_PER_SIGN), np.int32)

    def summary(self, now_ns: int) -> dict[str, float | int | None]:
        """Compute p50, p95 and p99 in ms (nearest rank; None without durations), and the number of durations."""
        self._move_to(now_ns)
        self._count()
        total = np.cumsum(self._counts.sum(axis=0, dtype=np.int64))
        count = int(total[-1])
        figures: dict[str, float | int | None] = {"count": count}
        for share in _QUANTILES:
            rank = max(1, -(-count * round(share * 100) // 100))
            value_ms = round(_bucket_top_us(int(np.searchsorted(total, rank))) / 1_000, 3) if count else None
            figures[f"p{round(share * 100)}_ms"] = value_ms
        return figures

    def _drop_slices_outside(self, first: int, last: int) -> None:
        valid_slots = {number % _SLICES for number in range(first, last + 1)}
        self._counts[[slot for slot in range(_SLICES) if slot not in valid_slots]] = 0

    def _count(self) -> None:
        if self._new:
            np.add.at(self._counts[self._slice % _SLICES], _bucket_of(np.array(self._new, np.int64) // 1_000), 1)
            self._new = []


class RollingMean(_Rolling):
    """Mean, maximum and count of the integers of the last five minutes, to a slice of ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._slices: dict[int, tuple[int, int, int]] = {}  # by number of the slice: count, total, largest

    def summary(self, now_ns: int) -> dict[str, float | int | None]:
        """Compute mean and maximum (None without numbers), and the number of numbers."""
        self._move_to(now_ns)
        self._count()
        if not self._slices:
            return {"avg": None, "max": None, "count": 0}
        counts, totals, largest = zip(*self._slices.values(), strict=True)
        return {"avg": round(sum(totals) / sum(counts), 3), "max": max(largest), "count": sum(counts)}

    def _drop_slices_outside(self, first: int, last: int) -> None:
        self._slices = {number: figures for number, figures in self._slices.items() if first <= number <= last}

    def _count(self) -> None:
        if self._new:
            count, total, largest = self._slices.get(self._slice, (0, 0, self._new[0]))
            self._slices[self._slice] = (
                count + len(self._new),
                total + sum(self._new),
                max(largest, max(self._new)),
            )
            self._new = []


def _bucket_of(microseconds: I64) -> I64:
    size = np.minimum(np.where(microseconds < 0, -1 - microseconds, microseconds), _LARGEST_US)
    bits = np.frexp(size.astype(np.float64))[1].astype(np.int64)
    shift = np.maximum(bits - 7, 0)
    bucket = shift * _BUCKETS_PER_DOUBLING + (size >> shift)
    return np.where(microseconds < 0, _BUCKETS_PER_SIGN - 1 - bucket, _BUCKETS_PER_SIGN + bucket)


def _bucket_top_us(bucket: int) -> int:
    """The largest number of microseconds in a bucket."""
    if bucket < _BUCKETS_PER_SIGN:
        return -1 - _bucket_bottom(_BUCKETS_PER_SIGN - 1 - bucket)
    return _bucket_bottom(bucket - _BUCKETS_PER_SIGN + 1) - 1


def _bucket_bottom(bucket: int) -> int:
    shift = max(bucket // _BUCKETS_PER_DOUBLING - 1, 0)
    return (bucket - shift * _BUCKETS_PER_DOUBLING) << shift
