"""A recommendation survives being written down, and every law it could break is found."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recommendation import Advice, Rung, Stance, Zone, evidence_digest, parse, violations
from analysis.view import MarketView
from market.timestamps import MINUTE_NS
from tests.market_builders import T0, a_piece, a_view, a_zone, an_advice, e8

PIECE = a_piece("W", "99.4", "99.7", "99.6")
OVER = a_piece("A", "100.3", "100.7", "100.5")
VIEW = a_view([PIECE, OVER])
SELL = a_zone("sell", "100.4", "100.5", evidence=("A",))

prices = st.integers(1, 10**14)
text = st.text(max_size=20)
parts = st.floats(0, 1, allow_nan=False)
zones = st.builds(
    Zone,
    side=st.sampled_from(["buy", "sell"]),
    low_e8=prices,
    high_e8=prices,
    weight=parts,
    confidence=parts,
    basis=st.lists(text, max_size=2).map(tuple),
    evidence=st.lists(text, max_size=3).map(tuple),
    invalidation_e8=prices,
    ladder=st.lists(st.builds(Rung, prices, parts), max_size=3).map(tuple),
)
advices = st.builds(
    Advice,
    symbol=text,
    as_of_ns=st.integers(0, 10**6).map(lambda m: T0 + m * MINUTE_NS),
    as_of_seq=st.integers(1, 2**53),
    mid_e8=st.none() | st.integers(1, 2 * 10**14).map(lambda halves: halves / 2),
    reference_e8=st.none() | prices,
    sigma=st.none() | st.floats(1e-9, 1),
    stance=st.sampled_from(["two_sided", "bid_only", "ask_only", "stand_aside"]),
    reason=text,
    zones=st.lists(zones, max_size=3).map(tuple),
    analyst=text,
    model=st.none() | text,
    prompt_digest=st.none() | text,
    evidence_digest=text,
    warnings=st.lists(text, max_size=2).map(tuple),
    valid_for_ns=st.integers(1, 7200).map(lambda s: s * 10**9),
)


@settings(max_examples=200, deadline=None)
@given(advices)
def test_what_is_rendered_is_read_back(advice: Advice) -> None:
    """Parsing a rendered recommendation gives the recommendation, and its bytes again."""
    body = advice.render()
    assert parse(body) == advice
    assert parse(body.decode()).render() == body


def test_prices_are_decimal_text() -> None:
    """A half-tick mid keeps its half; no price is a float in the record."""
    advice = an_advice(a_zone(), mid_e8=e8("99.99999999") + 0.5)
    fields = json.loads(advice.render())
    assert fields["mid"] == "99.999999995"
    assert (fields["zones"][0]["low"], fields["zones"][0]["ladder"][0]["price"]) == ("99.5", "99.6")
    assert (fields["as_of"], fields["valid_for_s"]) == ("2026-03-02T00:00:00Z", 3600)


def test_sound_advice_breaks_nothing() -> None:
    """One zone, two sides, and standing aside for a reason are all lawful."""
    assert violations(an_advice(a_zone()), VIEW) == []
    assert violations(an_advice(a_zone(weight=0.4), msgspec.structs.replace(SELL, weight=0.6)), VIEW) == []
    assert violations(an_advice(), VIEW) == []


@pytest.mark.parametrize(
    ("zone", "what"),
    [
        (a_zone(low_e8=e8("99.6"), high_e8=e8("99.5")), "low is above high"),
        (a_zone(low_e8=e8("99.505")), "off the tick grid"),
        (a_zone(ladder=(Rung(e8("99.555"), 1.0),)), "off the tick grid"),
        (a_zone(invalidation_e8=e8("98.999")), "off the tick grid"),
        (a_zone(evidence=()), "evidence nobody gave"),
        (a_zone(evidence=("W", "X")), "evidence nobody gave"),
        (a_zone(low="99.35", ladder=(Rung(e8("99.36"), 1.0),)), "outside its evidence"),
        (a_zone(low="99.35"), "outside its evidence"),
        (a_zone(high="99.75", ladder=(Rung(e8("99.6"), 1.0),)), "outside its evidence"),
        (a_zone(evidence=("A",)), "outside its evidence"),
        (a_zone("sell", invalidation_e8=e8("99.9")), "wrong side"),
        (a_zone(low="100.4", high="100.5", evidence=("A",)), "wrong side"),
        (a_zone(weight=1.5), "weight is not in 0..1"),
        (a_zone(weight=0.0), "weight is not in 0..1"),
        (a_zone(weight=float("nan")), "weight is not in 0..1"),
        (a_zone(confidence=1.01), "confidence is not in 0..1"),
        (a_zone(confidence=float("nan")), "confidence is not in 0..1"),
        (a_zone(ladder=()), "ladder is empty"),
        (a_zone(ladder=(Rung(e8("99.65"), 1.0),)), "ladder leaves the zone"),
        (a_zone(invalidation_e8=e8("99.5")), "invalidated inside itself"),
        (a_zone(invalidation_e8=e8("99.55")), "invalidated inside itself"),
        (msgspec.structs.replace(SELL, invalidation_e8=e8("100.5")), "invalidated inside itself"),
    ],
)
def test_a_bad_zone_is_named(zone: Zone, what: str) -> None:
    """Each law has its own words, with the zone they are about."""
    errors = violations(an_advice(zone), VIEW)
    assert any(what in line for line in errors), errors
    assert all(line.startswith(zone.side) for line in errors if what in line)


@pytest.mark.parametrize(
    ("view", "high"),
    [(a_view([PIECE], reference_e8=e8("99.6")), "99.6"), (a_view([PIECE], reference_e8=e8(99)), "99.5")],
)
def test_a_zone_at_the_price_is_on_the_wrong_side(view: MarketView, high: str) -> None:
    """A buy zone lies strictly below the reference."""
    assert any("wrong side" in line for line in violations(an_advice(a_zone(high=high)), view))


@pytest.mark.parametrize("zone", [a_zone(), SELL])
def test_without_a_price_there_is_no_side(zone: Zone) -> None:
    """Zones of either side are unlawful where nothing was traded."""
    errors = violations(an_advice(zone), a_view([PIECE, OVER], reference_e8=None))
    assert any("wrong side" in line for line in errors)


@pytest.mark.parametrize(("weights", "sound"), [((0.5, 0.5), True), ((0.5, 0.4), False), ((0.3, 0.8), False)])
def test_weights_sum_to_one(weights: tuple[float, float], sound: bool) -> None:
    """All zones together are the whole advice."""
    advice = an_advice(*(a_zone(weight=w) for w in weights))
    assert ("weights do not sum to 1" in violations(advice, VIEW)) is not sound


@pytest.mark.parametrize(
    ("stance", "zones_", "sound"),
    [
        ("bid_only", (a_zone(),), True),
        ("ask_only", (a_zone(),), False),
        ("two_sided", (a_zone(),), False),
        ("stand_aside", (a_zone(),), False),
        ("ask_only", (SELL,), True),
        ("two_sided", (), False),
        ("bid_only", (a_zone(weight=0.5), msgspec.structs.replace(SELL, weight=0.5)), False),
    ],
)
def test_stance_says_which_sides_there_are(stance: Stance, zones_: tuple[Zone, ...], sound: bool) -> None:
    """A stance that the zones do not bear out is named."""
    errors = violations(an_advice(*zones_, stance=stance), VIEW)
    assert any(line.startswith("stance") for line in errors) is not sound


def test_standing_aside_needs_a_reason() -> None:
    """Silence without a reason is unlawful."""
    assert violations(an_advice(reason=""), VIEW) == ["stands aside without a reason"]


def test_evidence_digest_sees_every_field() -> None:
    """The digest is that of what was shown, order included."""
    digests = {
        evidence_digest(a_view(pieces))
        for pieces in ([], [PIECE], [PIECE, OVER], [OVER, PIECE], [msgspec.structs.replace(PIECE, strength=0.6)])
    }
    assert len(digests) == 5
    assert evidence_digest(a_view([PIECE])) == evidence_digest(a_view([PIECE], reference_e8=1))
