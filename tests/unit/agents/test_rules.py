"""The deterministic analyst keeps every law on any view, and weighs by strength."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recommendation import parse, violations
from agents.rules import RulesAnalyst
from agents.zones import UNCALIBRATED, ladder
from analysis.confluence import build_confluences, cluster_evidence
from analysis.evidence import Evidence
from analysis.fitted import CONFIDENCE_FEATURES, CONFIDENCE_PRIOR, Logistic, confidence_features
from analysis.parameters import Parameters
from analysis.view import MarketView
from market.fixed_point import ONE_E8
from tests.market_builders import a_piece, a_view, e8, meeting

RULES = RulesAnalyst(Parameters())


def view_of(*pieces: Evidence, **changed: Any) -> MarketView:
    """A view at 100.00 with σ 0.1 % of some evidence and of the zones where it meets."""
    return a_view(pieces, zones=meeting(pieces), **changed)


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
    shown_e8 = draw(st.sampled_from([reference, reference, reference, None]))
    items = cluster_evidence(pieces, reference, int(reference * (sigma or 0) * 16))
    return a_view(
        pieces,
        zones=tuple(build_confluences(items, [None] * len(items), draw(st.integers(1, 5)), reference, Parameters())),
        reference_e8=shown_e8,
        sigma=sigma,
        tick_size_e8=tick,
        warnings=draw(st.sampled_from([(), ("the newest book is stale",)])),
    )


@pytest.mark.slow
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


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(views())
def test_zones_are_few_near_and_laddered_inwards(view: MarketView) -> None:
    """At most three a side, led by evidence within 16 σ, rungs going towards the market, nothing across the price."""
    advice = RULES.decide(view)
    evidence = {e.id: e for e in view.evidence}
    for side in ("buy", "sell"):
        assert sum(z.side == side for z in advice.zones) <= 3
    for zone in advice.zones:
        prices = [r.price_e8 for r in zone.ladder]
        assert prices == sorted(set(prices), reverse=zone.side == "sell")
        assert len(prices) <= 3
        assert abs(sum(r.weight for r in zone.ladder) - zone.weight) < 1e-5
        assert view.reference_e8 is not None
        assert view.sigma is not None
        reach = view.reference_e8 * view.sigma * 16 + 1
        assert any(abs(evidence[i].price_e8 - view.reference_e8) <= reach for i in zone.evidence)
        assert zone.basis == tuple(sorted({evidence[i].basis for i in zone.evidence}))
        assert zone.high_e8 < view.reference_e8 if zone.side == "buy" else zone.low_e8 > view.reference_e8


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (a_view(reference_e8=None), "too little trade on record to measure a distance"),
        (view_of(a_piece("W", 99, 99, 99), sigma=None), "too little trade on record to measure a distance"),
        (a_view(), "no evidence within reach of the price"),
        (view_of(a_piece("W", 90, 91, "90.5")), "no evidence within reach of the price"),
        (view_of(a_piece("W", 99, 101, 100)), "no evidence within reach of the price"),
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
    assert RULES.decide(view_of(near)).stance == "bid_only"
    assert RULES.decide(view_of(far)).stance == "stand_aside"


def test_more_legs_weigh_more() -> None:
    """Wall 0.9 on acceptance 0.4 is √0.36 = 0.6 on two of three legs, 0.4; a wall of 0.9 alone 0.3: four to three."""
    both = [a_piece("W1", "99.4", "99.6", "99.5", 0.9), a_piece("P", "99.3", "99.55", "99.45", 0.4, "acceptance")]
    alone = a_piece("W2", "100.4", "100.6", "100.5", 0.9)
    without_fit = RulesAnalyst(replace(Parameters(), confidence=CONFIDENCE_PRIOR))
    advice = without_fit.decide(view_of(*both, alone))
    assert [(z.side, z.evidence, z.weight) for z in advice.zones] == [
        ("buy", ("P", "W1"), 0.5715),
        ("sell", ("W2",), 0.4285),
    ]
    assert advice.zones[0].basis == ("poc", "wall")
    assert advice.warnings == (UNCALIBRATED,)
    assert {z.confidence for z in advice.zones} == {0.5}


def test_the_confidence_as_shipped_names_its_fit() -> None:
    """What the rules state unless a file says otherwise: the default fit at score, legs and distance, named."""
    fit = Parameters().confidence
    advice = RULES.decide(view_of(a_piece("W", "100.4", "100.6", "100.5", 0.9)))
    assert [z.confidence for z in advice.zones] == [fit.probability(confidence_features(0.9, 1, 5.0))]
    assert advice.warnings == (f"confidence fitted on {fit.fit}",)
    assert fit.samples > 0


def test_a_zone_by_hand() -> None:
    """Buy: 5 bp around the heavy price inside its evidence, ladder from one tick in front of it, invalid 2 σ below."""
    (zone,) = RULES.decide(view_of(a_piece("W", "99.47", "99.9", "99.5", 0.8))).zones
    assert (zone.low_e8, zone.high_e8) == (e8("99.47"), e8("99.54"))
    assert [r.price_e8 for r in zone.ladder] == [e8("99.51"), e8("99.52"), e8("99.54")]
    assert zone.invalidation_e8 == e8("99.27")
    assert [r.weight for r in zone.ladder] == [0.333333] * 3


def test_a_sell_zone_by_hand() -> None:
    """Sell: the mirror image around 100, to the tick."""
    (zone,) = RULES.decide(view_of(a_piece("W", "100.1", "100.53", "100.5", 0.8))).zones
    assert (zone.low_e8, zone.high_e8) == (e8("100.45"), e8("100.53"))
    assert [r.price_e8 for r in zone.ladder] == [e8("100.49"), e8("100.47"), e8("100.45")]
    assert zone.invalidation_e8 == e8("100.73")


@pytest.mark.parametrize(
    ("policy", "side", "prices"),
    [
        ("front", "buy", ["99.51", "99.53", "99.55"]),
        ("behind", "buy", ["99.49", "99.47", "99.45"]),
        ("front", "sell", ["99.49", "99.47", "99.45"]),
        ("behind", "sell", ["99.51", "99.53", "99.55"]),
    ],
)
def test_in_front_or_behind(policy: Literal["front", "behind"], side: Any, prices: list[str]) -> None:
    """One tick nearer to the market than the heavy price and on towards it, or one tick beyond and on away."""
    rules = replace(Parameters(), ladder_policy=policy)
    rungs = ladder(side, e8("99.45"), e8("99.55"), e8("99.5"), e8("0.01"), rules)
    assert [r.price_e8 for r in rungs] == [e8(p) for p in prices]


@given(
    st.integers(0, 60), st.integers(0, 60), st.integers(-10**6, 10**6), st.sampled_from([1, 7, 10**6]),
    st.integers(1, 6), st.sampled_from(["front", "behind"]),
)  # fmt: skip
def test_ladders_of_both_sides_are_mirror_images(
    below: int, above: int, off: int, tick: int, count: int, policy: Any
) -> None:
    """Reflected around 0, a buy ladder is the sell ladder of the reflected zone; prices differ and stay inside it."""
    rules = replace(Parameters(), ladder_policy=policy, ladder_prices=count)
    heavy = 10**9 // tick * tick + off % tick
    low, high = heavy // tick * tick - below * tick, heavy // tick * tick + above * tick
    buys = [r.price_e8 for r in ladder("buy", low, high, heavy, tick, rules)]
    sells = [r.price_e8 for r in ladder("sell", -high, -low, -heavy, tick, rules)]
    assert buys == [-p for p in sells]
    assert 1 <= len(set(buys)) == len(buys) <= count
    assert all(low <= p <= high and p % tick == 0 for p in buys)


def test_a_ladder_at_the_edge_of_its_zone_has_one_price() -> None:
    """Where the heavy price is the zone's edge towards the market nothing lies in front of it."""
    rungs = ladder("buy", e8(99), e8("99.5"), e8("99.5"), e8("0.01"), Parameters())
    assert [r.price_e8 for r in rungs] == [e8("99.5")]


def test_evidence_across_the_price_is_cut_at_it() -> None:
    """A buy zone ends a tick below the reference even where its evidence goes on."""
    (zone,) = RULES.decide(view_of(a_piece("W", "99.9", "100.2", "99.99", 0.8))).zones
    assert (zone.side, zone.high_e8) == ("buy", e8("99.99"))
    (zone,) = RULES.decide(view_of(a_piece("W", "99.9", "100.2", "100.01", 0.8))).zones
    assert (zone.side, zone.low_e8) == ("sell", e8("100.01"))


def test_only_the_best_three_a_side() -> None:
    """Of five walls below the price the three strongest are advised."""
    walls = [a_piece(f"W{i}", 99 + i / 10, 99 + i / 10, 99 + i / 10, (i + 1) / 10) for i in range(5)]
    advice = RULES.decide(view_of(*walls))
    assert [z.evidence for z in advice.zones] == [("W4",), ("W3",), ("W2",)]
    assert [z.weight for z in advice.zones] == [0.4167, 0.3333, 0.25]


def test_of_equal_zones_the_nearer_comes_first() -> None:
    """Four walls of one strength below the price: the three nearest, nearest first, weigh the same but for rounding."""
    walls = [a_piece(f"W{i}", 99 + i / 10, 99 + i / 10, 99 + i / 10, 0.5) for i in range(4)]
    advice = RULES.decide(view_of(*walls))
    assert [z.evidence for z in advice.zones] == [("W3",), ("W2",), ("W1",)]
    assert [z.weight for z in advice.zones] == [0.3334, 0.3333, 0.3333]


def test_zones_without_strength_weigh_the_same() -> None:
    """Evidence of strength 0 on both sides gives two zones of one half each."""
    advice = RULES.decide(view_of(a_piece("B", 99, 99, 99, 0.0), a_piece("A", 101, 101, 101, 0.0)))
    assert (advice.stance, sorted(z.weight for z in advice.zones)) == ("two_sided", [0.5, 0.5])


def test_a_fitted_confidence_is_used_and_named() -> None:
    """With a fit of 100 outcomes the probability follows the features, and the advice says what it was fitted on."""
    fit = Logistic("TESTUSDT, three days", CONFIDENCE_FEATURES, (0.0, 1.0, 0.0, 0.0), 100)
    advice = RulesAnalyst(replace(Parameters(), confidence=fit)).decide(view_of(a_piece("W", 99, 99, 99, 0.5)))
    assert [z.confidence for z in advice.zones] == [0.6225]
    assert advice.warnings == ("confidence fitted on TESTUSDT, three days",)


def test_a_grid_too_coarse_for_the_evidence() -> None:
    """Where no tick lies inside the evidence there is no zone."""
    advice = RULES.decide(view_of(a_piece("W", "99.55", "99.65", "99.6"), tick_size_e8=ONE_E8))
    assert advice.stance == "stand_aside"


def test_no_zone_that_nothing_could_prove_wrong() -> None:
    """At the lowest prices there are a buy zone has no price left beyond it, and is not advised."""
    lowest = Evidence("W", "wall", "static", 1, 1, 1, 0.5)
    zones = tuple(build_confluences(cluster_evidence([lowest], 2, 2), [None], 1, 2, Parameters()))
    assert len(zones) == 1
    view = a_view([lowest], zones=zones, reference_e8=2, sigma=0.1, tick_size_e8=1)
    assert RULES.decide(view).stance == "stand_aside"
