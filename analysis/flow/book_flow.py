"""
Book flow at a tick: what changed at the best levels, who traded, and what it explains.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import floor, log10

import numpy as np

from analysis.flow.flow_findings import (
    BookFlowFindings,
    CvdFigure,
    DivergenceFigure,
    Explains,
    FlowFigure,
    Fusion,
    KyleFigure,
    LevelFlows,
    MovingAverage,
    NoFusion,
    StrongSecond,
    VpinFigure,
)
from analysis.flow.flow_grid import FlowGrid, grid_of
from analysis.flow.flow_measures import (
    Fused,
    divergence,
    divergence_strength,
    explained,
    fused,
    in_sigma,
    moving_average,
    place,
    z_of_sum,
    z_score,
    z_scores,
)
from analysis.flow.flow_quote import last_quote
from analysis.flow.toxicity import kyle_lambda, vpin
from analysis.parameters import BookFlowParameters
from market.arrays import I64, Bools
from market.fixed_point import DECIMALS, ONE_E8
from market.timestamps import SECOND_NS
from projections.book.order_book import Status
from projections.flow.book_flow import BookFlow

MINUTE_S = 60
_SHOWN_SECONDS = 5
_PLACES, _LITTLE = 4, 0.01
_SIZE_WEIGHTS = 20  # what the weights of `ofi_v13` are scaled by


@dataclass(frozen=True)
class _Window:
    grid: FlowGrid
    traded: Bools  # from the first second on in which anything happened
    parameters: BookFlowParameters
    decimals: int
    reason: str | None  # why the last minute's book is not known

    def base(self, quantity: float) -> float:
        return round(quantity / 10**self.decimals, self.places)

    @cached_property
    def places(self) -> int:
        """How many decimals of base coins are told: four, and more where less than a hundredth was traded in all."""
        coins = int(self.grid.volume_e8.sum()) / 10**self.decimals
        return _PLACES if coins == 0 or coins >= _LITTLE else _PLACES - floor(log10(coins / _LITTLE))

    def minute_z(self, flow: I64, use: Bools) -> float | None:
        span = slice(-self.parameters.z_seconds, None)
        minute = flow[-MINUTE_S:][use[-MINUTE_S:]]
        if len(minute) < MINUTE_S:
            return None
        limits = self.parameters.z_least, self.parameters.z_clip
        return z_of_sum(flow[span][use[span]], int(minute.sum()), MINUTE_S, *limits)

    def second_z(self, flow: I64, use: Bools, at: int) -> float | None:
        span = slice(max(0, at + 1 - self.parameters.z_seconds), at + 1)
        if not use[at]:
            return None
        return z_score(flow[span][use[span]], int(flow[at]), self.parameters.z_least, self.parameters.z_clip)

    def last_minute_z(self, flow: I64, use: Bools) -> list[float | None]:
        """The z of each second of the last minute, against the seconds up to it."""
        span, first = self.parameters.z_seconds, max(0, len(flow) - MINUTE_S)
        if first + 1 >= span and use[first + 1 - span :].all():
            limits = self.parameters.z_least, self.parameters.z_clip
            return z_scores(flow[first + 1 - span :], span, *limits)
        return [self.second_z(flow, use, at) for at in range(first, len(flow))]

    def fused(self, ofi_z: float, cvd_z: float) -> Fused:
        own = self.parameters
        return fused(ofi_z, cvd_z, (own.ofi_weight, own.cvd_weight), own.strong_fusion, own.strong_consistency)

    def why_no_z(self, use: Bools) -> str:
        known = int(use[-self.parameters.z_seconds :].sum())
        if not use[-MINUTE_S:].all() or known < self.parameters.z_least:
            return f"{known} whole seconds of {self.parameters.z_least}"
        return "no spread: all intervals are equal"


def book_flow(
    flow: BookFlow, status: Status, tick_size_e8: int, parameters: BookFlowParameters, decimals: int = DECIMALS
) -> BookFlowFindings | None:
    """
    Every measure of book flow over the fold's window, as it stands at the last tick; None where nothing is in it.

    Args:
        status: the order book's. decimals: that the market's quantities keep.
    """
    seconds = flow.seconds()
    if not len(seconds.second_ns):
        return None
    grid = grid_of(seconds)
    reason = _reason(grid, parameters.stale_seconds)
    window = _Window(grid, np.arange(len(grid.known)) >= grid.first, parameters, decimals, reason)
    five = grid.ofi_e8.sum(axis=1) if grid.updates.any() else grid.ofi_e8[:, 0]
    name, ofi = ("ofi5", five) if _wide(grid, tick_size_e8, parameters) else ("ofi1", grid.ofi_e8[:, 0])
    ofi_z, cvd_z = window.minute_z(ofi, grid.known), window.minute_z(grid.signed_e8, window.traded)
    return BookFlowFindings(
        book=status,
        window_s=len(grid.known),
        whole_s=int(grid.known.sum()),
        updates=int(grid.updates.sum()),
        resets=int(seconds.resets.sum()),
        quote=last_quote(grid, tick_size_e8, parameters),
        ofi1=_ofi(grid.ofi_e8[:, 0], 1, window),
        ofi5=_ofi(five, 1, window),
        mlofi=_levels(window),
        ofi_v13=_ofi(grid.size_change_x20, _SIZE_WEIGHTS, window),
        cvd=_cvd(window, cvd_z),
        fusion=_fusion(name, ofi, ofi_z, cvd_z, window),
        divergence=_divergence(ofi_z, cvd_z, tick_size_e8, window),
        vpin=_vpin(seconds.buy_e8, seconds.sell_e8, window),
        kyle=_kyle(window),
        explains=_explains(five, window),
    )


def _reason(grid: FlowGrid, stale_seconds: int) -> str | None:
    if not grid.updates.any():
        return "no whole book in the window"
    if grid.silent_s >= stale_seconds:
        return f"no update of the book for {grid.silent_s} s"
    if not grid.known[-MINUTE_S:].all():
        return "the book was not whole throughout the last minute"
    return None


def _wide(grid: FlowGrid, tick_size_e8: int, parameters: BookFlowParameters) -> bool:
    """Whether the tick or the usual spread is: then the sum of five levels says more than the best quote's flow."""
    bid, _, ask, _ = grid.quote_e8[:, grid.quoted]
    if len(bid):
        usual = int(np.sort(ask - bid)[len(bid) // 2])
        return round(2e4 * max(tick_size_e8, usual) / int(bid[-1] + ask[-1]), 4) > parameters.sum_from_bp
    return False


def _ofi(flow: I64, divisor: int, window: _Window) -> FlowFigure:
    if window.reason is not None:
        return FlowFigure(None, None, window.reason)
    z = window.minute_z(flow, window.grid.known)
    minute = window.base(int(flow[-MINUTE_S:].sum()) / divisor)
    return FlowFigure(minute, z, None if z is not None else window.why_no_z(window.grid.known))


def _levels(window: _Window) -> LevelFlows:
    if window.reason is not None:
        return LevelFlows(None, window.reason)
    return LevelFlows(tuple(window.base(int(v)) for v in window.grid.ofi_e8[-MINUTE_S:].sum(axis=0)))


def _cvd(window: _Window, z: float | None) -> CvdFigure:
    """The z is taken on increments, and on the level as well, which is not stationary."""
    signed, parameters = window.grid.signed_e8, window.parameters
    level = signed.cumsum()
    recent = level[-parameters.z_seconds :][window.traded[-parameters.z_seconds :]]
    averages, cross, why_no_average = _averages(level, window)
    return CvdFigure(
        minute=window.base(int(signed[-MINUTE_S:].sum())),
        window=window.base(int(level[-1])),
        z=z,
        level_z=z_score(recent, int(level[-1]), parameters.z_least, parameters.z_clip),
        averages=averages,
        cross=cross,
        averages_reason=why_no_average,
        reason=None if z is not None else window.why_no_z(window.traded),
    )


def _averages(level: I64, window: _Window) -> tuple[dict[int, MovingAverage | None], str | None, str | None]:
    """
    Moving averages of CVD's level by span, whether the shortest crossed the longest in the last minute, and why that
    cannot be said.

    They begin with the window, not with the process, and are None until there is a span and a minute of it.
    """
    spans, held = window.parameters.ema_seconds, level[window.traded]
    any_trade, ago = bool(window.grid.trades.any()), -1 - MINUTE_S
    means = {s: moving_average(held, s) for s in spans if any_trade and len(held) >= s + MINUTE_S}
    averages = {
        span: MovingAverage(
            window.base(float(mean[-1])) + 0.0,
            window.base(float(mean[-1] - mean[ago])) + 0.0,
            place(float(held[-1]), float(mean[-1])),
        )
        if (mean := means.get(span)) is not None
        else None
        for span in spans
    }
    if len(means) == len(spans):
        short, long = means[min(spans)], means[max(spans)]
        before, now = place(float(short[ago]), float(long[ago])), place(float(short[-1]), float(long[-1]))
        crossed = now not in (before, "at")
        return averages, {"above": "up", "below": "down"}[now] if crossed else "none", None
    needed = f"{len(held)} seconds; an EMA needs its span and {MINUTE_S} more"
    return averages, None, needed if any_trade else "no trade in the window"


def _fusion(name: str, ofi: I64, ofi_z: float | None, cvd_z: float | None, window: _Window) -> Fusion | NoFusion:
    if window.reason is not None or ofi_z is None or cvd_z is None:
        return NoFusion(name, window.reason or f"no z of {name if ofi_z is None else 'cvd'}")
    minute = window.fused(ofi_z, cvd_z)
    strong = _strong_seconds(ofi, window)
    labels = Counter(both.label for _, both in strong)
    shown = sorted(sorted(strong, key=lambda found: -abs(found[1].value))[:_SHOWN_SECONDS], key=lambda found: found[0])
    return Fusion(
        uses=name,
        value=minute.value,
        consistency=minute.consistency,
        strong=minute.strong,
        label=minute.label,
        strong_seconds=len(strong),
        strong_buy_seconds=labels["strong_buy"],
        strong_sell_seconds=labels["strong_sell"],
        strongest=tuple(
            StrongSecond(window.grid.start_ns + at * SECOND_NS, both.value, both.consistency) for at, both in shown
        ),
    )


def _strong_seconds(ofi: I64, window: _Window) -> list[tuple[int, Fused]]:
    """The strong seconds of the minute, each against the seconds up to it."""
    found = []
    flows = (ofi, window.grid.known), (window.grid.signed_e8, window.traded)
    scores = zip(*(window.last_minute_z(flow, use) for flow, use in flows), strict=True)
    for at, (ofi_z, cvd_z) in enumerate(scores, max(0, len(ofi) - MINUTE_S)):
        if ofi_z is not None and cvd_z is not None:
            both = window.fused(ofi_z, cvd_z)
            if both.strong:
                found.append((at, both))
    return found


def _divergence(ofi_z: float | None, cvd_z: float | None, tick_size_e8: int, window: _Window) -> DivergenceFigure:
    """The trend of the minute in σ is that of the mid's changes by second, over the span of the z-scores."""
    if window.reason is not None or ofi_z is None or cvd_z is None:
        return DivergenceFigure(None, None, reason=window.reason or "no z of both flows")
    own, mid_x2, span = window.parameters, window.grid.mid_x2, slice(-window.parameters.z_seconds, None)
    before = int(mid_x2[-MINUTE_S - 1])  # a whole minute has a quote before it
    change = int(mid_x2[-1]) - before
    trend = round(1e4 * change / before, 4)
    against = own.against_ofi_z, own.against_cvd_z
    opposed = own.opposed_ofi_z, own.opposed_cvd_z
    kind = divergence(trend, ofi_z, cvd_z, against, opposed)
    changes = np.diff(mid_x2, prepend=mid_x2[:1])[span][window.grid.known[span]]
    sigmas = in_sigma(change, changes, MINUTE_S, 2 * tick_size_e8, own.z_clip)
    weights, full = (own.ofi_weight, own.cvd_weight), (own.full_trend_sigma, own.strong_fusion)
    strength = divergence_strength(kind, sigmas, ofi_z, cvd_z, weights, full)
    return DivergenceFigure(kind, strength, trend, sigmas)


def _vpin(buy_e8: I64, sell_e8: I64, window: _Window) -> VpinFigure:
    own = window.parameters
    trades = int(window.grid.trades.sum())
    bucket = int(window.grid.volume_e8.sum()) // own.vpin_buckets
    found = vpin(buy_e8, sell_e8, bucket)
    if trades < own.vpin_least or found.value is None:
        return VpinFigure(None, reason=f"{trades} of {own.vpin_least} trades")
    return VpinFigure(found.value, found.buckets, window.base(bucket))


def _kyle(window: _Window) -> KyleFigure:
    own, grid = window.parameters, window.grid
    found = kyle_lambda(grid.signed_e8, grid.mid_x2, grid.known, own.impact_seconds)
    if found.n < own.least_intervals:
        return KyleFigure(None, reason=f"{found.n} of {own.least_intervals} whole intervals")
    if found.slope is None:
        return KyleFigure(None, reason="flow or price did not move")
    slope = found.slope * 10**window.decimals / ONE_E8
    return KyleFigure(float(f"{slope:.4g}"), found.r2, found.n)


def _explains(five: I64, window: _Window) -> tuple[Explains, ...]:
    """R² of each flow on the mid's change, over one second and over the longer interval."""
    grid, least = window.grid, window.parameters.least_intervals
    flows = {"ofi1": grid.ofi_e8[:, 0], "ofi5": five}
    flows |= {"ofi_v13": grid.size_change_x20, "trades": grid.signed_e8}
    result = []
    for interval in (1, window.parameters.impact_seconds):
        rows = {name: explained(flow, grid.mid_x2, grid.known, interval) for name, flow in flows.items()}
        n = rows["ofi1"].intervals
        few = n < least
        result.append(Explains(interval, n, None if few else rows, f"{n} of {least} whole intervals" if few else None))
    return tuple(result)
