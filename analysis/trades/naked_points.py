"""
Naked points of control: where a closed day traded most, and no trade has been since (docs/measures.md §3).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np

from analysis.grid import profile_row_e8
from analysis.parameters import Parameters
from analysis.trades.volume_profile import build_rows, find_control_point, row_width
from market.timestamps import DAY_NS, MINUTE_NS
from projections.trades.minute_buckets import Minute, MinuteBuckets
from projections.trades.price_levels import level_width_e8


class NakedPoint(msgspec.Struct, frozen=True):
    """
    The control row of a UTC day, not traded since the day ended.

    Attributes:
        day_ns: when the day began. low_e8, high_e8: the row, its upper edge exclusive.
        volume_e8, share: of the row, and its part of the day's. minutes: number of the day's minutes with trades.
    """

    day_ns: int
    low_e8: int
    high_e8: int
    volume_e8: int
    share: float
    minutes: int


@dataclass(slots=True)
class _Day:
    point: NakedPoint | None
    is_traded: bool = False


class NakedPoints:
    """
    Finds the naked points of a fold's closed days.

    Its cache also follows from the fold: a fresh one gives the same result. The cost of a tick is that of its own
    minutes.
    """

    def __init__(self, buckets: MinuteBuckets, parameters: Parameters) -> None:
        self._buckets = buckets
        self._parameters = parameters
        self._days: dict[int, _Day] = {}
        self._open: set[int] = set()  # minutes with trades that have not closed yet
        self._mark = 0

    def find_points(self) -> list[NakedPoint]:
        """The naked points of the days that lie completely inside the window, oldest first."""
        start, end = self._buckets.start_ns, self._buckets.end_ns
        self._mark, changed_minutes = self._buckets.changes_since(self._mark)
        if changed_minutes is None:
            self._days.clear()
            changed_minutes = self._buckets.minutes_with_trades()
        new_minutes = {*changed_minutes, *self._open}
        self._open = {m for m in new_minutes if m >= end}
        for day_ns in {m - m % DAY_NS for m in new_minutes} | {d for d in self._days if d < start}:
            self._days.pop(day_ns, None)
        closed = [m for m in new_minutes if start <= m < end]
        for day_ns, day in self._days.items():
            self._check_minutes(day, (m for m in closed if m >= day_ns + DAY_NS))
        for day_ns in range(-(-max(start, 0) // DAY_NS) * DAY_NS, end - DAY_NS + 1, DAY_NS):
            if day_ns not in self._days:
                day = self._days[day_ns] = _Day(self._build_point(day_ns))
                self._check_minutes(day, range(day_ns + DAY_NS, end, MINUTE_NS))
        return [d.point for _, d in sorted(self._days.items()) if d.point is not None and not d.is_traded]

    def _build_point(self, day_ns: int) -> NakedPoint | None:
        buckets = (self._buckets.minute(m) for m in range(day_ns, day_ns + DAY_NS, MINUTE_NS))
        minutes: list[Minute] = [m for m in buckets if m is not None]
        if not minutes:
            return None
        close = int(minutes[-1].bar[3])
        level_e8 = level_width_e8(close, self._buckets.level_e8)
        levels, level_index = np.unique(np.concatenate([m.level_e8 for m in minutes]), return_inverse=True)
        totals = np.zeros(len(levels), np.int64)
        np.add.at(totals, level_index, np.concatenate([m.total_e8 for m in minutes]))
        row_e8 = profile_row_e8(close, self._parameters.row_bp, level_e8)
        rows = build_rows(levels, totals, row_width(levels, row_e8))
        row = find_control_point(rows, 0.0).row
        low, volume = rows.price_e8(row), int(rows.total_e8[row])
        share = round(volume / int(totals.sum()), 4)
        return NakedPoint(day_ns, low, low + rows.width_e8, volume, share, len(minutes))

    def _check_minutes(self, day: _Day, minutes: Iterable[int]) -> None:
        point = day.point
        if point is None or day.is_traded:
            return
        for minute_ns in minutes:
            minute = self._buckets.minute(minute_ns)
            if minute is not None and _has_trades_in(minute, point.low_e8, point.high_e8):
                day.is_traded = True
                return


def _has_trades_in(minute: Minute, low_e8: int, high_e8: int) -> bool:
    if minute.bar[1] < low_e8 or minute.bar[2] >= high_e8:
        return False
    first, last = np.searchsorted(minute.level_e8, (low_e8, high_e8))
    return bool(last > first)
