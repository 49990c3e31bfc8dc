"""
What an analyst is shown at a tick: the two tools' results, and the evidence that advice must stand on.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from market.fixed_point import format_e8
from market.timestamps import iso

Basis = Literal["wall", "poc", "hvn", "value_area"]
Leg = Literal["static", "acceptance"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    A price interval that matters, and why.

    Attributes:
        id: what a recommendation cites, unique within a tick.
        leg: static (the book shows it) or acceptance (trade went on there).
        low_e8, high_e8: the interval, both inclusive. price_e8: its heaviest price.
        strength: 0 to 1.
    """

    id: str
    basis: Basis
    leg: Leg
    low_e8: int
    high_e8: int
    price_e8: int
    strength: float


@dataclass(frozen=True, slots=True)
class MarketView:
    """
    Everything known at a tick.

    Attributes:
        reference_e8: the price advice is measured from: the last trade's. None before the first.
        mid_e8: middle of the newest book, None without one. sigma: see `volatility.sigma`.
        depth, order_flow: the results of the two tools, ready for JSON.
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
    depth: dict[str, Any]
    order_flow: dict[str, Any]
    warnings: tuple[str, ...]

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
                "reference": price(self.reference_e8),
                "mid": price(self.mid_e8),
                "sigma": self.sigma,
                "tick_size": price(self.tick_size_e8),
                "parameters": self.parameters_digest,
                "state": self.state,
                "depth_snapshot_analytsis": self.depth,
                "orderflow_analysys": self.order_flow,
                "evidence": [rendered(e) for e in self.evidence],
                "warnings": list(self.warnings),
            }
        )


def price(value_e8: float | None) -> str | None:
    """A price as plain decimal text; a half tick is kept."""
    if value_e8 is None:
        return None
    whole = int(value_e8)
    return format_e8(whole) if whole == value_e8 else format_e8(int(value_e8 * 10), 9)


def rendered(evidence: Evidence) -> dict[str, Any]:
    """One piece of evidence for JSON."""
    return {
        "id": evidence.id,
        "basis": evidence.basis,
        "leg": evidence.leg,
        "low": format_e8(evidence.low_e8),
        "high": format_e8(evidence.high_e8),
        "price": format_e8(evidence.price_e8),
        "strength": evidence.strength,
    }
