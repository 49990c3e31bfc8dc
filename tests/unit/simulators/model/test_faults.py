"""Every fault of a decision, a message or its JSON, seen in the reply; those of the wire need a wire to be seen."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.llm.conversation.tools import DEPTH, FLOW
from agents.llm.wire.api import read_reply
from simulators.model.faults import FAULTS
from tests.unit.simulators.model.chats import (
    MATERIAL,
    a_model,
    asks_both,
    asks_decision,
    asks_depth,
    asks_verdict,
    message_of,
    sent_to,
)

Body = dict[str, Any]
See = Callable[[Body], bool]

THINKING = {"thinking": {"type": "enabled"}}


def reply_with(fault: str, body: Body) -> Body:
    """The reply to a request that triggers a fault."""
    return sent_to(a_model({"fault": fault}), body)[1]


def first_zone(decision: Body) -> Body:
    """The first zone of a decision; sound, it is a buy at 83000 to 83010 at most, from Z0."""
    zone: Body = decision["zones"][0]
    return zone


IN_DECISIONS: dict[str, See] = {
    "empty_decision": lambda d: d == {},
    "off_grid_price": lambda d: first_zone(d)["low"] in ("83000.00005", "83005.00005"),
    "invented_level": lambda d: float(first_zone(d)["high"]) < 76_000,
    "wrong_side": lambda d: first_zone(d)["side"] == "sell" and float(first_zone(d)["high"]) < 83_412,
    "weights_off": lambda d: sum(z["weight"] for z in d["zones"]) > 1.4,
    "negative_weight": lambda d: first_zone(d)["weight"] < 0,
    "text_weight": lambda d: first_zone(d)["weight"] == "most",
    "nan_price": lambda d: first_zone(d)["low"] != first_zone(d)["low"],
    "negative_price": lambda d: first_zone(d)["low"].startswith("-83"),
    "inverted_zone": lambda d: float(first_zone(d)["low"]) == float(first_zone(d)["high"]) + 1,
    "stale_reference": lambda d: d["reference"] == "84246.62",
    "extra_fields": lambda d: {"confidence"} < set(d) and all("leverage" in z for z in d["zones"]),
    "missing_field": lambda d: set(d) == {"reference", "reason", "zones"},
    "unknown_evidence": lambda d: first_zone(d)["evidence"] == ["Z99", "Wb77"],
    "no_evidence": lambda d: first_zone(d)["evidence"] == [],
    "other_stance": lambda d: d["stance"] == "bid_only" and {z["side"] for z in d["zones"]} == {"buy", "sell"},
}

IN_REPLIES: dict[str, tuple[Body, See]] = {
    "prose_around": (asks_decision(), lambda r: message_of(r)["content"].startswith("Here is my decision")),
    "fenced": (asks_decision(), lambda r: message_of(r)["content"].startswith("```json\n{")),
    "blank_content": (asks_decision(), lambda r: finish_of(r) == "stop" and not message_of(r)["content"].strip()),
    "content_filter": (asks_verdict(), lambda r: (finish_of(r), message_of(r)["content"]) == ("content_filter", "")),
    "length": (asks_decision(), lambda r: finish_of(r) == "length" and is_cut(r)),
    "aborted": (asks_decision(), lambda r: finish_of(r) == "aborted" and is_cut(r)),
    "insufficient_system_resource": (
        asks_decision(), lambda r: finish_of(r) == "insufficient_system_resource" and is_cut(r)),
    "calls_as_tokens": (
        asks_depth(), lambda r: "<｜tool▁calls▁begin｜>" in message_of(r)["content"] and names_called(r) == []),
    "calls_as_json_text": (asks_depth(), lambda r: '{"tool_calls": [{"name"' in message_of(r)["content"]),
    "bad_arguments": (asks_depth(), lambda r: arguments(r) == ['{"symbol": "BTC']),
    "arguments_off_schema": (asks_depth(), lambda r: arguments(r) == ['{"symbol": 7, "depth": "all"}']),
    "unknown_tool": (asks_depth(), lambda r: names_called(r) == ["web_search"]),
    "same_tool_twice": (asks_depth(), lambda r: names_called(r) == [DEPTH, DEPTH]),
    "second_tool": (asks_depth(), lambda r: names_called(r) == [DEPTH, FLOW]),
    "no_tool_call": (asks_depth(), lambda r: names_called(r) == [] and finish_of(r) == "stop"),
    "no_reasoning": (asks_decision(**THINKING), lambda r: "reasoning_content" not in message_of(r)),
    "answer_in_reasoning": (
        asks_decision(**THINKING),
        lambda r: message_of(r)["content"] == "" and '"zones"' in message_of(r)["reasoning_content"]),
    "same_call_id": (asks_both(), lambda r: len({c["id"] for c in message_of(r)["tool_calls"]}) == 1),
    "no_choices": (asks_depth(), lambda r: r["choices"] == []),
    "choices_null": (asks_depth(), lambda r: r["choices"] is None),
    "message_null": (asks_depth(), lambda r: message_of(r) is None),
    "usage_missing": (asks_depth(), lambda r: "usage" not in r),
    "usage_absurd": (asks_depth(), lambda r: r["usage"]["prompt_tokens"] == -5),
    "wrong_model": (asks_depth(), lambda r: r["model"] == "deepseek-lite"),
    "fingerprint_changes": (asks_depth(), lambda r: r["system_fingerprint"] == "fp_0123456789_changed"),
}  # fmt: skip


def finish_of(reply: Body) -> str:
    """The finish_reason of a reply."""
    reason: str = reply["choices"][0]["finish_reason"]
    return reason


def names_called(reply: Body) -> list[str]:
    """The tools a reply calls."""
    return [call["function"]["name"] for call in message_of(reply).get("tool_calls", [])]


def arguments(reply: Body) -> list[str]:
    """The arguments of the calls of a reply."""
    return [call["function"]["arguments"] for call in message_of(reply)["tool_calls"]]


def is_cut(reply: Body) -> bool:
    """Whether a decision ends before its JSON does."""
    content: str = message_of(reply)["content"]
    return content.startswith("{") and not content.endswith("}")


def test_every_pure_fault_is_looked_for() -> None:
    """The tables here hold all faults of these stages, and no others."""
    stages = {"decision": set(IN_DECISIONS), "replies": set(IN_REPLIES)}
    assert stages["decision"] == {f.name for f in FAULTS.values() if f.stage == "decision"}
    assert stages["replies"] == {f.name for f in FAULTS.values() if f.stage in ("draft", "body")}


@pytest.mark.parametrize("fault", IN_DECISIONS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_decision_has_its_fault_and_only_with_it(fault: str, seed: int) -> None:
    """The decision with the fault shows it; the same one without does not."""
    faulty = sent_to(a_model({"fault": fault}, seed=seed), asks_decision())[1]
    sound = sent_to(a_model(seed=seed), asks_decision())[1]
    assert IN_DECISIONS[fault](json.loads(message_of(faulty)["content"]))
    assert not IN_DECISIONS[fault](json.loads(message_of(sound)["content"]))


@pytest.mark.parametrize("fault", IN_REPLIES)
def test_a_reply_has_its_fault_and_only_with_it(fault: str) -> None:
    """The reply with the fault shows it; the same one without does not."""
    body, shows = IN_REPLIES[fault]
    assert shows(reply_with(fault, body))
    assert not shows(sent_to(a_model(), body)[1])


@pytest.mark.parametrize("fault", [name for name in IN_DECISIONS if name not in ("empty_decision", "missing_field")])
def test_a_fault_of_zones_shows_where_there_are_none(fault: str) -> None:
    """Without candidates the decision is still changed, so that every scripted fault is visible."""
    nothing = {**MATERIAL, "candidates": []}
    faulty = message_of(reply_with(fault, asks_decision(nothing)))["content"]
    assert faulty != message_of(sent_to(a_model(), asks_decision(nothing))[1])["content"]


def test_a_thinking_model_may_call_nothing() -> None:
    """Free to choose, with the fault, a thinking reply has reasoning, a sentence, and no call."""
    reply = reply_with("no_tool_call", asks_both(tool_choice="auto", **THINKING))
    assert (names_called(reply), finish_of(reply)) == ([], "stop")
    assert set(message_of(reply)) == {"role", "content", "reasoning_content"}


@pytest.mark.parametrize("fault", ["length", "aborted", "insufficient_system_resource"])
def test_a_call_is_cut_in_its_arguments(fault: str) -> None:
    """Of a reply that calls tools the last one's arguments end half way; reasoning stays whole."""
    reply = reply_with(fault, asks_both(tool_choice="auto", **THINKING))
    assert arguments(reply) == ['{"symbol": "BTCFDUSD"}', '{"symbol": ']
    assert message_of(reply)["reasoning_content"].endswith(f"{DEPTH}, {FLOW}.")
    assert finish_of(reply) == fault


def test_a_lone_call_loses_its_id() -> None:
    """With one call in the reply the id is empty."""
    assert [c["id"] for c in message_of(reply_with("same_call_id", asks_depth()))["tool_calls"]] == [""]


PURE = sorted(set(IN_DECISIONS) | set(IN_REPLIES))
BODIES = {"call": asks_both(tool_choice="auto", **THINKING), "plain call": asks_depth(), "verdict": asks_verdict(),
          "decision": asks_decision(), "thinking": asks_decision(**THINKING)}  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PURE), min_size=1, max_size=4), st.sampled_from(sorted(BODIES)))
def test_any_faults_together_still_make_a_reply(faults: list[str], kind: str) -> None:
    """Several faults at once, the same twice included: status 200, JSON, and usage that names no less than nothing."""
    model = a_model(*({"fault": fault} for fault in faults))
    status, reply = sent_to(model, BODIES[kind])
    assert (status, reply["object"]) == (200, "chat.completion")
    unreadable = {"no_choices", "choices_null", "message_null"} & set(faults)
    assert unreadable or read_reply(json.dumps(reply)).usage.completion >= 0
