"""
The zones of advice at levels of one kind alone: at points of control, or at walls, the nearest to the price first.
"""

from agents.recommendation import Zone
from analysis.evidence import Basis
from replay.baselines.moving import distance, shift, with_zones
from replay.scoring.episodes import Publication, overlaps


def stand_at(publication: Publication, basis: Basis, tick_size_e8: int) -> Publication:
    """
    Move each zone, with its rungs, to the nearest level of a kind on its side that no zone of that side has taken.

    Args:
        publication: with the levels of its tick.
        basis: the kind of level.
        tick_size_e8: zones are moved by a multiple of it, 1e-8 quote.

    Returns:
        The publication; a zone for which no level is left is left out.
    """
    levels = [price for kind, price in publication.levels if kind == basis]
    reference = publication.advice.reference_e8
    if reference is None:
        return with_zones(publication, [])
    nearest = sorted(set(levels), key=lambda price: (abs(price - reference), price))
    placed: list[Zone] = []
    for zone in sorted(publication.advice.zones, key=lambda z: distance(z, reference)):
        middle = (zone.low_e8 + zone.high_e8) // 2
        moved = (shift(zone, round((price - middle) / tick_size_e8) * tick_size_e8, reference) for price in nearest)
        free = (z for z in moved if z is not None and not any(overlaps(z, other) for other in placed))
        if (own := next(free, None)) is not None:
            placed.append(own)
    return with_zones(publication, placed)
