"""
The JSON of an analysis: what the decision log keeps, and `verify` compares.
"""

from typing import Any

import msgspec

from analysis.confluence import Confluence
from analysis.evidence import format_price
from analysis.view import MarketView
from market.fixed_point import format_e8
from market.timestamps import iso


def render_view(view: MarketView) -> bytes:
    """The analysis as canonical JSON."""
    return msgspec.json.encode(
        {
            "symbol": view.symbol,
            "as_of": iso(view.as_of_ns),
            "as_of_seq": view.as_of_seq,
            "interval_s": view.interval_ns / 1e9,
            "trades": view.trades,
            "depth": view.depth_state,
            "reference": format_price(view.reference_e8),
            "mid": format_price(view.mid_e8),
            "sigma": view.sigma,
            "tick_size": format_price(view.tick_size_e8),
            "parameters": view.parameters_digest,
            "state": view.state,
            "depth_snapshot_analytsis": view.depth,
            "orderflow_analysys": view.order_flow,
            "resonance": [_zone(zone) for zone in view.zones],
            "evidence": msgspec.Raw(view.evidence_json),
            "warnings": list(view.warnings),
        }
    )


def _zone(zone: Confluence) -> dict[str, Any]:
    return {
        "id": zone.id,
        "low": format_e8(zone.low_e8),
        "high": format_e8(zone.high_e8),
        "price": format_e8(zone.price_e8),
        "legs": dict(zone.legs),
        "missing": list(zone.missing),
        "triple": zone.triple,
        "score": zone.score,
        "strength": zone.strength,
        "evidence": [e.id for e in zone.evidence],
    }
