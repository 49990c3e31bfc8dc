"""What the simulated model answers without faults: calls, verdicts, decisions, and styles that last."""

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.conversation.tools import DEPTH, FLOW, candidates_json
from simulators.model.answers.decisions import decide
from simulators.model.answers.styles import STYLES, Style, StyleSequence
from tests.market_builders import a_piece, a_view, meeting
from tests.unit.simulators.model.chats import (
    MATERIAL,
    a_model,
    answer_turn,
    asks_both,
    asks_decision,
    asks_depth,
    asks_verdict,
    call_turn,
    chat,
    message_of,
    sent_to,
    tool,
    user,
)

THINKING = {"thinking": {"type": "enabled"}}
WHOLE = Style("whole", 2)


def calls_in(reply: dict[str, Any]) -> list[tuple[str, str]]:
    """The names and arguments a reply calls."""
    return [(c["function"]["name"], c["function"]["arguments"]) for c in message_of(reply).get("tool_calls", [])]


def decision_of(reply: dict[str, Any]) -> dict[str, Any]:
    """The decision in a reply."""
    content: dict[str, Any] = json.loads(message_of(reply)["content"])
    return content


def test_a_forced_tool_is_called_with_what_its_schema_asks() -> None:
    """The named tool is called once with the schema's symbol, and finish_reason says so."""
    _, reply = sent_to(a_model(), asks_depth())
    assert calls_in(reply) == [(DEPTH, '{"symbol": "BTCFDUSD"}')]
    assert reply["choices"][0]["finish_reason"] == "tool_calls"
    assert [c["index"] for c in message_of(reply)["tool_calls"]] == [0]
    assert message_of(reply)["tool_calls"][0]["id"].startswith("call_00_")


@pytest.mark.parametrize("choice", ["required", "auto"])
def test_both_tools_are_called_in_parallel(choice: str) -> None:
    """Where both are offered, one reply calls both, in the order they are offered."""
    _, reply = sent_to(a_model(), asks_both(tool_choice=choice))
    assert [name for name, _ in calls_in(reply)] == [DEPTH, FLOW]
    assert len({c["id"] for c in message_of(reply)["tool_calls"]}) == 2


def test_a_symbol_the_schema_leaves_open_is_read_from_the_prompt() -> None:
    """Without an enum the newest message that names a pair decides."""
    lookup = tool()
    lookup["function"]["parameters"]["properties"]["symbol"] = {"type": "string"}
    body = chat(user("Not BTCUSDT."), user("Look at ETHFDUSD now."), tools=[lookup])
    assert calls_in(sent_to(a_model(), body)[1]) == [(DEPTH, '{"symbol": "ETHFDUSD"}')]


def test_a_verdict_quotes_the_tools_figures_in_the_prompts_language() -> None:
    """All figures there are, at most three, each with its path."""
    expected = "(depth_snapshot_analytsis): mid = 83412.505; buy.walls[0].share = 0.041."
    english = message_of(sent_to(a_model(), asks_verdict())[1])
    chinese = message_of(sent_to(a_model(), asks_verdict("你是订单簿分析员。"))[1])
    assert english["content"] == f"What stands out {expected}"
    assert chinese["content"] == f"要点 {expected}"
    assert "tool_calls" not in english


def test_thinking_replies_hold_reasoning_and_others_do_not() -> None:
    """reasoning_content and its tokens are there exactly where thinking is on."""
    _, thinking = sent_to(a_model(), asks_decision(**THINKING))
    _, plain = sent_to(a_model(), asks_decision())
    assert message_of(thinking)["reasoning_content"].startswith("Candidates are ranked by strength")
    assert thinking["usage"]["completion_tokens_details"]["reasoning_tokens"] > 10
    assert "reasoning_content" not in message_of(plain)
    assert "completion_tokens_details" not in plain["usage"]


def test_a_decision_by_hand() -> None:
    """The two strongest a side, on the grid, weights 0.6 : 0.1 : 0.3, citing evidence that holds the whole interval."""
    decision = decide(MATERIAL, WHOLE, "en")
    assert (decision["reference"], decision["stance"]) == ("83412.50", "two_sided")
    assert [(z["side"], z["low"], z["high"], z["weight"], z["evidence"]) for z in decision["zones"]] == [
        ("buy", "83000", "83010", 0.6, ["Z0", "Wb0"]),
        ("buy", "82000", "82000", 0.1, ["Z2"]),
        ("sell", "83800.01", "83820", 0.3, ["Z1"]),
    ]
    assert decision["zones"][0]["reason"] == "all of Z0 around 83005, strength 0.6"
    assert set(decision["zones"][0]) == {"side", "low", "high", "weight", "evidence", "reason"}


def test_front_and_back_are_halves_of_a_zone() -> None:
    """The front half is the one nearer to the market, above for a buy, below for a sell."""
    halves = {place: decide(MATERIAL, Style(place, 1), "zh")["zones"] for place in ("front", "back")}
    ends = {place: [(z["side"], z["low"], z["high"]) for z in zones] for place, zones in halves.items()}
    assert ends["front"] == [("buy", "83005", "83010"), ("sell", "83800.01", "83810")]
    assert ends["back"] == [("buy", "83000", "83005"), ("sell", "83810", "83820")]


@pytest.mark.parametrize("material", [{"reference": "1", "candidates": []}, {}, {"reference": None, "candidates": [7]}])
def test_without_candidates_it_stands_aside(material: dict[str, Any]) -> None:
    """Without candidates or a reference there are no zones, and a reason."""
    decision = decision_of(sent_to(a_model(), asks_decision(material))[1])
    assert decision["stance"] == "stand_aside"
    assert decision["zones"] == []
    assert decision["reason"] == "no candidate zone to rest orders in"


def test_the_newest_candidates_count() -> None:
    """After a repair request without figures the last object that holds them is used."""
    old = {"reference": "5", "candidates": []}
    body = asks_decision()
    body["messages"] = [user(json.dumps(old)), *body["messages"], user('{"reasons": ["weights {sum} to 2"]} as JSON')]
    assert decision_of(sent_to(a_model(), body)[1])["reference"] == "83412.50"


def test_what_the_project_really_shows_is_understood() -> None:
    """The candidates of a market view, rendered as the conversation renders them, are decided on."""
    pieces = (a_piece("Wb0", "99.5", "99.6", "99.55"), a_piece("Ws0", 101, "101.1", 101))
    view = a_view(pieces, zones=meeting(pieces))
    decision = decide(json.loads(candidates_json(view)), WHOLE, "en")
    assert (decision["reference"], decision["stance"]) == ("100", "two_sided")
    assert [z["evidence"][0] for z in decision["zones"]] == ["Z0", "Z1"]
    assert [z["evidence"][1] for z in decision["zones"]] == ["Wb0", "Ws0"]


def test_a_decision_keeps_to_the_mid_and_leaves_overlaps_out() -> None:
    """Buys lie below the mid too, and of overlapping zones the weaker is left out."""
    zones = [
        {"id": "Z0", "low": "99.9", "high": "100.1", "price": "99.95", "strength": 0.5},
        {"id": "Z1", "low": "99.0", "high": "99.95", "price": "99.5", "strength": 0.4},
        {"id": "Z2", "low": "98.5", "high": "99.0", "price": "98.7", "strength": 0.2},
        {"id": "Z3", "low": "101.0", "high": "101.5", "price": "101.2", "strength": 0.9},
    ]
    material = {"reference": "100.02", "mid": "99.995", "tick_size": "0.01", "candidates": zones}
    zones_chosen = {(z["evidence"][0], z["high"]) for z in decide(material, WHOLE, "en")["zones"]}
    assert zones_chosen == {("Z0", "99.99"), ("Z2", "99"), ("Z3", "101.5")}


PRICES = st.integers(1, 400).map(lambda n: str(Decimal(n) / 4))
ZONES = st.builds(
    lambda at, ends, strength: {"id": f"Z{at}", "low": min(ends, key=Decimal), "high": max(ends, key=Decimal),
                                "price": ends[1], "strength": strength},
    st.integers(0, 9), st.tuples(PRICES, PRICES, PRICES), st.floats(0, 1),
)  # fmt: skip


@given(PRICES, st.lists(ZONES, max_size=6), st.sampled_from(STYLES))
def test_every_decision_is_sound(reference: str, zones: list[dict[str, Any]], style: Style) -> None:
    """On the grid, inside the cited zone, on its side, weights that sum to one, the stance that the sides make."""
    decision = decide({"reference": reference, "tick_size": "0.5", "candidates": zones}, style, "en")
    for zone in decision["zones"]:
        low, high = Decimal(zone["low"]), Decimal(zone["high"])
        matches = [z for z in zones if z["id"] == zone["evidence"][0]]
        assert any(Decimal(z["low"]) <= low <= high <= Decimal(z["high"]) for z in matches)
        assert low % Decimal("0.5") == high % Decimal("0.5") == 0
        assert high < Decimal(reference) if zone["side"] == "buy" else low > Decimal(reference)
    sides = {zone["side"] for zone in decision["zones"]}
    stances = {(): "stand_aside", ("buy",): "bid_only", ("sell",): "ask_only", ("buy", "sell"): "two_sided"}
    assert decision["stance"] == stances[tuple(sorted(sides))]
    assert not decision["zones"] or sum(Decimal(str(zone["weight"])) for zone in decision["zones"]) == 1


def test_a_style_lasts_its_half_life() -> None:
    """Half-life 10 over 20,000 draws: one draw to the next the same in 0.9330 + 0.0670 / 6, within four deviations."""
    styles = StyleSequence(3, 10.0)
    styles_drawn = [styles.draw() for _ in range(20_000)]
    same = sum(a == b for a, b in pairwise(styles_drawn)) / 19_999
    expected = 0.5**0.1 + (1 - 0.5**0.1) / 6
    assert same == pytest.approx(expected, abs=4 * (expected * (1 - expected) / 20_000) ** 0.5)
    assert {styles_drawn.count(style) > 1_500 for style in STYLES} == {True}


def test_the_seed_decides_and_repeats_differ() -> None:
    """Two models with one seed say the same bytes; one model asked twelve times does not always say the same."""
    first, second = a_model(seed=5), a_model(seed=5)
    replies = [message_of(sent_to(first, asks_decision())[1])["content"] for _ in range(12)]
    again = [message_of(sent_to(second, asks_decision())[1])["content"] for _ in range(12)]
    assert replies == again
    assert len(set(replies)) >= 3


def test_at_temperature_zero_repeats_are_equal_but_thinking_ignores_it() -> None:
    """Twelve cold decisions are one; with thinking on the temperature does nothing."""
    model = a_model(seed=5)
    cold = {message_of(sent_to(model, asks_decision(temperature=0))[1])["content"] for _ in range(12)}
    thinking = {message_of(sent_to(model, asks_decision(temperature=0, **THINKING))[1])["content"] for _ in range(12)}
    assert len(cold) == 1
    assert len(thinking) >= 3


def test_two_results_give_two_sentences() -> None:
    """A verdict on both tools names both."""
    calls = {**call_turn("c0"), "tool_calls": call_turn("c0")["tool_calls"] + call_turn("c1", name=FLOW)["tool_calls"]}
    body = chat(user("Look."), calls, answer_turn("c0"), answer_turn("c1", '{"cvd":{"60min":"-1.5","1min":"2"}}'))
    lines = message_of(sent_to(a_model(), body)[1])["content"].split("\n")
    assert lines[1] == "What stands out (orderflow_analysys): cvd.1min = 2."
