"""
Build a complete zone from an interval and its support: the same for every analyst.
"""

from collections.abc import Sequence
from math import ceil

import msgspec

from agents.recommendation import Rung, Side, Stance, Zone
from analysis.confluence import Confluence
from analysis.evidence import Evidence
from analysis.fitted import Logistic, confidence_features
from analysis.parameters import Parameters

UNMEASURED = "too little trade on record to measure a distance"
NOTHING_NEAR = "no evidence within reach of the price"
_FIELD = "confidence"
UNCALIBRATED = "confidence is the rate of random levels: nothing is calibrated yet"


class Scale(msgspec.Struct, frozen=True):
    """
    What a zone is measured with.

    Attributes:
        reference_e8: the reference price, 1e-8 quote. tick_e8: the tick size, 1e-8 quote.
        sigma: the unit of distance, a fraction of the reference price.
    """

    reference_e8: int
    sigma: float
    tick_e8: int


class ZoneSupport(msgspec.Struct, frozen=True):
    """
    The evidence that supports a zone.

    Attributes:
        price_e8: the heaviest price. score, legs: as of a confluence zone; they give the confidence.
        evidence: what the zone will cite.
    """

    price_e8: int
    score: float
    legs: int
    evidence: tuple[Evidence, ...]

    @classmethod
    def of(cls, zone: Confluence) -> "ZoneSupport":
        """All the support of a confluence zone."""
        return cls(zone.price_e8, zone.score, len(zone.legs), zone.evidence)


def build_zone(
    side: Side, low_e8: int, high_e8: int, support: ZoneSupport, scale: Scale, parameters: Parameters
) -> Zone | None:
    """
    Build a zone without weight from an interval on the tick grid.

    Args:
        side: buy or sell.
        low_e8, high_e8: the interval's first and last price, 1e-8 quote, on the grid, low at most high.
        support: the evidence of the zone; gives its confidence and the heaviest price of its ladder.
        scale: the reference price, the unit of distance and the tick size.
        parameters: invalidation distance, ladder policy and fitted confidence.

    Returns:
        The zone with weight 0; None where the invalidation price would not be above zero.
    """
    tick = scale.tick_e8
    beyond = ceil(scale.reference_e8 * scale.sigma * parameters.beyond_sigma)
    if side == "buy":
        invalidation = min((low_e8 - beyond) // tick * tick, low_e8 - tick)
    else:
        invalidation = max(-(-(high_e8 + beyond) // tick) * tick, high_e8 + tick)
    if invalidation <= 0:
        return None  # nothing trades there
    away_sigma = (support.price_e8 - scale.reference_e8) / (scale.reference_e8 * scale.sigma)
    features = confidence_features(support.score, support.legs, away_sigma)
    return Zone(
        side=side,
        low_e8=low_e8,
        high_e8=high_e8,
        weight=0.0,
        confidence=parameters.confidence.probability(features),
        basis=tuple(sorted({e.basis for e in support.evidence})),
        evidence=tuple(e.id for e in support.evidence),
        invalidation_e8=invalidation,
        ladder=ladder(side, low_e8, high_e8, support.price_e8, tick, parameters),
    )


def shrink_to_grid(low_e8: int, high_e8: int, tick_e8: int) -> tuple[int, int]:
    """
    The first and the last price on the tick grid inside an interval.

    Args:
        low_e8, high_e8: the interval's ends, included, 1e-8 quote.
        tick_e8: the tick size, above zero, 1e-8 quote.

    Returns:
        Two prices, 1e-8 quote; the first is above the second where no grid price lies inside.

    Example:
        >>> shrink_to_grid(101, 119, 5)
        (105, 115)
    """
    return -(-low_e8 // tick_e8) * tick_e8, high_e8 // tick_e8 * tick_e8


def ladder(
    side: Side, low_e8: int, high_e8: int, heavy_e8: int, tick_e8: int, parameters: Parameters
) -> tuple[Rung, ...]:
    """
    The prices of a zone's orders, the one next to the heaviest price first, all on the grid and inside the zone.

    `front` starts one tick nearer to the market than the heaviest price and goes on towards the market; `behind`
    starts one tick beyond it and goes on away from the market.

    Args:
        side: buy or sell.
        low_e8, high_e8: the zone's first and last price, 1e-8 quote, on the grid.
        heavy_e8: the heaviest price, 1e-8 quote; need not be on the grid.
        tick_e8: the tick size, above zero, 1e-8 quote.
        parameters: `ladder_policy` (front or behind) and `ladder_prices`, the most prices.

    Returns:
        At least one rung, each price once, weights 0.
    """
    towards = 1 if (side == "buy") == (parameters.ladder_policy == "front") else -1
    start = heavy_e8 // tick_e8 * tick_e8 + tick_e8 if towards > 0 else -(-heavy_e8 // tick_e8) * tick_e8 - tick_e8
    start = min(max(start, low_e8), high_e8)
    edge = high_e8 if towards > 0 else low_e8
    steps = max(1, parameters.ladder_prices - 1)
    offsets = [abs(edge - start) * i // steps // tick_e8 * tick_e8 for i in range(parameters.ladder_prices)]
    prices = dict.fromkeys(start + towards * offset for offset in offsets)
    return tuple(Rung(p, 0.0) for p in prices)


def assign_weights(pairs: Sequence[tuple[float, Zone]]) -> list[Zone]:
    """Weight (strength, zone) pairs in proportion to strength, in whole ten-thousandths that sum to exactly one."""
    strengths = [max(score, 1e-6) for score, _ in pairs]  # zones without any still weigh the same as each other
    parts = [max(1, int(10_000 * strength / sum(strengths))) for strength in strengths]
    parts[parts.index(max(parts))] += 10_000 - sum(parts)
    return [_with_weight(zone, part) for (_, zone), part in zip(pairs, parts, strict=True)]


def stance_of(zones: Sequence[Zone]) -> Stance:
    """The stance that follows from the sides of some zones."""
    sides = {z.side for z in zones}
    return "two_sided" if len(sides) == 2 else "bid_only" if "buy" in sides else "ask_only" if sides else "stand_aside"


def confidence_warning(confidence: Logistic) -> str:
    """The warning under advice with zones: what their `confidence` was fitted on. It is on record with the advice."""
    return f"{_FIELD} fitted on {confidence.fit}" if confidence.samples else UNCALIBRATED


def shown_warning(warning: str, confidence: Logistic) -> str:
    """
    A warning as people are shown it: the field `confidence` by the name that its fit has earned.

    Args:
        warning: of advice.
        confidence: the fit that the advice was given under.
    """
    return confidence.word + warning.removeprefix(_FIELD) if warning.startswith(f"{_FIELD} ") else warning


def _with_weight(zone: Zone, part: int) -> Zone:
    share = round(part / 10_000 / len(zone.ladder), 6)
    return msgspec.structs.replace(
        zone, weight=part / 10_000, ladder=tuple(Rung(r.price_e8, share) for r in zone.ladder)
    )
