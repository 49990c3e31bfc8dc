"""
Sweeps: one side taking level after level at once (docs/measures.md §4).
"""

from typing import Literal

import msgspec
import numpy as np

from analysis.parameters import OrderFlowParameters
from market.arrays import I64
from market.compiled import compiled
from market.timestamps import MINUTE_NS
from projections.trades.trade_columns import Trades


class Runs(msgspec.Struct, frozen=True):
    """
    n runs: trades of consecutive agg ids, one aggressor side, equal or adjacent ms, prices that never turn back.

    Attributes:
        start, stop: indices of trades, stop exclusive. sign: +1 buyers. levels: number of distinct prices.
    """

    start: I64
    stop: I64
    sign: I64
    levels: I64
    volume_e8: I64

    def columns(self) -> I64:
        """The attributes as (5, n), in their order."""
        return np.stack((self.start, self.stop, self.sign, self.levels, self.volume_e8))


class Sweep(msgspec.Struct, frozen=True):
    """
    A run that swept the book.

    Attributes:
        first_e8, last_e8: its first and last price. min_volume_e8: the least volume of a sweep.
        runs: number of runs of the hour that this was measured on.
    """

    side: Literal["buy", "sell"]
    start_ns: int
    stop_ns: int
    first_id: int
    last_id: int
    first_e8: int
    last_e8: int
    levels: int
    volume_e8: int
    min_volume_e8: int
    runs: int


def find_runs(trades: Trades, parameters: OrderFlowParameters) -> Runs:
    """Find every run of the trades, single trades included."""
    gap_ms = parameters.sweep_gap_ms
    return Runs(*_runs(trades.time_ns, trades.agg_id, trades.price_e8, trades.quantity_e8, trades.sign, gap_ms))


class SweepFinder:
    """
    Finds sweeps tick after tick; the runs of an hour are cached, and only those that a new minute touches are cut
    again.
    """

    def __init__(self, parameters: OrderFlowParameters) -> None:
        self._parameters = parameters
        self._hour = Trades.empty()
        self._end_ns = 0
        self._columns = np.empty((5, 0), np.int64)  # of `Runs`, places counted on from hour to hour
        self._hour_columns = slice(0, 0)  # which of them are the hour's
        self._offset = 0  # the place of the hour's first trade

    def find(self, trades: Trades, end_ns: int) -> list[Sweep]:
        """
        The sweeps that ended within the last minute, compared with the runs of the hour that ends with the tick.

        Args:
            trades: of the hour at least.
            end_ns: the tick.
        """
        hour = trades.between(end_ns - self._parameters.sweep_hour_min * MINUTE_NS, end_ns)
        if not self._extend(hour):
            self._columns = find_runs(hour, self._parameters).columns()
            self._hour_columns, self._offset = slice(0, self._columns.shape[1]), 0
        self._hour, self._end_ns = hour, end_ns
        columns = self._columns[:, self._hour_columns]
        min_volume = _quantile_volume(columns[4], self._parameters.sweep_quantile)
        if hour.ordered:  # and then the last minute's runs are the last
            first = self._offset + int(np.searchsorted(hour.time_ns, end_ns - MINUTE_NS))
            columns = columns[:, int(np.searchsorted(columns[1], first, side="right")) :]
        runs = Runs(columns[0] - self._offset, columns[1] - self._offset, *columns[2:])
        large = (runs.levels >= self._parameters.sweep_levels) & (runs.volume_e8 >= min_volume)
        large &= hour.time_ns[runs.stop - 1] >= end_ns - MINUTE_NS
        count = self._hour_columns.stop - self._hour_columns.start
        return [_sweep(hour, runs, i, min_volume, count) for i in np.flatnonzero(large).tolist()]

    def _extend(self, hour: Trades) -> bool:
        """Extend the runs of the hour before to this one; False where one of its trades has changed since."""
        previous, hour_columns = self._hour, self._hour_columns
        if not (hour.ordered and previous.ordered and len(hour) and len(previous)):
            return False
        expiries = int(np.searchsorted(previous.time_ns, hour.time_ns[0]))
        common = int(np.searchsorted(hour.time_ns, self._end_ns))
        if common == 0 or common != len(previous) - expiries:  # nothing in common, or a late trade
            return False
        if hour.agg_id[0] != previous.agg_id[expiries] or hour.agg_id[common - 1] != previous.agg_id[-1]:
            return False
        offset, last = self._offset + expiries, hour_columns.stop - 1
        first = hour_columns.start + int(np.searchsorted(self._columns[1, hour_columns], offset, side="right"))
        if first >= last:
            return False
        # the first may have lost its beginning, and the last may go on
        head = find_runs(hour.part(0, int(self._columns[1, first]) - offset), self._parameters).columns()
        rest = int(self._columns[0, last]) - offset
        tail = find_runs(hour.part(rest, len(hour)), self._parameters).columns()
        head[:2] += offset
        tail[:2] += offset + rest
        if last + tail.shape[1] > self._columns.shape[1]:
            inner = self._columns[:, first:last]
            first, last = 0, last - first
            self._columns = np.empty((5, 2 * (last + tail.shape[1])), np.int64)
            self._columns[:, :last] = inner
        self._hour_columns, self._offset = slice(first, last + tail.shape[1]), offset
        self._columns[:, first : first + 1] = head
        self._columns[:, last : self._hour_columns.stop] = tail
        return True


def _sweep(trades: Trades, runs: Runs, i: int, min_volume: int, count: int) -> Sweep:
    first, last = int(runs.start[i]), int(runs.stop[i] - 1)
    return Sweep(
        side="buy" if runs.sign[i] > 0 else "sell",
        start_ns=int(trades.time_ns[first]),
        stop_ns=int(trades.time_ns[last]),
        first_id=int(trades.agg_id[first]),
        last_id=int(trades.agg_id[last]),
        first_e8=int(trades.price_e8[first]),
        last_e8=int(trades.price_e8[last]),
        levels=int(runs.levels[i]),
        volume_e8=int(runs.volume_e8[i]),
        min_volume_e8=min_volume,
        runs=count,
    )


def _quantile_volume(volume: I64, quantile: float) -> int:
    """The smallest volume that a share of the runs does not exceed."""
    if len(volume) == 0:
        return 0
    place = min(len(volume) - 1, max(0, int(np.ceil(round(quantile * len(volume), 6))) - 1))
    return int(np.partition(volume, place)[place])


@compiled
def _runs(times, ids, prices, quantities, signs, gap_ms):  # type: ignore[no-untyped-def]
    n = len(times)
    start, stop, sign = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    levels, volume = np.empty(n, np.int64), np.empty(n, np.int64)
    count = 0
    first, run_volume, run_levels = 0, np.int64(0), np.int64(0)
    last_ms, last_id, last_price, last_sign = (
        np.int64(0),
        np.int64(0),
        np.int64(0),
        np.int64(0),
    )  # no side: joins nothing
    for i in range(n):
        ms, own_id, price, own_sign = times[i] // 1_000_000, ids[i], prices[i], signs[i]
        joins = (
            (own_sign == last_sign)
            & (own_id == last_id + 1)
            & ((price - last_price) * own_sign >= 0)
            & (abs(ms - last_ms) <= gap_ms)
        )  # no `and`: sides alternate at random, no branch to guess
        if not joins:
            if i > 0:
                start[count], stop[count], sign[count] = first, i, last_sign
                levels[count], volume[count] = run_levels, run_volume
                count += 1
            first, run_volume, run_levels = i, np.int64(0), np.int64(1)
        else:
            run_levels += price != last_price
        run_volume += quantities[i]
        last_ms, last_id, last_price, last_sign = ms, own_id, price, own_sign
    if n > 0:
        start[count], stop[count], sign[count] = first, n, last_sign
        levels[count], volume[count] = run_levels, run_volume
        count += 1
    return start[:count], stop[:count], sign[:count], levels[:count], volume[:count]
