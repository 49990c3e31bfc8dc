"""Zones at levels of one kind: as many orders, as far apart, nearest first."""

from dataclasses import replace

import pytest

from agents.recommendation import Rung
from replay.baselines.levels import stand_at
from replay.scoring.episodes import Publication
from tests.market_builders import a_zone, e8, published

TICK = e8("0.1")
BUY = a_zone("buy", "98.8", 99, weight=0.5, ladder=(Rung(e8(99), 0.3), Rung(e8("98.8"), 0.2)))
FAR = a_zone("buy", 97, "97.2", weight=0.25, ladder=(Rung(e8("97.2"), 0.25),))
SELL = a_zone("sell", 102, "102.2", weight=0.25, ladder=(Rung(e8(102), 0.25),))


def with_levels(publication: Publication, *levels: tuple[str, str]) -> Publication:
    return replace(publication, levels=tuple((kind, e8(price)) for kind, price in levels))


def test_each_zone_takes_the_nearest_level_of_its_side() -> None:
    """The middle of a zone is on a level, its rungs as far apart as before; what is left over is left out."""
    asked = with_levels(
        published(FAR, SELL, BUY), ("poc", "99.5"), ("poc", "95"), ("wall", "98"), ("poc", "101"), ("poc", "103")
    )
    at_pocs = stand_at(asked, "poc", TICK)
    zones = [(z.side, z.low_e8, z.high_e8, z.weight) for z in at_pocs.advice.zones]
    assert zones == [
        ("buy", e8("99.4"), e8("99.6"), 0.5),
        ("sell", e8("100.9"), e8("101.1"), 0.25),
        ("buy", e8("94.9"), e8("95.1"), 0.25),
    ]
    assert [r.price_e8 for r in at_pocs.advice.zones[0].ladder] == [e8("99.6"), e8("99.4")]
    at_walls = stand_at(asked, "wall", TICK)
    assert [(z.side, z.low_e8) for z in at_walls.advice.zones] == [("buy", e8("97.9"))]
    assert at_walls.advice.stance == "bid_only"


def test_zones_share_no_price() -> None:
    """Two levels that are closer than a zone is wide are one place."""
    asked = with_levels(published(BUY, FAR), ("poc", "99"), ("poc", "98.9"), ("poc", "98"))
    at_pocs = stand_at(asked, "poc", TICK)
    assert [z.low_e8 for z in at_pocs.advice.zones] == [e8("98.9"), e8("97.9")]


@pytest.mark.parametrize("publication", [published(BUY), published(BUY, reference_e8=None)])
def test_without_levels_or_price_nothing_is_advised(publication: Publication) -> None:
    """No POC was found, or no price says which side is which."""
    assert stand_at(publication, "poc", TICK).advice.zones == ()
    assert stand_at(publication, "poc", TICK).advice.stance == "stand_aside"


def test_a_level_at_the_price_is_no_place() -> None:
    """A zone around the price would trade at once."""
    asked = with_levels(published(BUY), ("poc", "100"))
    assert stand_at(asked, "poc", TICK).advice.zones == ()
