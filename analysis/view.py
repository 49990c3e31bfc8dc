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
from analysis.evidence import Evidence
from analysis.render.evidence_json import render_evidence


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
        """The evidence as canonical JSON: what `render_view` shows and what an evidence digest is of."""
        return msgspec.json.encode([render_evidence(e) for e in self.evidence])
