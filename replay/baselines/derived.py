"""
Advice that follows from other advice without looking at the market: the same orders where no reason puts them.
"""

from collections import deque

import msgspec

from agents.recommendation import Rung, Side, Zone
from market.timestamps import HOUR_NS
from replay.baselines.moving import distance, scale, with_zones
from replay.scoring.episodes import Publication


def mirror(publication: Publication) -> Publication:
    """Each zone at its distance on the other side of the price, rungs and weights with it."""
    reference = publication.advice.reference_e8
    return with_zones(publication, [_reflect(zone, reference) for zone in publication.advice.zones])


def alternate(publication: Publication) -> Publication:
    """The zones by distance from the price, the nearest to buy, the next to sell, and so on: a symmetric ladder."""
    reference = publication.advice.reference_e8
    zones = sorted(publication.advice.zones, key=lambda z: distance(z, reference))
    sides: list[Side] = ["buy", "sell"]
    placed = (z if z.side == sides[n % 2] else _reflect(z, reference) for n, z in enumerate(zones))
    return with_zones(publication, list(placed))


class Delay:
    """The zones of an hour ago, those that price has passed since left out; none in the first hour."""

    def __init__(self) -> None:
        self._past: deque[Publication] = deque()
        self._old: Publication | None = None

    def __call__(self, publication: Publication) -> Publication:
        self._past.append(publication)
        while self._past[0].published_ns <= publication.published_ns - HOUR_NS:
            self._old = self._past.popleft()
        before = self._old.advice.zones if self._old is not None else ()
        reference = publication.advice.reference_e8
        zones = [z for z in before if reference is not None and distance(z, reference) > 0]
        total = sum(z.weight for z in zones)
        return with_zones(publication, [scale(z, 1 / total) for z in zones])


def _reflect(zone: Zone, reference_e8: int | None) -> Zone | None:
    """
    The zone on the other side of the price; None where there is no price, where it is in the zone already (a new idea
    would be born inside it), or where no price above 0 is left to stand at.
    """
    if reference_e8 is None or 2 * reference_e8 <= zone.high_e8 or distance(zone, reference_e8) <= 0:
        return None
    rungs = tuple(Rung(2 * reference_e8 - rung.price_e8, rung.weight) for rung in zone.ladder)
    return msgspec.structs.replace(
        zone,
        side="sell" if zone.side == "buy" else "buy",
        low_e8=2 * reference_e8 - zone.high_e8,
        high_e8=2 * reference_e8 - zone.low_e8,
        invalidation_e8=2 * reference_e8 - zone.invalidation_e8,
        ladder=rungs,
    )
