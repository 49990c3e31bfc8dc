"""
Toxicity of flow: VPIN with true aggressor signs, and Kyle's λ.
"""

import msgspec
import numpy as np

from analysis.flow.flow_measures import LineFit, fit_line, sum_by_interval
from market.arrays import I64, Bools
from market.compiled import compiled


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
    bought = _bought_at_edges(buy_e8, sell_e8, bucket_e8)
    buckets = len(bought) - 1
    if buckets == 0:
        return Vpin(None, 0)
    one_sided = np.abs(2 * np.diff(bought) - bucket_e8)
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


@compiled
def _bought_at_edges(buy, sell, bucket):  # type: ignore[no-untyped-def]
    """What had been bought when each full bucket began, and at the end of the last."""
    volume = (buy + sell).sum()
    edges = np.zeros((volume // bucket if bucket > 0 else 0) + 1, np.float64)
    edge, volume_before, bought_before = 1, np.int64(0), np.int64(0)
    for i in range(len(buy)):
        volume_after, bought_after = volume_before + buy[i] + sell[i], bought_before + buy[i]
        while edge < len(edges) and edge * bucket <= volume_after:
            share = float(bought_after - bought_before) / float(volume_after - volume_before)
            edges[edge] = share * float(edge * bucket - volume_before) + float(bought_before)
            edge += 1
        volume_before, bought_before = volume_after, bought_after
    return edges
