"""
Moving the zones of advice as wholes: what every baseline does with them, so that it has as many orders, as far apart.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from agents.recommendation import Rung, Zone
from agents.zones import stance_of
from replay.scoring.episodes import Publication


def with_zones(publication: Publication, zones: Sequence[Zone | None]) -> Publication:
    """The publication with other zones; what is None is left out."""
    usable = tuple(zone for zone in zones if zone is not None)
    return replace(publication, advice=replace(publication.advice, zones=usable, stance=stance_of(usable)))


def distance(zone: Zone, reference_e8: int | None) -> int:
    """From the price to the near edge, 1e-8 quote; below 0 where price is beyond it."""
    reference = reference_e8 or 0
    return reference - zone.high_e8 if zone.side == "buy" else zone.low_e8 - reference


def shift(zone: Zone, by_e8: int, reference_e8: int) -> Zone | None:
    """
    The zone at another distance on its side of the price.

    Args:
        zone: with its rungs.
        by_e8: what is added to each of its prices, 1e-8 quote.
        reference_e8: the price.

    Returns:
        The moved zone; None where it would not lie on its side, or reach to 0.
    """
    rungs = tuple(Rung(rung.price_e8 + by_e8, rung.weight) for rung in zone.ladder)
    low, high, invalidation = zone.low_e8 + by_e8, zone.high_e8 + by_e8, zone.invalidation_e8 + by_e8
    moved = msgspec.structs.replace(zone, low_e8=low, high_e8=high, invalidation_e8=invalidation, ladder=rungs)
    lowest = min([low, invalidation, *(rung.price_e8 for rung in rungs)])
    return moved if distance(moved, reference_e8) > 0 and lowest > 0 else None


def scale(zone: Zone, factor: float) -> Zone:
    """The zone with its weight and those of its rungs times a factor."""
    rungs = tuple(Rung(rung.price_e8, rung.weight * factor) for rung in zone.ladder)
    return msgspec.structs.replace(zone, weight=zone.weight * factor, ladder=rungs)
