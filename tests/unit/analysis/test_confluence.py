"""Zones where findings meet: geometric mean over the legs there are, the missing named, triple where all three meet."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from analysis.confluence import build_confluences, cluster_evidence, validation_strength
from analysis.evidence import LEGS, Evidence
from analysis.parameters import Parameters
from analysis.trades.level_tests import LevelRecord
from market.fixed_point import ONE_E8
from tests.market_builders import a_piece, e8, meeting

RULES = Parameters()
REACH = 10 * ONE_E8


def some_tests(price: Any, strength: float) -> Evidence:
    """Tests of a price, as evidence."""
    return Evidence("T0", "rejection", "validation", e8(price) - 1, e8(price) + 1, e8(price), strength)


def a_record(weight: float, rate: float | None) -> LevelRecord:
    """A level's tests by their recency-weighted count and rate."""
    return LevelRecord(e8(99), 3, 1, 1, 1, None, (), (), rate, weight, rate)


def test_all_three_legs_meet() -> None:
    """0.9, 0.4 and 0.6 have the geometric mean 0.6 (their product is 0.216); nothing is missing: triple."""
    pieces = [a_piece("W", "98.9", "99.1", 99, 0.9), a_piece("P", "98.8", "99.05", "98.9", 0.4, "acceptance")]
    clusters = cluster_evidence(pieces, e8(100), REACH)
    (zone,) = build_confluences(clusters, [some_tests(99, 0.6)], 1, e8(100), RULES)
    assert zone.legs == {"static": 0.9, "acceptance": 0.4, "validation": 0.6}
    assert (zone.score, zone.strength) == (0.6, 0.6)
    assert (zone.missing, zone.triple) == ((), True)
    assert [e.id for e in zone.evidence] == ["P", "T0", "W"]


def test_two_legs_of_three() -> None:
    """√(0.9·0.4) = 0.6 over two legs, and two thirds of that in strength; the third leg is named."""
    pieces = [a_piece("W", "98.9", "99.1", 99, 0.9), a_piece("P", "98.8", "99.05", "98.9", 0.4, "acceptance")]
    (zone,) = meeting(pieces)
    assert (zone.score, zone.strength) == (0.6, 0.4)
    assert (zone.missing, zone.triple) == (("validation",), False)
    assert (zone.id, zone.price_e8) == ("Z0", e8(99))


def test_one_leg_alone() -> None:
    """Its own value is the score; a third of it the strength."""
    (zone,) = meeting([a_piece("W", "98.9", "99.1", 99, 0.9)])
    assert (zone.score, zone.strength, zone.missing) == (0.9, 0.3, ("acceptance", "validation"))


def test_a_leg_that_does_not_overlap_is_missing() -> None:
    """A control point beside the wall is a zone of its own: legs count only where they hold the same price."""
    pieces = [a_piece("W", "98.9", "99.1", 99, 0.9), a_piece("P", "98.0", "98.99", "98.9", 0.4, "acceptance")]
    first, second = meeting(pieces)
    assert [e.id for e in first.evidence] == ["W"]
    assert [e.id for e in second.evidence] == ["P"]
    assert (first.missing, second.missing) == (("acceptance", "validation"), ("static", "validation"))


def test_static_findings_add_up_as_independent() -> None:
    """A wall of 0.5 on a band of 0.4: 1 − 0.5·0.6 = 0.7."""
    (zone,) = meeting([a_piece("W", "98.9", "99.1", 99, 0.5), a_piece("B", "98.0", "99.5", 99, 0.4)])
    assert zone.legs == {"static": 0.7}


def test_acceptance_is_the_mean_of_each_horizons_best() -> None:
    """Of two findings of one hour the better counts; with 0.4 of another and four horizons it is 1.4 / 4 = 0.35."""
    hour = [replace(a_piece(n, 98, 99, 99, s, "acceptance"), horizon_min=60) for n, s in (("P", 1.0), ("V", 0.4))]
    day = replace(a_piece("D", 98, 99, 99, 0.4, "acceptance"), horizon_min=1440)
    (zone,) = meeting([*hour, day], horizons=4)
    assert zone.legs == {"acceptance": 0.35}


def test_a_zone_is_five_basis_points_around_its_price_inside_its_lead() -> None:
    """99 ± 0.0495, cut off where the leading piece ends."""
    (wide,) = meeting([a_piece("W", 90, 110, 99, 0.9)])
    assert (wide.low_e8, wide.high_e8) == (e8("98.9505"), e8("99.0495"))
    (narrow,) = meeting([a_piece("W", "98.99", "99.01", 99, 0.9)])
    assert (narrow.low_e8, narrow.high_e8) == (e8("98.99"), e8("99.01"))


def test_no_zone_crosses_the_price() -> None:
    """A hundredth of a basis point from the price a zone of 5 bp each way ends one count before it, on its own side."""
    for at, low, high in (("99.9999", "99.94990005", "99.99999999"), ("100.0001", "100.00000001", "100.05010005")):
        (zone,) = meeting([a_piece("W", 99, 101, at, 0.9)])
        assert (zone.low_e8, zone.price_e8, zone.high_e8) == (e8(low), e8(at), e8(high))
    (lowest,) = build_confluences(
        cluster_evidence([Evidence("W", "wall", "static", -9, 9, 1, 0.9)], 2, 2), [None], 1, 2, RULES
    )
    assert (lowest.low_e8, lowest.high_e8) == (1, 1)


def test_the_strongest_leads_and_of_equals_the_book_then_the_nearer() -> None:
    """A cluster's price is that of its strongest piece; a wall goes before a control point of the same strength."""
    pieces = [a_piece("P", "98.5", "99.5", "99.2", 0.6, "acceptance"), a_piece("W", "98.5", "99.5", 99, 0.6)]
    (one,) = cluster_evidence(pieces, e8(100), REACH)
    assert (one.lead.id, [m.id for m in one.members]) == ("W", ["W", "P"])
    walls = [a_piece("F", "97.5", "99.5", 98, 0.6), a_piece("N", "97.5", "99.5", 99, 0.6)]
    assert cluster_evidence(walls, e8(100), REACH)[0].lead.id == "N"


def test_nothing_joins_across_the_price() -> None:
    """Pieces on both sides of the price that hold one another stay apart; one at the price belongs to no side."""
    pieces = [a_piece("B", 98, 102, "99.9", 0.5), a_piece("A", 98, 102, "100.1", 0.6), a_piece("M", 98, 102, 100, 0.9)]
    clusters = cluster_evidence(pieces, e8(100), REACH)
    assert [[m.id for m in c.members] for c in clusters] == [["B"], ["A"]]


def test_reach_ends_where_it_is_said() -> None:
    """At a reach of 2 a price of 98 counts and one a hundred-millionth lower does not."""
    at = a_piece("W", 90, 99, 98, 0.9)
    assert len(cluster_evidence([at], e8(100), 2 * ONE_E8)) == 1
    assert cluster_evidence([replace(at, price_e8=at.price_e8 - 1)], e8(100), 2 * ONE_E8) == []


def test_eight_a_side_are_enough() -> None:
    """Of ten walls a side the eight strongest lead a zone."""
    pieces = [a_piece(f"B{i}", 99 - i / 4, 99 - i / 4, 99 - i / 4, 0.05 + i / 20) for i in range(10)]
    pieces += [a_piece(f"A{i}", 101 + i / 4, 101 + i / 4, 101 + i / 4, 0.05 + i / 20) for i in range(10)]
    clusters = cluster_evidence(pieces, e8(100), REACH)
    assert [c.lead.id for c in clusters] == [f"{s}{i}" for s in "BA" for i in range(9, 1, -1)]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (a_record(0.0, None), None),
        (a_record(2.0, 1.0), 0.75),
        (a_record(2.0, 0.0), 0.25),
        (a_record(6.0, 0.5), 0.5),
        (a_record(0.0, 1.0), 0.5),
    ],
)
def test_validation_by_hand(record: LevelRecord, expected: float | None) -> None:
    """Two tests at even odds come first: (held + 1) / (tests + 2); a level that nothing decided has no such leg."""
    assert validation_strength(record) == expected


@st.composite
def evidence(draw: Any) -> list[Evidence]:
    """Up to twelve pieces of any leg around 100."""
    clusters = []
    for n in range(draw(st.integers(0, 12))):
        at = draw(st.integers(9_800, 10_200))
        low, high = at - draw(st.integers(0, 100)), at + draw(st.integers(0, 100))
        leg = draw(st.sampled_from(["static", "acceptance"]))
        horizon = draw(st.sampled_from([60, 240])) if leg == "acceptance" else 0
        strength = draw(st.integers(0, 10)) / 10
        basis: Any = "wall" if leg == "static" else "poc"
        clusters.append(Evidence(f"E{n}", basis, leg, low * 10**6, high * 10**6, at * 10**6, strength, horizon))
    return clusters


@given(evidence())
def test_laws_of_zones(pieces: list[Evidence]) -> None:
    """Scores lie in 0..1 and fall; legs and missing are the three; each piece is in one zone at most and holds it."""
    zones = meeting(pieces, horizons=2)
    assert [z.id for z in zones] == [f"Z{n}" for n in range(len(zones))]
    assert [z.strength for z in zones] == sorted((z.strength for z in zones), reverse=True)
    ids = [e.id for z in zones for e in z.evidence]
    assert len(ids) == len(set(ids))
    for zone in zones:
        assert 0 <= zone.strength <= zone.score <= 1
        assert set(zone.legs) | set(zone.missing) == set(LEGS)
        assert not set(zone.legs) & set(zone.missing)
        assert min(zone.legs.values()) - 1e-6 <= zone.score <= max(zone.legs.values()) + 1e-6
        assert zone.low_e8 <= zone.price_e8 <= zone.high_e8
        assert zone.high_e8 < e8(100) or zone.low_e8 > e8(100)
        assert all(e.low_e8 <= zone.price_e8 <= e.high_e8 for e in zone.evidence)
        assert all((e.price_e8 < e8(100)) == (zone.price_e8 < e8(100)) for e in zone.evidence)


@given(evidence(), st.randoms())
def test_the_order_of_evidence_does_not_matter(pieces: list[Evidence], order: Any) -> None:
    """Shuffled evidence meets in the same zones."""
    other = list(pieces)
    order.shuffle(other)
    assert meeting(other, horizons=2) == meeting(pieces, horizons=2)
