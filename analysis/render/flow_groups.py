"""
Volume profiles and book flow as groups of figures for JSON, each under an id.

A figure that cannot be computed is null, and its group names the reason.
"""

from collections.abc import Mapping
from typing import Any

from analysis.flow.flow_findings import (
    BookFlowFindings,
    CvdFigure,
    DivergenceFigure,
    ExplainsFigure,
    FlowFigure,
    Fusion,
    KyleFigure,
    LevelFlows,
    NoFusion,
    VpinFigure,
)
from analysis.flow.flow_quote import Quote
from analysis.trades.acceptance import Node, Profile
from market.fixed_point import DECIMALS, ONE_E8, format_e8
from market.timestamps import iso

_INTEGER_DIGITS = len(str(10_000 * ONE_E8))  # of a price of 10,000, from which on 8 decimals are enough
_NOTE = "OFI explains price in the same interval and predicts little; no order between trades and book below 1 s"


def profiles_group(profiles: Mapping[int, Profile | None] | None, decimals: int) -> dict[str, Any]:
    """
    Render volume profiles by horizon; null for one that shows no more than the one before.

    Args:
        profiles: see `acceptance.build_profiles`.
        decimals: decimals of the market's quantities.
    """
    if profiles is None:
        return {"found": "nothing", "reason": "no trade in the window"}
    return {
        f"{minutes}min": None if profile is None else _profile(profile, decimals)
        for minutes, profile in profiles.items()
    }


def _profile(profile: Profile, decimals: int) -> dict[str, Any]:
    low, high = profile.value_area_e8
    return {
        "id": f"P{profile.minutes}",
        "covered_min": profile.covered_min,
        "volume": format_e8(profile.volume_e8, decimals),
        "delta": format_e8(profile.delta_e8, decimals),
        "trades": profile.trades,
        "row": format_e8(profile.row_e8),
        "poc": format_e8(profile.poc_e8),
        "rival": profile.rival,
        "rival_poc": None if profile.rival_poc_e8 is None else format_e8(profile.rival_poc_e8),
        "value_area": [format_e8(low), format_e8(high)],
        "value_area_share": profile.value_area_share,
        "hvn": [_node(node) for node in profile.hvn],
        "lvn": [_node(node) for node in profile.lvn],
    }


def _node(node: Node) -> list[Any]:
    return [node.id, format_e8(node.price_e8), node.prominence]


def book_flow_group(findings: BookFlowFindings | None) -> dict[str, Any]:
    """Render every measure of book flow; None gives the reason why there is none."""
    if findings is None:
        return {"id": "F", "found": "nothing", "reason": "no trade and no update of the book in the window"}
    return {
        "id": "F",
        "book": findings.book,
        "window_s": findings.window_s,
        "whole_s": findings.complete_s,
        "updates": findings.updates,
        "resets": findings.resets,
        "note": _NOTE,
        "quote": _quote(findings.quote),
        "ofi1": _flow("F.ofi1", findings.ofi1),
        "ofi5": _flow("F.ofi5", findings.ofi5),
        "mlofi": _levels(findings.mlofi),
        "ofi_v13": _flow("F.ofi_v13", findings.ofi_v13),
        "cvd": _cvd(findings.cvd),
        "fusion": _fusion(findings.fusion),
        "divergence": _divergence(findings.divergence),
        "vpin": _vpin(findings.vpin),
        "kyle": _kyle(findings.kyle),
        "explains": _explains(findings.explains),
    }


def _reason_field(reason: str | None, name: str = "reason") -> dict[str, str]:
    return {} if reason is None else {name: reason}


def _quote(quote: Quote | None) -> dict[str, Any]:
    """`micro_by` says where the weighted mid stands in for the micro-price."""
    if quote is None:
        return {"id": "F.quote", "bid": None, "ask": None, "reason": "no quote at the end of the window"}
    micro = quote.weighted_mid_e8 if quote.micro_price_e8 is None else quote.micro_price_e8
    return {
        "id": "F.quote",
        "bid": format_e8(quote.bid_e8),
        "ask": format_e8(quote.ask_e8),
        "mid": _fine_price((quote.bid_e8 + quote.ask_e8) / 2),
        "spread_bp": quote.spread_bp,
        "imbalance": quote.imbalance,
        "weighted_mid": _fine_price(quote.weighted_mid_e8),
        "micro_price": _fine_price(micro),
        "micro_by": quote.micro_by,
        "age_s": quote.age_s,
    }


def _flow(name: str, flow: FlowFigure) -> dict[str, Any]:
    return {"id": name, "minute": flow.minute, "z": flow.z, **_reason_field(flow.reason)}


def _levels(flows: LevelFlows) -> dict[str, Any]:
    minute = None if flows.minute is None else list(flows.minute)
    return {"id": "F.mlofi", "minute": minute, **_reason_field(flows.reason)}


def _cvd(figure: CvdFigure) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for span, mean in figure.averages.items():
        figures[f"ema_{span}s"] = None if mean is None else mean.value
        figures[f"ema_slope_{span}s"] = None if mean is None else mean.slope
        figures[f"ema_side_{span}s"] = None if mean is None else mean.side
    return {
        "id": "F.cvd",
        "minute": figure.minute,
        "window": figure.window,
        "z": figure.z,
        "level_z": figure.level_z,
        **figures,
        "ema_cross": figure.cross,
        **_reason_field(figure.averages_reason, "ema_reason"),
        **_reason_field(figure.reason),
    }


def _fusion(figure: Fusion | NoFusion) -> dict[str, Any]:
    head = {"id": "F.fusion", "uses": figure.uses}
    if isinstance(figure, NoFusion):
        return {**head, "value": None, "label": None, "strong_seconds": None, "reason": figure.reason}
    return {
        **head,
        "value": figure.value,
        "consistency": figure.consistency,
        "strong": figure.strong,
        "label": figure.label,
        "strong_seconds": figure.strong_seconds,
        "strong_buy_seconds": figure.strong_buy_seconds,
        "strong_sell_seconds": figure.strong_sell_seconds,
        "strongest": [[iso(second.start_ns)[11:-1], second.value, second.consistency] for second in figure.strongest],
    }


def _divergence(figure: DivergenceFigure) -> dict[str, Any]:
    head = {"id": "F.divergence", "kind": figure.kind, "strength": figure.strength}
    if figure.reason is not None:
        return {**head, "reason": figure.reason}
    return {**head, "trend_bp": figure.trend_bp, "trend_sigma": figure.trend_sigma}


def _vpin(figure: VpinFigure) -> dict[str, Any]:
    if figure.reason is not None:
        return {"id": "F.vpin", "value": None, "reason": figure.reason}
    return {"id": "F.vpin", "value": figure.value, "buckets": figure.buckets, "bucket": figure.bucket}


def _kyle(figure: KyleFigure) -> dict[str, Any]:
    if figure.reason is not None:
        return {"id": "F.kyle", "quote_per_base": None, "reason": figure.reason}
    return {"id": "F.kyle", "quote_per_base": figure.quote_per_base, "r2": figure.r2, "n": figure.n}


def _explains(figures: tuple[ExplainsFigure, ...]) -> dict[str, Any]:
    result: dict[str, Any] = {"id": "F.explains", "columns": ["r2_same", "r2_next"]}
    for figure in figures:
        rows = {name: [row.r2_same, row.r2_next] for name, row in (figure.flows or {}).items()}
        result[f"{figure.interval_s}s"] = {"n": figure.n, **rows, **_reason_field(figure.reason)}
    return result


def _fine_price(value_e8: float) -> str:
    """To 8 decimals from a price of 10,000 on, to one more for each power of ten below: it lies between two ticks."""
    finer = max(0, _INTEGER_DIGITS - len(str(int(value_e8))))
    return format_e8(round(value_e8 * 10**finer), DECIMALS + finer)
