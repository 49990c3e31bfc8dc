"""
Sweeps: one side taking level after level at once (ANALYSIS §4).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.parameters import OrderFlowParameters
from market.arrays import I64
from market.compiled import compiled
from market.timestamps import MINUTE_NS
from projections.trades.trade_columns import Trades


@dataclass(frozen=True, slots=True)
class Runs:
    """
    n runs: trades of consecutive agg ids, one aggressor side, equal or adjacent ms, prices that never turn back.

    Attributes:
        start, stop: their places among the trades, stop exclusive. sign: +1 buyers. levels: how many distinct prices.
    """

    start: I64
    stop: I64
    sign: I64
    levels: I64
    volume_e8: I64


@dataclass(frozen=True, slots=True)
class Sweep:
    """
    A run that swept the book.

    Attributes:
        first_e8, last_e8: its first and last price. least_e8: the volume that made a sweep of it.
        runs: how many runs that was measured on.
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
    least_e8: int
    runs: int


def runs_of(trades: Trades, parameters: OrderFlowParameters) -> Runs:
    """Every run of the trades, single trades included."""
    gap_ms = parameters.sweep_gap_ms
    return Runs(*_runs(trades.time_ns, trades.agg_id, trades.price_e8, trades.quantity_e8, trades.sign, gap_ms))


def sweeps(trades: Trades, end_ns: int, parameters: OrderFlowParameters) -> list[Sweep]:
    """The sweeps that ended within the last minute, judged by the runs of the hour that ends with the tick."""
    hour = trades.between(end_ns - parameters.sweep_hour_min * MINUTE_NS, end_ns)
    runs = runs_of(hour, parameters)
    least = _least(runs.volume_e8, parameters.sweep_quantile)
    kept = (runs.levels >= parameters.sweep_levels) & (runs.volume_e8 >= least)
    kept &= hour.time_ns[runs.stop - 1] >= end_ns - MINUTE_NS
    return [
        Sweep(
            side="buy" if runs.sign[i] > 0 else "sell",
            start_ns=int(hour.time_ns[runs.start[i]]),
            stop_ns=int(hour.time_ns[runs.stop[i] - 1]),
            first_id=int(hour.agg_id[runs.start[i]]),
            last_id=int(hour.agg_id[runs.stop[i] - 1]),
            first_e8=int(hour.price_e8[runs.start[i]]),
            last_e8=int(hour.price_e8[runs.stop[i] - 1]),
            levels=int(runs.levels[i]),
            volume_e8=int(runs.volume_e8[i]),
            least_e8=least,
            runs=len(runs.start),
        )
        for i in np.flatnonzero(kept).tolist()
    ]


def _least(volume: I64, quantile: float) -> int:
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
