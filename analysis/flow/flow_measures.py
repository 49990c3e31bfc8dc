"""
Statistics of flows and of price: z-scores, averages, fusion, divergence, and how much of price a flow explains.
"""

from typing import Literal

import msgspec
import numpy as np

from market.arrays import F64, I64, Bools
from market.compiled import compiled

Divergence = Literal["bullish", "bearish", "inconsistent", "none"]
Label = Literal["strong_buy", "strong_sell", "neutral"]
Position = Literal["above", "below", "at"]


class FusedScore(msgspec.Struct, frozen=True):
    """
    Two z-scores fused into one.

    Attributes:
        value: the weighted sum. consistency: the smaller over the larger size where the signs agree, else 0.
        strong: whether both are past their thresholds.
    """

    value: float
    consistency: float
    strong: bool

    @property
    def label(self) -> Label:
        """Strong with a positive value, strong with a negative one, or neutral."""
        if not self.strong:
            return "neutral"
        return "strong_buy" if self.value > 0 else "strong_sell"


class LineFit(msgspec.Struct, frozen=True):
    """A straight line through n points: slope and R²; both None with fewer than three points or a flat side."""

    slope: float | None
    r2: float | None
    n: int


class FlowR2(msgspec.Struct, frozen=True):
    """
    How much of the change of the mid a flow explains: in the same interval, and in the one that follows.

    Attributes:
        intervals: number of complete intervals. r2_same, r2_next: None with fewer than three, or where nothing moved.
    """

    r2_same: float | None
    r2_next: float | None
    intervals: int


def z_score(values: I64, value: int, min_count: int, clip: float) -> float | None:
    """
    How far a value lies from the mean of others, in their standard deviations (of the population, not of a sample).

    Args:
        values: n values of single intervals.
        value: the one that is scored.
        min_count: least n for an answer.
        clip: bound of the result on either side.

    Returns:
        To 4 decimals, within ±clip; None with fewer than `min_count` values or where all are equal.
    """
    return z_of_sum(values, value, 1, min_count, clip)


def z_scores(values: I64, span: int, min_count: int, clip: float) -> list[float | None]:
    """
    `z_score` of every value that ends a full span, among the `span` values that end with it.

    Args:
        values: n values of single intervals.
        span: number of values that each one is scored among.
        min_count: least span for an answer.
        clip: bound of the results on either side.

    Returns:
        n − span + 1 scores, oldest first; None as in `z_score`.
    """
    windows = np.lib.stride_tricks.sliding_window_view(values, span)
    if span < max(min_count, 1):
        return [None] * len(windows)
    numbers = np.ascontiguousarray(windows, np.float64)
    mean = numbers.mean(axis=1)
    spread = np.sqrt(np.mean((numbers - mean[:, None]) ** 2, axis=1))
    varies = (windows.max(axis=1) > windows.min(axis=1)).tolist()
    distances = np.divide(numbers[:, -1] - mean, spread, out=np.zeros(len(mean)), where=varies).tolist()
    return [
        round(min(clip, max(-clip, z)), 4) if has_spread else None
        for z, has_spread in zip(distances, varies, strict=True)
    ]


def z_of_sum(values: I64, total: int, count: int, min_count: int, clip: float) -> float | None:
    """
    `z_score` of the sum of several intervals.

    It is compared with `count` times the mean of single intervals, in the square root of `count` times their standard
    deviation, as if intervals were independent.

    Args:
        values: n values of single intervals.
        total: the sum that is scored.
        count: number of intervals in it.
        min_count: least n for an answer.
        clip: bound of the result on either side.

    Returns:
        As `z_score`.
    """
    if len(values) < max(min_count, 1) or values.max() == values.min():
        return None
    numbers = values.astype(np.float64)
    mean = float(numbers.mean())
    spread = float(np.sqrt(np.mean((numbers - mean) ** 2)))
    return round(min(clip, max(-clip, (total - count * mean) / (spread * count**0.5))), 4)


def fuse_scores(
    ofi_z: float, cvd_z: float, weights: tuple[float, float], strong_value: float, strong_consistency: float
) -> FusedScore:
    """
    Fuse the z-scores of OFI and CVD into their weighted sum, and test whether they agree.

    Args:
        ofi_z, cvd_z: the z-scores.
        weights: of OFI and of CVD.
        strong_value: the size of the sum that a strong score exceeds.
        strong_consistency: the consistency that it exceeds.

    >>> fuse_scores(3.0, 2.4, (0.6, 0.4), 2.5, 0.7)
    FusedScore(value=2.76, consistency=0.8, strong=True)
    """
    value = round(weights[0] * ofi_z + weights[1] * cvd_z, 4)
    sizes = abs(ofi_z), abs(cvd_z)
    consistency = round(min(sizes) / max(sizes), 4) if ofi_z * cvd_z > 0 else 0.0
    return FusedScore(value, consistency, abs(value) > strong_value and consistency > strong_consistency)


def divergence(
    trend: float, ofi_z: float, cvd_z: float, from_z: tuple[float, float], opposed_z: tuple[float, float]
) -> Divergence:
    """
    Whether flow runs against price, or against itself.

    Args:
        trend: the change of price; only its sign counts.
        ofi_z, cvd_z: z-scores of the flows over the same span.
        from_z: what the z-scores of OFI and CVD must exceed against the trend.
        opposed_z: what their sizes must exceed, with opposite signs, to be inconsistent.
    """
    if trend < 0 and ofi_z > from_z[0] and cvd_z > from_z[1]:
        return "bullish"
    if trend > 0 and ofi_z < -from_z[0] and cvd_z < -from_z[1]:
        return "bearish"
    if abs(ofi_z) > opposed_z[0] and abs(cvd_z) > opposed_z[1] and ofi_z * cvd_z < 0:
        return "inconsistent"
    return "none"


def divergence_strength(
    kind: Divergence,
    trend_sigma: float,
    ofi_z: float,
    cvd_z: float,
    weights: tuple[float, float],
    full: tuple[float, float],
) -> float | None:
    """
    How far price and flow disagree, or OFI and CVD with each other: 0 to 1, never falling as any of its inputs grows.

        price = min(1, |trend_sigma| / full[0])
        flow = min(1, (weights[0]·|ofi_z| + weights[1]·|cvd_z|) / full[1])
        bullish, bearish: √(price · flow)        inconsistent: flow, for price has no part in it

    A trend of -1.5 σ against z-scores of 1.5 and 0.75, weights 0.6 and 0.4, full at 2 σ and 2.5: price 0.75, flow 0.48,
    strength 0.6.

    Args:
        kind: see `divergence`.
        trend_sigma: the change of price in σ.
        ofi_z, cvd_z: z-scores of the flows.
        weights: of OFI and of CVD.
        full: the trend in σ, and the weighted z-score, from which on each counts fully.

    Returns:
        To 4 decimals; None where there is no divergence.
    """
    if kind == "none":
        return None
    flow = min(1.0, (weights[0] * abs(ofi_z) + weights[1] * abs(cvd_z)) / full[1])
    if kind == "inconsistent":
        return round(flow, 4)
    return round((min(1.0, abs(trend_sigma) / full[0]) * flow) ** 0.5, 4)


def to_sigma(change: int, changes: I64, intervals: int, min_sigma: int, clip: float) -> float:
    """
    Express a change over some intervals in σ: the root mean square of single changes times the root of their number.

    No mean is subtracted, so the sign is that of the change. Squares are summed as whole numbers.

    Args:
        change: over `intervals` intervals.
        changes: n changes over one interval each, n at least 1.
        intervals: number of intervals that `change` spans.
        min_sigma: σ is not below this, above 0.
        clip: bound of the result on either side.

    Returns:
        To 4 decimals, within ±clip.
    """
    square = sum(step * step for step in changes.tolist())
    sigma = max(float(min_sigma), (square / len(changes) * intervals) ** 0.5)
    return round(min(clip, max(-clip, change / sigma)), 4)


def moving_average(values: I64, span: int) -> F64:
    """
    The exponential moving average at each of n values: the newest weighs 2 / (span + 1), the first begins it.

    It is computed one value after the other in plain floats: the bits depend on the values alone, and equal values have
    themselves as their average.
    """
    means: F64 = _moving_average(values.astype(np.float64), 2.0 / (span + 1))
    return means


def compare_position(value: float, reference: float) -> Position:
    """
    Where one quantity lies relative to another, in counts; `at` is within half a count, the smallest there is.

    >>> compare_position(101.0, 100.0), compare_position(100.4, 100.0)
    ('above', 'at')
    """
    difference = round(value - reference)
    return "at" if not difference else "above" if difference > 0 else "below"


def fit_line(x: F64, y: F64) -> LineFit:
    """Fit the least-squares line through n points; slope unrounded, R² to 4 decimals."""
    n = len(x)
    if n < 3 or x.max() == x.min() or y.max() == y.min():
        return LineFit(None, None, n)
    dx, dy = x - x.mean(), y - y.mean()
    xx, xy, yy = float((dx * dx).sum()), float((dx * dy).sum()), float((dy * dy).sum())
    return LineFit(xy / xx, round(xy * xy / (xx * yy), 4), n)


def measure_r2(flow: I64, mid_x2: I64, complete: Bools, interval: int) -> FlowR2:
    """
    R² of the mid's change on a flow.

    Args:
        flow: (n,) the flow of each second.
        mid_x2: (n,) twice the mid at its end, 1e-8 quote.
        complete: (n,) see `FlowGrid`.
        interval: number of seconds that are taken together, counted from the first.
    """
    if not complete.any():
        return FlowR2(None, None, 0)
    sums, changes, complete_intervals = sum_by_interval(flow, mid_x2, complete, interval)
    concurrent = fit_line(sums[complete_intervals], changes[complete_intervals])
    pairs = complete_intervals[:-1] & complete_intervals[1:]
    following = fit_line(sums[:-1][pairs], changes[1:][pairs])
    return FlowR2(concurrent.r2, following.r2, concurrent.n)


def sum_by_interval(flow: I64, mid_x2: I64, complete: Bools, interval: int) -> tuple[F64, F64, Bools]:
    """
    Sum a flow and the change of the mid over intervals of some seconds; a last incomplete interval is left out.

    Args:
        flow: (n,) the flow of each second.
        mid_x2: (n,) twice the mid at its end, 1e-8 quote.
        complete: (n,) see `FlowGrid`.
        interval: number of seconds of an interval.

    Returns:
        k sums, k changes (of the mid itself, 1e-8 quote), and whether every second of each interval is complete.
    """
    k = len(flow) // interval
    ends = np.arange(k) * interval + interval - 1
    starts = np.maximum(ends - interval, 0)  # the first second is never known: nothing is before it
    sums = flow[: k * interval].reshape(k, interval).sum(axis=1)
    complete_intervals = np.asarray(complete[: k * interval].reshape(k, interval).all(axis=1), np.bool_)
    return sums.astype(np.float64), (mid_x2[ends] - mid_x2[starts]).astype(np.float64) / 2, complete_intervals


@compiled
def _moving_average(values, weight):  # type: ignore[no-untyped-def]
    means = np.empty(len(values), np.float64)
    mean = values[0] if len(values) else 0.0
    for i in range(len(values)):
        mean += weight * (values[i] - mean)
        means[i] = mean
    return means
