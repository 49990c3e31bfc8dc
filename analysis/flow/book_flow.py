"""
Book flow at a tick: order-flow imbalance of the best levels, CVD of trades, and what both explain of price.
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
    ExplainsFigure,
    FlowFigure,
    Fusion,
    KyleFigure,
    LevelFlows,
    MovingAverage,
    NoFusion,
    StrongSecond,
    VpinFigure,
)
from analysis.flow.flow_grid import FlowGrid, build_grid
from analysis.flow.flow_measures import (
    FusedScore,
    compare_position,
    divergence,
    divergence_strength,
    fuse_scores,
    measure_r2,
    moving_average,
    to_sigma,
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

MINUTE_S = 60  # the span of what is called "the minute" here
_MAX_STRONG_SECONDS = 5  # bounds the list of strong seconds in the tool's result
_COIN_DECIMALS, _SMALL_VOLUME = 4, 0.01  # below that volume, in coins, four decimals would round it away
_SIZE_WEIGHTS = 20  # the scale of the weights of `ofi_v13`, see `flow_rows.SIZE_WEIGHTS`


@dataclass(frozen=True)
class _Window:
    grid: FlowGrid
    active: Bools  # from the first second on in which anything happened
    parameters: BookFlowParameters
    decimals: int
    reason: str | None  # why the last minute's book is not known

    def to_coins(self, quantity: float) -> float:
        return round(quantity / 10**self.decimals, self.decimal_places)

    @cached_property
    def decimal_places(self) -> int:
        """
        Decimals of quantities in base coins: four, and more where less than a hundredth of a coin was traded in all.
        """
        coins = int(self.grid.volume_e8.sum()) / 10**self.decimals
        return (
            _COIN_DECIMALS
            if coins == 0 or coins >= _SMALL_VOLUME
            else _COIN_DECIMALS - floor(log10(coins / _SMALL_VOLUME))
        )

    def minute_z(self, flow: I64, use: Bools) -> float | None:
        span = slice(-self.parameters.z_seconds, None)
        minute = flow[-MINUTE_S:][use[-MINUTE_S:]]
        if len(minute) < MINUTE_S:
            return None
        limits = self.parameters.z_least, self.parameters.z_clip
        return z_of_sum(_where(flow[span], use[span]), int(minute.sum()), MINUTE_S, *limits)

    def second_z(self, flow: I64, use: Bools, index: int) -> float | None:
        span = slice(max(0, index + 1 - self.parameters.z_seconds), index + 1)
        if not use[index]:
            return None
        return z_score(flow[span][use[span]], int(flow[index]), self.parameters.z_least, self.parameters.z_clip)

    def last_minute_z(self, flow: I64, use: Bools) -> list[float | None]:
        """The z of each second of the last minute, against the seconds up to it."""
        span, first = self.parameters.z_seconds, max(0, len(flow) - MINUTE_S)
        if first + 1 >= span and use[first + 1 - span :].all():
            limits = self.parameters.z_least, self.parameters.z_clip
            return z_scores(flow[first + 1 - span :], span, *limits)
        return [self.second_z(flow, use, index) for index in range(first, len(flow))]

    def fuse(self, ofi_z: float, cvd_z: float) -> FusedScore:
        parameters = self.parameters
        return fuse_scores(
            ofi_z,
            cvd_z,
            (parameters.ofi_weight, parameters.cvd_weight),
            parameters.strong_fusion,
            parameters.strong_consistency,
        )

    def missing_z_reason(self, use: Bools) -> str:
        complete_seconds = int(use[-self.parameters.z_seconds :].sum())
        if not use[-MINUTE_S:].all() or complete_seconds < self.parameters.z_least:
            return f"{complete_seconds} whole seconds of {self.parameters.z_least}"
        return "no spread: all intervals are equal"


def book_flow(
    flow: BookFlow, status: Status, tick_size_e8: int, parameters: BookFlowParameters, decimals: int = DECIMALS
) -> BookFlowFindings | None:
    """
    Compute every measure of book flow over the fold's window, as it stands at the last tick.

    Args:
        flow: the fold.
        status: of the order book.
        tick_size_e8: 1e-8 quote.
        parameters: thresholds and spans.
        decimals: decimals of the market's quantities.

    Returns:
        None where neither a trade nor a change of the book is in the window.
    """
    seconds = flow.seconds()
    if not len(seconds.second_ns):
        return None
    grid = build_grid(seconds)
    reason = _missing_book_reason(grid, parameters.stale_seconds)
    window = _Window(grid, np.arange(len(grid.complete)) >= grid.first, parameters, decimals, reason)
    five_level_ofi = grid.ofi_e8.sum(axis=1) if grid.updates.any() else grid.ofi_e8[:, 0]
    name, ofi = ("ofi5", five_level_ofi) if _is_wide(grid, tick_size_e8, parameters) else ("ofi1", grid.ofi_e8[:, 0])
    ofi_z, cvd_z = window.minute_z(ofi, grid.complete), window.minute_z(grid.signed_e8, window.active)
    return BookFlowFindings(
        book=status,
        window_s=len(grid.complete),
        complete_s=int(grid.complete.sum()),
        updates=int(grid.updates.sum()),
        resets=int(seconds.resets.sum()),
        quote=last_quote(grid, tick_size_e8, parameters),
        ofi1=_ofi_figure(grid.ofi_e8[:, 0], 1, window),
        ofi5=_ofi_figure(five_level_ofi, 1, window),
        mlofi=_level_flows(window),
        ofi_v13=_ofi_figure(grid.size_change_x20, _SIZE_WEIGHTS, window),
        cvd=_cvd_figure(window, cvd_z),
        fusion=_fusion_figure(name, ofi, ofi_z, cvd_z, window),
        divergence=_divergence_figure(ofi_z, cvd_z, tick_size_e8, window),
        vpin=_vpin_figure(seconds.buy_e8, seconds.sell_e8, window),
        kyle=_kyle_figure(window),
        explains=_explains_figures(five_level_ofi, window),
    )


def _where(values: I64, use: Bools) -> I64:
    return values if use.all() else values[use]


def _missing_book_reason(grid: FlowGrid, stale_seconds: int) -> str | None:
    if not grid.updates.any():
        return "no whole book in the window"
    if grid.silent_s >= stale_seconds:
        return f"no update of the book for {grid.silent_s} s"
    if not grid.complete[-MINUTE_S:].all():
        return "the book was not whole throughout the last minute"
    return None


def _is_wide(grid: FlowGrid, tick_size_e8: int, parameters: BookFlowParameters) -> bool:
    """Whether the tick or the usual spread is: then the sum of five levels says more than the best quote's flow."""
    bid, _, ask, _ = grid.quote_e8[:, grid.quoted]
    if len(bid):
        usual = int(np.sort(ask - bid)[len(bid) // 2])
        return round(2e4 * max(tick_size_e8, usual) / int(bid[-1] + ask[-1]), 4) > parameters.sum_from_bp
    return False


def _ofi_figure(flow: I64, divisor: int, window: _Window) -> FlowFigure:
    if window.reason is not None:
        return FlowFigure(None, None, window.reason)
    z = window.minute_z(flow, window.grid.complete)
    minute = window.to_coins(int(flow[-MINUTE_S:].sum()) / divisor)
    return FlowFigure(minute, z, None if z is not None else window.missing_z_reason(window.grid.complete))


def _level_flows(window: _Window) -> LevelFlows:
    if window.reason is not None:
        return LevelFlows(None, window.reason)
    return LevelFlows(tuple(window.to_coins(int(v)) for v in window.grid.ofi_e8[-MINUTE_S:].sum(axis=0)))


def _cvd_figure(window: _Window, z: float | None) -> CvdFigure:
    """The z is taken on increments, and on the level as well, which is not stationary."""
    signed, parameters = window.grid.signed_e8, window.parameters
    level = signed.cumsum()
    recent = _where(level[-parameters.z_seconds :], window.active[-parameters.z_seconds :])
    averages, cross, averages_reason = _moving_averages(level, window)
    return CvdFigure(
        minute=window.to_coins(int(signed[-MINUTE_S:].sum())),
        window=window.to_coins(int(level[-1])),
        z=z,
        level_z=z_score(recent, int(level[-1]), parameters.z_least, parameters.z_clip),
        averages=averages,
        cross=cross,
        averages_reason=averages_reason,
        reason=None if z is not None else window.missing_z_reason(window.active),
    )


def _moving_averages(level: I64, window: _Window) -> tuple[dict[int, MovingAverage | None], str | None, str | None]:
    """
    Moving averages of CVD's level by span, whether the shortest crossed the longest in the last minute, and why that
    cannot be said.

    They begin with the window, not with the process, and are None until there is a span and a minute of it.
    """
    spans, levels = window.parameters.ema_seconds, _where(level, window.active)
    any_trade, minute_ago = bool(window.grid.trades.any()), -1 - MINUTE_S
    means = {s: moving_average(levels, s) for s in spans if any_trade and len(levels) >= s + MINUTE_S}
    averages = {
        span: MovingAverage(
            window.to_coins(float(mean[-1])) + 0.0,
            window.to_coins(float(mean[-1] - mean[minute_ago])) + 0.0,
            compare_position(float(levels[-1]), float(mean[-1])),
        )
        if (mean := means.get(span)) is not None
        else None
        for span in spans
    }
    if len(means) == len(spans):
        short, long = means[min(spans)], means[max(spans)]
        before, after = (
            compare_position(float(short[minute_ago]), float(long[minute_ago])),
            compare_position(float(short[-1]), float(long[-1])),
        )
        has_crossed = after not in (before, "at")
        return averages, {"above": "up", "below": "down"}[after] if has_crossed else "none", None
    requirement = f"{len(levels)} seconds; an EMA needs its span and {MINUTE_S} more"
    return averages, None, requirement if any_trade else "no trade in the window"


def _fusion_figure(name: str, ofi: I64, ofi_z: float | None, cvd_z: float | None, window: _Window) -> Fusion | NoFusion:
    if window.reason is not None or ofi_z is None or cvd_z is None:
        return NoFusion(name, window.reason or f"no z of {name if ofi_z is None else 'cvd'}")
    minute = window.fuse(ofi_z, cvd_z)
    strong = _strong_seconds(ofi, window)
    labels = Counter(fusion.label for _, fusion in strong)
    strongest = sorted(
        sorted(strong, key=lambda second: -abs(second[1].value))[:_MAX_STRONG_SECONDS], key=lambda second: second[0]
    )
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
            StrongSecond(window.grid.start_ns + index * SECOND_NS, fusion.value, fusion.consistency)
            for index, fusion in strongest
        ),
    )


def _strong_seconds(ofi: I64, window: _Window) -> list[tuple[int, FusedScore]]:
    """The strong seconds of the minute, each against the seconds up to it."""
    strong_seconds = []
    flows = (ofi, window.grid.complete), (window.grid.signed_e8, window.active)
    scores = zip(*(window.last_minute_z(flow, use) for flow, use in flows), strict=True)
    for index, (ofi_z, cvd_z) in enumerate(scores, max(0, len(ofi) - MINUTE_S)):
        if ofi_z is not None and cvd_z is not None:
            fusion = window.fuse(ofi_z, cvd_z)
            if fusion.strong:
                strong_seconds.append((index, fusion))
    return strong_seconds


def _divergence_figure(
    ofi_z: float | None, cvd_z: float | None, tick_size_e8: int, window: _Window
) -> DivergenceFigure:
    """The trend of the minute in σ is that of the mid's changes by second, over the span of the z-scores."""
    if window.reason is not None or ofi_z is None or cvd_z is None:
        return DivergenceFigure(None, None, reason=window.reason or "no z of both flows")
    parameters, mid_x2, span = window.parameters, window.grid.mid_x2, slice(-window.parameters.z_seconds, None)
    before = int(mid_x2[-MINUTE_S - 1])  # a whole minute has a quote before it
    change = int(mid_x2[-1]) - before
    trend = round(1e4 * change / before, 4)
    against = parameters.against_ofi_z, parameters.against_cvd_z
    opposition = parameters.opposed_ofi_z, parameters.opposed_cvd_z
    kind = divergence(trend, ofi_z, cvd_z, against, opposition)
    changes = np.diff(mid_x2, prepend=mid_x2[:1])[span][window.grid.complete[span]]
    sigmas = to_sigma(change, changes, MINUTE_S, 2 * tick_size_e8, parameters.z_clip)
    weights, full = (
        (parameters.ofi_weight, parameters.cvd_weight),
        (parameters.full_trend_sigma, parameters.strong_fusion),
    )
    strength = divergence_strength(kind, sigmas, ofi_z, cvd_z, weights, full)
    return DivergenceFigure(kind, strength, trend, sigmas)


def _vpin_figure(buy_e8: I64, sell_e8: I64, window: _Window) -> VpinFigure:
    parameters = window.parameters
    trades = int(window.grid.trades.sum())
    bucket = int(window.grid.volume_e8.sum()) // parameters.vpin_buckets
    result = vpin(buy_e8, sell_e8, bucket)
    if trades < parameters.vpin_least or result.value is None:
        return VpinFigure(None, reason=f"{trades} of {parameters.vpin_least} trades")
    return VpinFigure(result.value, result.buckets, window.to_coins(bucket))


def _kyle_figure(window: _Window) -> KyleFigure:
    parameters, grid = window.parameters, window.grid
    kyle = kyle_lambda(grid.signed_e8, grid.mid_x2, grid.complete, parameters.impact_seconds)
    if kyle.n < parameters.least_intervals:
        return KyleFigure(None, reason=f"{kyle.n} of {parameters.least_intervals} whole intervals")
    if kyle.slope is None:
        return KyleFigure(None, reason="flow or price did not move")
    slope = kyle.slope * 10**window.decimals / ONE_E8
    return KyleFigure(float(f"{slope:.4g}"), kyle.r2, kyle.n)


def _explains_figures(five_level_ofi: I64, window: _Window) -> tuple[ExplainsFigure, ...]:
    """R² of each flow on the mid's change, over one second and over the longer interval."""
    grid, mid_x2, min_intervals = window.grid, window.grid.mid_x2, window.parameters.least_intervals
    flows = {"ofi1": grid.ofi_e8[:, 0], "ofi5": five_level_ofi}
    flows |= {"ofi_v13": grid.size_change_x20, "trades": grid.signed_e8}
    result = []
    for interval in (1, window.parameters.impact_seconds):
        rows = {name: measure_r2(flow, mid_x2, grid.complete, interval) for name, flow in flows.items()}
        n = rows["ofi1"].intervals
        is_short = n < min_intervals
        result.append(
            ExplainsFigure(
                interval, n, None if is_short else rows, f"{n} of {min_intervals} whole intervals" if is_short else None
            )
        )
    return tuple(result)
