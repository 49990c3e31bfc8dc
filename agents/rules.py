"""
The deterministic analyst: zones where walls and accepted prices overlap, weighted by strength.
"""

from collections.abc import Sequence

from agents.recommendation import Advice, Rung, Side, Stance, Zone, evidence_digest
from analysis.parameters import Parameters
from analysis.view import Evidence, MarketView

UNCALIBRATED = "confidence is the rate of random levels: nothing is calibrated yet"


_SIDES: tuple[Side, Side] = ("buy", "sell")


class RulesAnalyst:
    """
    Zones from overlapping evidence.

    A zone's score is the geometric mean of its strongest static and its strongest acceptance evidence; a missing leg
    halves it. The best few a side within reach are advised.
    """

    name = "rules"

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def decide(self, view: MarketView) -> Advice:
        """See `Analyst.decide`."""
        if view.reference_e8 is None or view.sigma is None:
            return self._advice(view, [], "too little trade on record to measure a distance")
        scored = [
            (score, zone) for side in _SIDES for score, zone in self._best(view, side, view.reference_e8, view.sigma)
        ]
        if not scored:
            return self._advice(view, [], "no evidence within reach of the price")
        return self._advice(view, _weighted(scored), "")

    def _best(self, view: MarketView, side: Side, reference: int, sigma: float) -> list[tuple[float, Zone]]:
        reach = int(reference * sigma * self._parameters.zone_reach_sigma)
        clusters = _clusters(_on_side(view, side, reference, reach))
        scored = [(_score(c), self._zone(side, c, view, reference, sigma)) for c in clusters]
        found = [(score, zone) for score, zone in scored if zone is not None]
        found.sort(key=lambda item: (-item[0], abs(item[1].low_e8 - reference), item[1].low_e8))
        return found[: self._parameters.zones_a_side]

    def _zone(
        self, side: Side, cluster: Sequence[Evidence], view: MarketView, reference: int, sigma: float
    ) -> Zone | None:
        """The zone of overlapping evidence, on the grid and on its side of the price; None where nothing is left."""
        tick = view.tick_size_e8
        lead = max(cluster, key=lambda e: (e.strength, e.leg == "static", -e.price_e8))
        half = int(lead.price_e8 * self._parameters.zone_half_width_bp / 1e4)
        low = max(lead.low_e8, lead.price_e8 - half)
        high = min(lead.high_e8, lead.price_e8 + half)
        low, high = -(-low // tick) * tick, high // tick * tick
        if side == "buy":
            high = min(high, (reference - 1) // tick * tick)
        else:
            low = max(low, reference // tick * tick + tick)
        if low > high:
            return None
        beyond = int(reference * sigma * self._parameters.beyond_sigma)
        if side == "buy":
            invalidation = min((low - beyond) // tick * tick, low - tick)
        else:
            invalidation = max(-(-(high + beyond) // tick) * tick, high + tick)
        if invalidation <= 0:
            return None  # nothing trades there, so nothing could prove it wrong
        return Zone(
            side=side,
            low_e8=low,
            high_e8=high,
            weight=0.0,
            confidence=self._parameters.uncalibrated_confidence,
            basis=tuple(sorted({e.basis for e in cluster})),
            evidence=tuple(sorted(e.id for e in cluster)),
            invalidation_e8=invalidation,
            ladder=_ladder(side, low, high, lead.price_e8, tick, self._parameters.ladder_prices),
        )

    def _advice(self, view: MarketView, zones: list[Zone], reason: str) -> Advice:
        sides = {z.side for z in zones}
        stance: Stance = (
            "two_sided" if len(sides) == 2 else "bid_only" if "buy" in sides else "ask_only" if sides else "stand_aside"
        )
        warnings = (*view.warnings, UNCALIBRATED) if zones else view.warnings
        return Advice(
            symbol=view.symbol,
            as_of_ns=view.as_of_ns,
            as_of_seq=view.as_of_seq,
            mid_e8=view.mid_e8,
            reference_e8=view.reference_e8,
            sigma=view.sigma,
            stance=stance,
            reason=reason,
            zones=tuple(zones),
            analyst=self.name,
            model=None,
            prompt_digest=None,
            evidence_digest=evidence_digest(view),
            warnings=warnings,
        )


def _on_side(view: MarketView, side: Side, reference: int, reach: int) -> list[Evidence]:
    """The evidence whose heaviest price lies on a side of the reference and within reach, lowest first."""
    if side == "buy":
        found = [e for e in view.evidence if reference - reach <= e.price_e8 < reference]
    else:
        found = [e for e in view.evidence if reference < e.price_e8 <= reference + reach]
    return sorted(found, key=lambda e: (e.low_e8, e.high_e8, e.id))


def _clusters(evidence: Sequence[Evidence]) -> list[list[Evidence]]:
    """Evidence gathered around its strongest pieces: each takes what overlaps its heaviest price."""
    left = sorted(evidence, key=lambda e: (-e.strength, e.leg != "static", e.price_e8, e.id))
    clusters = []
    while left:
        lead = left[0]
        cluster = [e for e in left if e.low_e8 <= lead.price_e8 <= e.high_e8]
        if lead not in cluster:
            cluster.insert(0, lead)
        clusters.append(cluster)
        left = [e for e in left if e not in cluster]
    return clusters


def _score(cluster: Sequence[Evidence]) -> float:
    legs = {leg: max((e.strength for e in cluster if e.leg == leg), default=0.0) for leg in ("static", "acceptance")}
    if min(legs.values()) > 0:
        return round((legs["static"] * legs["acceptance"]) ** 0.5, 6)
    return round(max(legs.values()) / 2, 6)


def _ladder(side: Side, low: int, high: int, heavy: int, tick: int, count: int) -> tuple[Rung, ...]:
    """Prices from one tick in front of the heaviest price to the zone's far edge, evenly, all on the grid."""
    front = heavy // tick * tick + tick if side == "buy" else -(-heavy // tick) * tick - tick
    front = min(max(front, low), high)
    far = low if side == "buy" else high
    steps = max(1, count - 1)
    prices = dict.fromkeys(front + (far - front) * i // steps // tick * tick for i in range(count))
    return tuple(Rung(min(max(p, low), high), 0.0) for p in prices)


def _weighted(scored: Sequence[tuple[float, Zone]]) -> list[Zone]:
    """Weights in proportion to strength, in whole ten-thousandths that sum to exactly one."""
    total = sum(score for score, _ in scored) or 1.0
    parts = [max(1, int(10_000 * score / total)) for score, _ in scored]
    parts[parts.index(max(parts))] += 10_000 - sum(parts)
    return [_with_weight(zone, part) for (_, zone), part in zip(scored, parts, strict=True)]


def _with_weight(zone: Zone, part: int) -> Zone:
    share = round(part / 10_000 / len(zone.ladder), 6)
    ladder = tuple(Rung(r.price_e8, share) for r in zone.ladder)
    return Zone(
        zone.side, zone.low_e8, zone.high_e8, part / 10_000, zone.confidence, zone.basis, zone.evidence,
        zone.invalidation_e8, ladder,
    )  # fmt: skip
