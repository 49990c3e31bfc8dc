"""
The deterministic analyst: the strongest confluence zones on each side, as ladders, weighted by strength.
"""

from collections.abc import Sequence
from itertools import islice

from agents.recommendation import Advice, Side, Zone, evidence_digest
from agents.zones import (
    NOTHING_NEAR,
    UNMEASURED,
    Scale,
    ZoneSupport,
    assign_weights,
    build_zone,
    confidence_warning,
    shrink_to_grid,
    stance_of,
)
from analysis.confluence import Confluence
from analysis.parameters import Parameters
from analysis.view import MarketView

_SIDES: tuple[Side, Side] = ("buy", "sell")


class RulesAnalyst:
    """
    Advises the strongest zones of each side within reach: buys below the reference price, sells above it.
    """

    name = "rules"

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def decide(self, view: MarketView) -> Advice:
        """See `Analyst.decide`."""
        if view.reference_e8 is None or view.sigma is None:
            return self._advice(view, [], UNMEASURED)
        scale = Scale(view.reference_e8, view.sigma, view.tick_size_e8)
        pairs = [pair for side in _SIDES for pair in self._best(view, side, scale)]
        if not pairs:
            return self._advice(view, [], NOTHING_NEAR)
        return self._advice(view, assign_weights(pairs), "")

    def warnings(self, view: MarketView, zones: Sequence[Zone]) -> tuple[str, ...]:
        """The warnings under advice of these zones: those of the view, and what their confidence was fitted on."""
        return (*view.warnings, confidence_warning(self._parameters.confidence)) if zones else view.warnings

    def _best(self, view: MarketView, side: Side, scale: Scale) -> list[tuple[float, Zone]]:
        """The strongest zones of a side; of equal ones the nearer."""
        reference = scale.reference_e8
        mine = [z for z in view.zones if (z.price_e8 < reference) == (side == "buy") and z.price_e8 != reference]
        intervals = [(z, *_interval(side, z, scale)) for z in mine]
        intervals.sort(key=lambda item: (-item[0].strength, abs(item[1] - reference), item[1]))
        zones = (
            (z.strength, build_zone(side, low, high, ZoneSupport.of(z), scale, self._parameters))
            for z, low, high in intervals
            if low <= high
        )
        complete = ((strength, zone) for strength, zone in zones if zone is not None)
        return list(islice(complete, self._parameters.zones_a_side))

    def _advice(self, view: MarketView, zones: list[Zone], reason: str) -> Advice:
        return Advice(
            symbol=view.symbol,
            as_of_ns=view.as_of_ns,
            as_of_seq=view.as_of_seq,
            mid_e8=view.mid_e8,
            reference_e8=view.reference_e8,
            sigma=view.sigma,
            stance=stance_of(zones),
            reason=reason,
            zones=tuple(zones),
            analyst=self.name,
            model=None,
            prompt_digest=None,
            evidence_digest=evidence_digest(view),
            warnings=self.warnings(view, zones),
        )


def _interval(side: Side, zone: Confluence, scale: Scale) -> tuple[int, int]:
    """The part of a zone on the tick grid and on its side of the price; low is above high where none remains."""
    tick, reference = scale.tick_e8, scale.reference_e8
    low, high = shrink_to_grid(zone.low_e8, zone.high_e8, tick)
    if side == "buy":
        return low, min(high, (reference - 1) // tick * tick)
    return max(low, reference // tick * tick + tick), high
