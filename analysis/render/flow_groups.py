"""
Volume profiles and book flow as groups of figures for JSON, each under an id.

A figure that cannot be had is null, and its group names the reason.
"""

from collections.abc import Mapping
from typing import Any

from analysis.flow.flow_findings import (
    BookFlowFindings,
    CvdFigure,
    DivergenceFigure,
    Explains,
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

_WHOLE = len(str(10_000 * ONE_E8))
_NOTE = "OFI explains price in the same interval and predicts little; no order between trades and book below 1 s"


def profiles_group(profiles: Mapping[int, Profile | None] | None, decimals: int) -> dict[str, Any]:
    """
    Volume profiles by horizon; null for one that shows no more than the one before.

    Args:
        decimals: that the market's quantities keep.
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


def book_flow_group(found: BookFlowFindings | None) -> dict[str, Any]:
    """Every measure of book flow."""
    if found is None:
        return {"id": "F", "found": "nothing", "reason": "no trade and no update of the book in the window"}
    return {
        "id": "F",
        "book": found.book,
        "window_s": found.window_s,
        "whole_s": found.whole_s,
        "updates": found.updates,
        "resets": found.resets,
        "note": _NOTE,
        "quote": _quote(found.quote),
        "ofi1": _flow("F.ofi1", found.ofi1),
        "ofi5": _flow("F.ofi5", found.ofi5),
        "mlofi": _levels(found.mlofi),
        "ofi_v13": _flow("F.ofi_v13", found.ofi_v13),
        "cvd": _cvd(found.cvd),
        "fusion": _fusion(found.fusion),
        "divergence": _divergence(found.divergence),
        "vpin": _vpin(found.vpin),
        "kyle": _kyle(found.kyle),
        "explains": _explains(found.explains),
    }


def _because(reason: str | None, name: str = "reason") -> dict[str, str]:
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
    return {"id": name, "minute": flow.minute, "z": flow.z, **_because(flow.reason)}


def _levels(flows: LevelFlows) -> dict[str, Any]:
    minute = None if flows.minute is None else list(flows.minute)
    return {"id": "F.mlofi", "minute": minute, **_because(flows.reason)}


def _cvd(found: CvdFigure) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for span, mean in found.averages.items():
        figures[f"ema_{span}s"] = None if mean is None else mean.value
        figures[f"ema_slope_{span}s"] = None if mean is None else mean.slope
        figures[f"ema_side_{span}s"] = None if mean is None else mean.side
    return {
        "id": "F.cvd",
        "minute": found.minute,
        "window": found.window,
        "z": found.z,
        "level_z": found.level_z,
        **figures,
        "ema_cross": found.cross,
        **_because(found.averages_reason, "ema_reason"),
        **_because(found.reason),
    }


def _fusion(found: Fusion | NoFusion) -> dict[str, Any]:
    head = {"id": "F.fusion", "uses": found.uses}
    if isinstance(found, NoFusion):
        return {**head, "value": None, "label": None, "strong_seconds": None, "reason": found.reason}
    return {
        **head,
        "value": found.value,
        "consistency": found.consistency,
        "strong": found.strong,
        "label": found.label,
        "strong_seconds": found.strong_seconds,
        "strong_buy_seconds": found.strong_buy_seconds,
        "strong_sell_seconds": found.strong_sell_seconds,
        "strongest": [[iso(each.start_ns)[11:-1], each.value, each.consistency] for each in found.strongest],
    }


def _divergence(found: DivergenceFigure) -> dict[str, Any]:
    head = {"id": "F.divergence", "kind": found.kind, "strength": found.strength}
    if found.reason is not None:
        return {**head, "reason": found.reason}
    return {**head, "trend_bp": found.trend_bp, "trend_sigma": found.trend_sigma}


def _vpin(found: VpinFigure) -> dict[str, Any]:
    if found.reason is not None:
        return {"id": "F.vpin", "value": None, "reason": found.reason}
    return {"id": "F.vpin", "value": found.value, "buckets": found.buckets, "bucket": found.bucket}


def _kyle(found: KyleFigure) -> dict[str, Any]:
    if found.reason is not None:
        return {"id": "F.kyle", "quote_per_base": None, "reason": found.reason}
    return {"id": "F.kyle", "quote_per_base": found.quote_per_base, "r2": found.r2, "n": found.n}


def _explains(found: tuple[Explains, ...]) -> dict[str, Any]:
    result: dict[str, Any] = {"id": "F.explains", "columns": ["r2_same", "r2_next"]}
    for each in found:
        rows = {name: [row.r2_same, row.r2_next] for name, row in (each.flows or {}).items()}
        result[f"{each.interval_s}s"] = {"n": each.n, **rows, **_because(each.reason)}
    return result


def _fine_price(value_e8: float) -> str:
    """To 8 decimals from a price of 10,000 on, to one more for each power of ten below: it lies between two ticks."""
    finer = max(0, _WHOLE - len(str(int(value_e8))))
    return format_e8(round(value_e8 * 10**finer), DECIMALS + finer)
