"""
The deterministic analyst: the strongest resonance zones on each side, as ladders, weighted by strength.
"""

from collections.abc import Sequence
from dataclasses import replace

from agents.recommendation import Advice, Rung, Side, Stance, Zone, evidence_digest
from analysis.fitted import confidence_features
from analysis.parameters import Parameters
from analysis.resonance import Resonance
from analysis.view import MarketView

UNCALIBRATED = "confidence is the rate of random levels: nothing is calibrated yet"


_SIDES: tuple[Side, Side] = ("buy", "sell")


class RulesAnalyst:
    """
    Advises the best few zones a side within reach: buys below the reference, sells above.
    """

    name = "rules"

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def decide(self, view: MarketView) -> Advice:
        """See `Analyst.decide`."""
        if view.reference_e8 is None or view.sigma is None:
            return self._advice(view, [], "too little trade on record to measure a distance")
        scored = [found for side in _SIDES for found in self._best(view, side, view.reference_e8, view.sigma)]
        if not scored:
            return self._advice(view, [], "no evidence within reach of the price")
        return self._advice(view, _weighted(scored), "")

    def _best(self, view: MarketView, side: Side, reference: int, sigma: float) -> list[tuple[float, Zone]]:
        """The strongest zones of a side; of equal ones the nearer."""
        mine = [z for z in view.zones if (z.price_e8 < reference) == (side == "buy") and z.price_e8 != reference]
        made = [(z.strength, self._zone(side, z, view, reference, sigma)) for z in mine]
        found = [(strength, zone) for strength, zone in made if zone is not None]
        found.sort(key=lambda item: (-item[0], abs(item[1].low_e8 - reference), item[1].low_e8))
        return found[: self._parameters.zones_a_side]

    def _zone(self, side: Side, found: Resonance, view: MarketView, reference: int, sigma: float) -> Zone | None:
        """A zone on the grid and on its side of the price; None where nothing is left of it."""
        tick = view.tick_size_e8
        low, high = -(-found.low_e8 // tick) * tick, found.high_e8 // tick * tick
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
        away_sigma = (found.price_e8 - reference) / (reference * sigma)
        features = confidence_features(found.score, len(found.legs), away_sigma)
        return Zone(
            side=side,
            low_e8=low,
            high_e8=high,
            weight=0.0,
            confidence=self._parameters.confidence.probability(features),
            basis=tuple(sorted({e.basis for e in found.evidence})),
            evidence=tuple(e.id for e in found.evidence),
            invalidation_e8=invalidation,
            ladder=ladder(side, low, high, found.price_e8, tick, self._parameters),
        )

    def _advice(self, view: MarketView, zones: list[Zone], reason: str) -> Advice:
        sides = {z.side for z in zones}
        stance: Stance = (
            "two_sided" if len(sides) == 2 else "bid_only" if "buy" in sides else "ask_only" if sides else "stand_aside"
        )
        warnings = view.warnings
        if zones:
            fit = self._parameters.confidence
            warnings += (f"confidence fitted on {fit.fit}" if fit.samples else UNCALIBRATED,)
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


def ladder(
    side: Side, low_e8: int, high_e8: int, heavy_e8: int, tick_e8: int, parameters: Parameters
) -> tuple[Rung, ...]:
    """
    Prices of a zone's orders, the one beside the heaviest price first, all on the grid and inside the zone.

    `front` starts one tick nearer to the market than the heaviest price and goes on towards the market; `behind`
    starts one tick beyond it and goes on away from the market.
    """
    towards = 1 if (side == "buy") == (parameters.ladder_policy == "front") else -1
    start = heavy_e8 // tick_e8 * tick_e8 + tick_e8 if towards > 0 else -(-heavy_e8 // tick_e8) * tick_e8 - tick_e8
    start = min(max(start, low_e8), high_e8)
    edge = high_e8 if towards > 0 else low_e8
    steps = max(1, parameters.ladder_prices - 1)
    ways = [abs(edge - start) * i // steps // tick_e8 * tick_e8 for i in range(parameters.ladder_prices)]
    prices = dict.fromkeys(start + towards * way for way in ways)
    return tuple(Rung(p, 0.0) for p in prices)


def _weighted(scored: Sequence[tuple[float, Zone]]) -> list[Zone]:
    """Weights in proportion to strength, in whole ten-thousandths that sum to exactly one."""
    strengths = [max(score, 1e-6) for score, _ in scored]  # zones without any still weigh the same as each other
    parts = [max(1, int(10_000 * strength / sum(strengths))) for strength in strengths]
    parts[parts.index(max(parts))] += 10_000 - sum(parts)
    return [_with_weight(zone, part) for (_, zone), part in zip(scored, parts, strict=True)]


def _with_weight(zone: Zone, part: int) -> Zone:
    share = round(part / 10_000 / len(zone.ladder), 6)
    return replace(zone, weight=part / 10_000, ladder=tuple(Rung(r.price_e8, share) for r in zone.ladder))
