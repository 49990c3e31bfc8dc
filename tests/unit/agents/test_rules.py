"""The deterministic analyst keeps every law on any view, and weighs by strength."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recommendation import parse, violations
from agents.rules import UNCALIBRATED, RulesAnalyst
from analysis.parameters import Parameters
from analysis.view import Evidence, MarketView
from market.fixed_point import ONE_E8
from tests.market_builders import a_piece, a_view, e8

RULES = RulesAnalyst(Parameters())


@st.composite
def views(draw: Any) -> MarketView:
    """Any reference, tick, volatility and evidence, far away and odd ones too."""
    reference = draw(st.integers(1, 10**13))
    tick = draw(st.sampled_from([1, 7, 1000, 10**6, 10**8]))
    pieces = []
    for number in range(draw(st.integers(0, 8))):
        price = max(1, reference + draw(st.integers(-reference // 20 - 5, reference // 20 + 5)))
        low = price - draw(st.integers(0, reference // 100 + 2))
        high = price + draw(st.integers(0, reference // 100 + 2))
        basis, leg = draw(st.sampled_from([("wall", "static"), ("poc", "acceptance"), ("hvn", "acceptance")]))
        strength = draw(st.sampled_from([0.0, 0.4, 0.7, 1.0]) | st.floats(0, 1).map(lambda s: round(s, 4)))
        pieces.append(Evidence(f"E{number}", basis, leg, low, high, price, strength))
    sigma = draw(st.none() | st.floats(1e-7, 0.05))
    return a_view(
        pieces,
        reference_e8=draw(st.sampled_from([reference, reference, reference, None])),
        sigma=sigma,
        tick_size_e8=tick,
        warnings=draw(st.sampled_from([(), ("the newest book is stale",)])),
    )


@settings(max_examples=400, deadline=None)
@given(views())
def test_never_breaks_a_law(view: MarketView) -> None:
    """On any view the advice is lawful, sums to one, repeats to the byte and can be read back."""
    advice = RULES.decide(view)
    assert violations(advice, view) == []
    if advice.zones:
        assert sum(round(z.weight * 10_000) for z in advice.zones) == 10_000
    assert RulesAnalyst(Parameters()).decide(view).render() == advice.render()
    assert parse(advice.render()) == advice
    assert set(view.warnings) <= set(advice.warnings)


@settings(max_examples=200, deadline=None)
@given(views())
def test_zones_are_few_near_and_laddered_outwards(view: MarketView) -> None:
    """At most three a side, led by evidence within 16 σ, rungs falling for buys and rising for sells."""
    advice = RULES.decide(view)
    known = {e.id: e for e in view.evidence}
    for side in ("buy", "sell"):
        assert sum(z.side == side for z in advice.zones) <= 3
    for zone in advice.zones:
        prices = [r.price_e8 for r in zone.ladder]
        assert prices == sorted(set(prices), reverse=zone.side == "buy")
        assert len(prices) <= 3
        assert abs(sum(r.weight for r in zone.ladder) - zone.weight) < 1e-5
        assert view.reference_e8 is not None
        assert view.sigma is not None
        reach = view.reference_e8 * view.sigma * 16 + 1
        assert any(abs(known[i].price_e8 - view.reference_e8) <= reach for i in zone.evidence)
        assert zone.basis == tuple(sorted({known[i].basis for i in zone.evidence}))


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (a_view(reference_e8=None), "too little trade on record to measure a distance"),
        (a_view([a_piece("W", 99, 99, 99)], sigma=None), "too little trade on record to measure a distance"),
        (a_view(), "no evidence within reach of the price"),
        (a_view([a_piece("W", 90, 91, "90.5")]), "no evidence within reach of the price"),
        (a_view([a_piece("W", 99, 101, 100)]), "no evidence within reach of the price"),
    ],
)
def test_stands_aside_with_a_reason(view: MarketView, reason: str) -> None:
    """Where nothing is known, or nothing lies on a side within reach, it says so and advises nothing."""
    advice = RULES.decide(view)
    assert (advice.stance, advice.zones, advice.reason) == ("stand_aside", (), reason)
    assert UNCALIBRATED not in advice.warnings


def test_reach_is_sixteen_sigma() -> None:
    """At 100 with σ 0.1 % evidence at 98.40 counts and at 98.39 does not."""
    near, far = a_piece("N", "98.3", "98.5", "98.4"), a_piece("F", "98.3", "98.5", "98.39")
    assert RULES.decide(a_view([near])).stance == "bid_only"
    assert RULES.decide(a_view([far])).stance == "stand_aside"


def test_overlapping_legs_beat_either_alone() -> None:
    """Wall 0.9 on acceptance 0.4 scores √0.36 = 0.6; a wall alone scores half its strength, 0.45."""
    both = [a_piece("W1", "99.4", "99.6", "99.5", 0.9), a_piece("P", "99.3", "99.55", "99.45", 0.4, "acceptance")]
    alone = a_piece("W2", "100.4", "100.6", "100.5", 0.9)
    advice = RULES.decide(a_view([*both, alone]))
    assert [(z.side, z.evidence, z.weight) for z in advice.zones] == [
        ("buy", ("P", "W1"), 0.5715),
        ("sell", ("W2",), 0.4285),
    ]
    assert advice.zones[0].basis == ("poc", "wall")
    assert advice.warnings == (UNCALIBRATED,)
    assert {z.confidence for z in advice.zones} == {0.5}


def test_a_zone_by_hand() -> None:
    """Buy: 5 bp around the heavy price inside its evidence, ladder from one tick in front, invalid 2 σ below."""
    (zone,) = RULES.decide(a_view([a_piece("W", "99.47", "99.9", "99.5", 0.8)])).zones
    assert (zone.low_e8, zone.high_e8) == (e8("99.47"), e8("99.54"))
    assert [r.price_e8 for r in zone.ladder] == [e8("99.51"), e8("99.49"), e8("99.47")]
    assert zone.invalidation_e8 == e8("99.27")
    assert [r.weight for r in zone.ladder] == [0.333333] * 3


def test_a_sell_zone_by_hand() -> None:
    """Sell: the mirror image, one tick below the heavy price first."""
    (zone,) = RULES.decide(a_view([a_piece("W", "100.1", "100.53", "100.5", 0.8)])).zones
    assert (zone.low_e8, zone.high_e8) == (e8("100.45"), e8("100.53"))
    assert [r.price_e8 for r in zone.ladder] == [e8("100.49"), e8("100.51"), e8("100.53")]
    assert zone.invalidation_e8 == e8("100.73")


def test_evidence_across_the_price_is_cut_at_it() -> None:
    """A buy zone ends a tick below the reference even where its evidence goes on."""
    (zone,) = RULES.decide(a_view([a_piece("W", "99.9", "100.2", "99.99", 0.8)])).zones
    assert (zone.side, zone.high_e8) == ("buy", e8("99.99"))
    (zone,) = RULES.decide(a_view([a_piece("W", "99.9", "100.2", "100.01", 0.8)])).zones
    assert (zone.side, zone.low_e8) == ("sell", e8("100.01"))


def test_only_the_best_three_a_side() -> None:
    """Of five walls below the price the three strongest are advised."""
    walls = [a_piece(f"W{i}", 99 + i / 10, 99 + i / 10, 99 + i / 10, (i + 1) / 10) for i in range(5)]
    advice = RULES.decide(a_view(walls))
    assert [z.evidence for z in advice.zones] == [("W4",), ("W3",), ("W2",)]
    assert [z.weight for z in advice.zones] == [0.4167, 0.3333, 0.25]


def test_a_grid_too_coarse_for_the_evidence() -> None:
    """Where no tick lies inside the evidence there is no zone."""
    advice = RULES.decide(a_view([a_piece("W", "99.55", "99.65", "99.6")], tick_size_e8=ONE_E8))
    assert advice.stance == "stand_aside"


def test_no_zone_that_nothing_could_prove_wrong() -> None:
    """At the lowest prices there are a buy zone has no price left beyond it, and is not advised."""
    lowest = Evidence("W", "wall", "static", 1, 1, 1, 0.5)
    assert RULES.decide(a_view([lowest], reference_e8=2, sigma=0.1, tick_size_e8=1)).stance == "stand_aside"
