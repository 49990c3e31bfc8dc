"""
Toxicity of flow: VPIN with true aggressor signs, and Kyle's λ.
"""

import msgspec
import numpy as np

from analysis.flow.flow_measures import LineFit, fit_line, sum_by_interval
from market.arrays import I64, Bools


class Vpin(msgspec.Struct, frozen=True):
    """The share of volume that was one-sided, over n full volume buckets; None without a full one."""

    value: float | None
    buckets: int


def vpin(buy_e8: I64, sell_e8: I64, bucket_e8: int) -> Vpin:
    """
    Volume-synchronised probability of informed trading: sum of |sold - bought| over n buckets / (n * bucket).

    Easley, López de Prado, O'Hara 2012, with the aggressor's side as recorded instead of guessed from price. A row that
    crosses the end of a bucket is shared out in proportion; a last bucket that is not full is left out.

    Args:
        buy_e8, sell_e8: k rows in order of time, 1e-8 base.
        bucket_e8: the volume of a bucket; 0 gives no bucket.
    """
    total = buy_e8 + sell_e8
    has_volume = total > 0
    volume = np.concatenate(([0], np.cumsum(total[has_volume]))).astype(np.float64)
    bought = np.concatenate(([0], np.cumsum(buy_e8[has_volume]))).astype(np.float64)
    buckets = int(total.sum()) // bucket_e8 if bucket_e8 > 0 else 0
    if buckets == 0:
        return Vpin(None, 0)
    edges = np.arange(buckets + 1) * float(bucket_e8)
    one_sided = np.abs(2 * np.diff(np.interp(edges, volume, bought)) - bucket_e8)
    return Vpin(round(float(one_sided.sum()) / (buckets * bucket_e8), 4), buckets)


def kyle_lambda(signed_e8: I64, mid_x2: I64, complete: Bools, interval: int) -> LineFit:
    """
    The change of the mid for each unit of base bought more than sold, over intervals of some seconds.

    Kyle 1985: the slope is quote per base.

    Args:
        signed_e8: (n,) bought minus sold in each second.
        mid_x2: (n,) twice the mid at its end, 1e-8 quote.
        complete: (n,) see `FlowGrid`.
        interval: number of seconds of an interval.
    """
    if not complete.any():
        return LineFit(None, None, 0)
    signed, change, complete_intervals = sum_by_interval(signed_e8, mid_x2, complete, interval)
    return fit_line(signed[complete_intervals], change[complete_intervals])
