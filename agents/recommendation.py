"""
A recommendation: price zones for resting orders, and the rules that each must meet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import nan
from typing import Any, Literal

import msgspec

from analysis.evidence import Evidence, format_price
from analysis.view import MarketView
from market.fixed_point import format_e8, parse_e8
from market.timestamps import MINUTE_NS, iso, parse_iso

Stance = Literal["two_sided", "bid_only", "ask_only", "stand_aside"]
Side = Literal["buy", "sell"]

VALID_FOR_NS = 60 * MINUTE_NS  # advice holds for an hour unless it says otherwise; scored over the same span


class Rung(msgspec.Struct, frozen=True):
    """One resting order of a zone: its price and its share of the total weight."""

    price_e8: int
    weight: float


class Zone(msgspec.Struct, frozen=True):
    """
    A price zone for resting orders on one side.

    Attributes:
        weight: share of the total; all zones' weights sum to 1.
        confidence: P(rejected before broken | touched while valid); NaN where none is stated (null as JSON).
        basis: what kinds of evidence it stands on; `evidence` are their ids.
        invalidation_e8: a trade beyond this price proves it wrong.
    """

    side: Side
    low_e8: int
    high_e8: int
    weight: float
    confidence: float
    basis: tuple[str, ...]
    evidence: tuple[str, ...]
    invalidation_e8: int
    ladder: tuple[Rung, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """
    The advice at one tick. Holds no wall time: the same tick and the same answer give the same advice.

    Attributes:
        fallback: why the rules' answer stands in for the analyst's, None where it does not.
    """

    symbol: str
    as_of_ns: int
    as_of_seq: int
    mid_e8: float | None
    reference_e8: int | None
    sigma: float | None
    stance: Stance
    reason: str
    zones: tuple[Zone, ...]
    analyst: str
    model: str | None
    prompt_digest: str | None
    evidence_digest: str
    warnings: tuple[str, ...]
    fallback: str | None = None
    valid_for_ns: int = VALID_FOR_NS

    def render(self) -> bytes:
        """Encode as canonical JSON, prices as decimal text."""
        return msgspec.json.encode(
            {
                "symbol": self.symbol,
                "as_of": iso(self.as_of_ns),
                "as_of_seq": self.as_of_seq,
                "mid": format_price(self.mid_e8),
                "reference": format_price(self.reference_e8),
                "sigma": self.sigma,
                "stance": self.stance,
                "reason": self.reason,
                "zones": [_zone_to_json(z) for z in self.zones],
                "valid_for_s": self.valid_for_ns // 10**9,
                "analyst": self.analyst,
                "model": self.model,
                "prompt_digest": self.prompt_digest,
                "evidence_digest": self.evidence_digest,
                "warnings": list(self.warnings),
                **({} if self.fallback is None else {"fallback": self.fallback}),
            }
        )


def parse(body: str | bytes) -> Advice:
    """Parse a rendered recommendation; `parse(a.render()) == a` except for a mid at half a tick."""
    fields: dict[str, Any] = msgspec.json.decode(body)
    return Advice(
        symbol=fields["symbol"],
        as_of_ns=parse_iso(fields["as_of"]),
        as_of_seq=fields["as_of_seq"],
        mid_e8=None if fields["mid"] is None else parse_e8(fields["mid"], decimals=9) / 10,
        reference_e8=None if fields["reference"] is None else parse_e8(fields["reference"]),
        sigma=fields["sigma"],
        stance=fields["stance"],
        reason=fields["reason"],
        zones=tuple(_zone_from_json(z) for z in fields["zones"]),
        analyst=fields["analyst"],
        model=fields["model"],
        prompt_digest=fields["prompt_digest"],
        evidence_digest=fields["evidence_digest"],
        warnings=tuple(fields["warnings"]),
        fallback=fields.get("fallback"),
        valid_for_ns=fields["valid_for_s"] * 10**9,
    )


def evidence_digest(view: MarketView) -> str:
    """The digest of the evidence an analyst was shown."""
    return blake2b(view.evidence_json, digest_size=8).hexdigest()


def violations(advice: Advice, view: MarketView) -> list[str]:
    """The rules of a recommendation that advice breaks, a sentence each; an empty list for sound advice."""
    errors = []
    sides = {z.side for z in advice.zones}
    expected: dict[frozenset[str], Stance] = {
        frozenset(): "stand_aside",
        frozenset({"buy"}): "bid_only",
        frozenset({"sell"}): "ask_only",
        frozenset({"buy", "sell"}): "two_sided",
    }
    if advice.stance != expected[frozenset(sides)]:
        errors.append(f"stance {advice.stance} with zones on {sorted(sides)}")
    if advice.stance == "stand_aside" and not advice.reason:
        errors.append("stands aside without a reason")
    if advice.zones and abs(sum(z.weight for z in advice.zones) - 1) > 1e-6:
        errors.append("weights do not sum to 1")
    evidence_by_id = {e.id: e for e in view.evidence}
    for zone in advice.zones:
        errors += _zone_violations(zone, view, evidence_by_id)
    return errors


def _zone_violations(zone: Zone, view: MarketView, evidence_by_id: Mapping[str, Evidence]) -> list[str]:
    citations = [evidence_by_id[i] for i in zone.evidence if i in evidence_by_id]
    resting = [zone.low_e8, zone.high_e8, *(r.price_e8 for r in zone.ladder)]
    reference = view.reference_e8
    checks = {
        "low is above high": zone.low_e8 > zone.high_e8,
        "a price is off the tick grid": any(p % view.tick_size_e8 for p in (*resting, zone.invalidation_e8)),
        "it cites evidence nobody gave": len(citations) < len(zone.evidence) or not citations,
        "a price is outside its evidence": any(not any(e.low_e8 <= p <= e.high_e8 for e in citations) for p in resting),
        "it is on the wrong side": reference is None
        or (zone.high_e8 >= reference if zone.side == "buy" else zone.low_e8 <= reference),
        "its weight is not in 0..1": not 0 < zone.weight <= 1,
        "its confidence is not in 0..1": not 0 <= zone.confidence <= 1,
        "its ladder is empty": not zone.ladder,
        "its ladder leaves the zone": any(not zone.low_e8 <= r.price_e8 <= zone.high_e8 for r in zone.ladder),
        "it is invalidated inside itself": (
            zone.invalidation_e8 >= zone.low_e8 if zone.side == "buy" else zone.invalidation_e8 <= zone.high_e8
        ),
    }
    messages = [message for message, is_violated in checks.items() if is_violated]
    name = f"{zone.side} {format_e8(zone.low_e8)}-{format_e8(zone.high_e8)}" if messages else ""
    return [f"{name}: {message}" for message in messages]


def _zone_to_json(zone: Zone) -> dict[str, Any]:
    return {
        "side": zone.side,
        "low": format_e8(zone.low_e8),
        "high": format_e8(zone.high_e8),
        "weight": zone.weight,
        "confidence": zone.confidence,
        "basis": list(zone.basis),
        "evidence": list(zone.evidence),
        "invalidation": format_e8(zone.invalidation_e8),
        "ladder": [{"price": format_e8(r.price_e8), "weight": r.weight} for r in zone.ladder],
    }


def _zone_from_json(fields: dict[str, Any]) -> Zone:
    return Zone(
        side=fields["side"],
        low_e8=parse_e8(fields["low"]),
        high_e8=parse_e8(fields["high"]),
        weight=fields["weight"],
        confidence=nan if fields["confidence"] is None else fields["confidence"],
        basis=tuple(fields["basis"]),
        evidence=tuple(fields["evidence"]),
        invalidation_e8=parse_e8(fields["invalidation"]),
        ladder=tuple(Rung(parse_e8(r["price"]), r["weight"]) for r in fields["ladder"]),
    )
