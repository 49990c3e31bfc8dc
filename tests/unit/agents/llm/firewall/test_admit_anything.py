"""Whatever a model says, nothing is raised, and whatever is admitted breaks no law."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.llm.firewall.admit import AdmittedDecision, RefusedDecision, admit
from agents.recommendation import violations
from analysis.view import MarketView
from market.fixed_point import format_e8
from tests.corpus.decisions import a_decision, edges, views
from tests.corpus.good_decisions import advised
from tests.market_builders import SMALL, a_piece, a_view, e8, meeting

VIEWS = views()
BOOK = VIEWS["book"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("reference", "stance", "reason", "zones", "side", "low", "high", "weight", "evidence")


@settings(max_examples=300, deadline=None)
@given(st.text() | st.binary().map(lambda b: b.decode("utf-8", "surrogateescape")) | json_values.map(json.dumps))
def test_any_text_is_refused_and_nothing_raises(content: str) -> None:
    """Arbitrary text and arbitrary JSON are no decisions."""
    answer = admit(content, BOOK, SMALL)
    assert isinstance(answer, RefusedDecision)
    assert answer.reasons


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_decision_with_anything_in_any_field_never_raises(data: st.DataObject) -> None:
    """A sound decision with some fields replaced by arbitrary JSON is refused for it, or still lawful."""
    view = VIEWS[data.draw(st.sampled_from(sorted(VIEWS)))]
    decision = a_decision(view)
    for _ in range(data.draw(st.integers(1, 3))):
        field, value = data.draw(st.sampled_from(FIELDS)), data.draw(json_values | st.sampled_from(["buy", "99.6", 1]))
        (decision["zones"][0] if field in decision["zones"][0] and data.draw(st.booleans()) else decision)[field] = (
            value
        )
        if not (isinstance(decision["zones"], list) and decision["zones"] and isinstance(decision["zones"][0], dict)):
            break
    answer = admit(json.dumps(decision), view, SMALL)
    if isinstance(answer, AdmittedDecision):
        assert violations(advised(answer, view), view) == []
    else:
        assert answer.reasons


@st.composite
def nearly_sound(draw: Any) -> tuple[MarketView, str]:
    """A view of any evidence, and a decision whose intervals lie in its zones or close to them."""
    tick = e8("0.01")
    pieces = []
    for number in range(draw(st.integers(1, 6))):
        price = draw(st.integers(9_850, 10_150))
        low, high = price - draw(st.integers(0, 20)), price + draw(st.integers(0, 20))
        leg = draw(st.sampled_from(["static", "acceptance"]))
        pieces.append(a_piece(f"E{number}", low / 100, high / 100, price / 100, draw(st.sampled_from([0.2, 0.9])), leg))
    view = a_view(
        pieces, zones=meeting(pieces), mid_e8=draw(st.sampled_from([None, float(e8(100)), e8("100.02") + 0.5]))
    )
    zones = []
    for zone in draw(st.permutations(view.zones))[: draw(st.integers(0, 4))]:
        low, high = edges(zone, view)
        steps = max(0, (high - low) // tick)
        first, last = sorted((draw(st.integers(-1, steps + 1)), draw(st.integers(0, steps))))
        ids = draw(st.sampled_from([zone.id, *(e.id for e in zone.evidence)]))
        zones.append(
            {"side": "buy" if zone.price_e8 < e8(100) else "sell", "low": format_e8(low + first * tick),
             "high": format_e8(low + last * tick), "weight": 1, "evidence": [ids], "reason": ""}
        )  # fmt: skip
    for zone in zones:
        zone["weight"] = round(1 / len(zones), 3)
    sides = {z["side"] for z in zones}
    stance = (
        "two_sided"
        if len(sides) == 2
        else {"buy": "bid_only", "sell": "ask_only"}[sides.pop()]
        if sides
        else "stand_aside"
    )
    return view, json.dumps({"reference": "100", "stance": stance, "reason": "as seen", "zones": zones})


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(nearly_sound())
def test_whatever_is_admitted_breaks_no_law(case: tuple[MarketView, str]) -> None:
    """On views of any evidence: lawful, inside what it cites, below both prices or above both, weights exact."""
    view, content = case
    answer = admit(content, view, SMALL)
    if isinstance(answer, RefusedDecision):
        assert view.zones == () or json.loads(content)["zones"]
        return
    assert violations(advised(answer, view), view) == []
    assert sum(round(z.weight * 10_000) for z in answer.zones) == (10_000 if answer.zones else 0)
    for zone in answer.zones:
        bounds = [e8(100), *([view.mid_e8] if view.mid_e8 is not None else [])]
        assert zone.high_e8 < min(bounds) if zone.side == "buy" else zone.low_e8 > max(bounds)
