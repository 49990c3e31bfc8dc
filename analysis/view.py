"""
The view of a market at a tick: the two tools' results, and the evidence that a recommendation must cite.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from analysis.book.book_side import Side
from analysis.confluence import Confluence
from analysis.evidence import Evidence, format_price, render_evidence
from market.fixed_point import format_e8
from market.timestamps import iso


@dataclass(frozen=True)
class MarketView:
    """
    Everything that an analyst gets at a tick.

    Attributes:
        reference_e8: the price that advice is measured from: the last trade's. None before the first.
        mid_e8: middle of the newest book, None without one. sigma: see `volatility.compute_sigma`.
        evidence: the findings, piece by piece. zones: where they meet, strongest first.
        reach_bp: by side, how far from the mid the newest book reaches; empty without one.
        depth, order_flow: the results of the two tools, ready for JSON; figures are read where they are typed.
        state: digest of each projection.
    """

    symbol: str
    as_of_ns: int
    as_of_seq: int
    interval_ns: int
    trades: str
    depth_state: str
    reference_e8: int | None
    mid_e8: float | None
    sigma: float | None
    tick_size_e8: int
    parameters_digest: str
    state: dict[str, str]
    evidence: tuple[Evidence, ...]
    zones: tuple[Confluence, ...]
    reach_bp: Mapping[Side, float]
    depth: dict[str, Any]
    order_flow: dict[str, Any]
    warnings: tuple[str, ...]

    @cached_property
    def evidence_json(self) -> bytes:
        """The evidence as canonical JSON: what `render` shows and what an evidence digest is of."""
        return msgspec.json.encode([render_evidence(e) for e in self.evidence])

    def render(self) -> bytes:
        """The analysis as canonical JSON: what the decision log keeps and `verify` compares."""
        return msgspec.json.encode(
            {
                "symbol": self.symbol,
                "as_of": iso(self.as_of_ns),
                "as_of_seq": self.as_of_seq,
                "interval_s": self.interval_ns / 1e9,
                "trades": self.trades,
                "depth": self.depth_state,
                "reference": format_price(self.reference_e8),
                "mid": format_price(self.mid_e8),
                "sigma": self.sigma,
                "tick_size": format_price(self.tick_size_e8),
                "parameters": self.parameters_digest,
                "state": self.state,
                "depth_snapshot_analytsis": self.depth,
                "orderflow_analysys": self.order_flow,
                "resonance": [_zone(z) for z in self.zones],
                "evidence": msgspec.Raw(self.evidence_json),
                "warnings": list(self.warnings),
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
