"""Every fault of the simulated model, alone and three at once: no exception, no blocked minute, no unsound advice."""

import time
from typing import Any

import msgspec
import numpy as np
import pytest

from agents.llm.conversation.dialogue import ModelOptions
from agents.recommendation import violations
from eventlog.facts.model import MODEL_CALL, MODEL_DECISION
from simulators.model.faults import FAULTS
from tests.model_server import KEY, asking, at, minutes, model_server, shortened

INTERVAL_S = 2.4
DEADLINE_S = 2.0
MAX_OVER_S = 0.5

RETRIED = {
    "http_429": "rate_limited", "http_429_retry_after": "rate_limited", "http_500": "server_error",
    "http_503": "overloaded", "http_503_retry_after": "overloaded", "blank_content": "blank", "aborted": "aborted",
    "insufficient_system_resource": "no_resource", "no_choices": "no_choice", "choices_null": "no_choice",
    "message_null": "no_choice", "html_body": "not_json", "invalid_utf8": "not_json", "empty_body": "not_json",
    "truncated_body": "unreachable", "reset_before_headers": "unreachable", "reset_after_headers": "unreachable",
}  # fmt: skip
"""What every attempt comes to, again and again until attempts or time run out."""

FINAL = {
    "http_400": "bad_request", "http_401": "unauthorised", "http_402": "no_balance", "http_422": "bad_request",
    "content_filter": "filtered", "huge_body": "too_large",
}  # fmt: skip
"""What one attempt comes to, and no second is made."""

SLOW = {"slow_first_byte", "keep_alive_forever", "keep_alive"}
HARMLESS = {
    "usage_missing", "usage_absurd", "wrong_model", "fingerprint_changes", "no_reasoning", "same_tool_twice",
    "second_tool", "fenced", "same_call_id",
}  # fmt: skip
"""What a decision survives."""

NOT_LED = {
    "calls_as_tokens": "no_tool_call", "calls_as_json_text": "no_tool_call", "no_tool_call": "no_tool_call",
    "bad_arguments": "bad_arguments", "arguments_off_schema": "bad_arguments", "unknown_tool": "bad_arguments",
}  # fmt: skip
"""What the conversation has to mend, and gives up in the end."""

DECISIONS = {name for name, fault in FAULTS.items() if fault.stage == "decision"} | {"prose_around"}


def struck(
    *rules: dict[str, Any], how: ModelOptions | None = None
) -> tuple[Any, list[dict[str, Any]], dict[str, Any], float]:
    """One minute under rules: the advice, the calls on record, how it ended, and how long it took."""
    view = shortened(minutes(1)[0], INTERVAL_S)
    with model_server() as server:
        server.set_rules(list(rules))
        with asking(server.base_url, how or ModelOptions("deepseek-flash", "compact")) as asked:
            at(asked, view)
            began = time.monotonic()
            advice = asked.decide(view)
            took = time.monotonic() - began
            assert violations(advice, view) == []
            facts = list(asked.facts())
        facts += asked.facts()
    calls = [msgspec.json.decode(f.data) for f in facts if f.kind == MODEL_CALL]
    (ended,) = [msgspec.json.decode(f.data) for f in facts if f.kind == MODEL_DECISION]
    assert not any(KEY.encode() in fact.data for fact in facts)
    assert KEY not in repr(asked.analyst.status())
    return advice, calls, ended, took


def test_every_fault_has_its_expectation() -> None:
    """The tables above name every fault there is; a new one must be given a place."""
    named = [*RETRIED, *FINAL, *SLOW, *HARMLESS, *NOT_LED, *DECISIONS, "length", "answer_in_reasoning"]
    assert sorted(named) == sorted(FAULTS)


@pytest.mark.parametrize("name", sorted(RETRIED))
def test_passing_faults_are_tried_again_within_the_minute(name: str) -> None:
    """Attempts are made as long as time is left, each on record with its verdict; then the rules answer."""
    advice, calls, _, took = struck({"fault": name})
    assert advice.fallback is not None
    assert {c["verdict"] for c in calls} <= {RETRIED[name], "timeout"}
    assert calls[0]["verdict"] == RETRIED[name]
    assert [c["attempt"] for c in calls] == list(range(1, len(calls) + 1))
    assert took <= DEADLINE_S + MAX_OVER_S


@pytest.mark.parametrize("name", sorted(RETRIED))
def test_passing_faults_that_pass_leave_no_trace_in_the_advice(name: str) -> None:
    """One bad answer and then good ones: the model's own decision stands."""
    advice, calls, _, _ = struck({"fault": name, "times": 1})
    assert advice.fallback is None
    assert [c["verdict"] for c in calls[:2]] == [RETRIED[name], "ok"]


@pytest.mark.parametrize("name", sorted(FINAL))
def test_faults_that_stay_are_not_tried_again(name: str) -> None:
    """One attempt, and the rules answer at once."""
    advice, calls, _, took = struck({"fault": name})
    assert [c["verdict"] for c in calls] == [FINAL[name]]
    assert advice.fallback is not None
    assert took < 1.5


@pytest.mark.parametrize("name", sorted(SLOW))
def test_a_slow_server_cannot_stretch_the_minute(name: str) -> None:
    """Silence or blank lines that keep the line alive: the deadline stands."""
    advice, _, _, took = struck({"fault": name, "seconds": 30.0})
    assert advice.fallback is not None
    assert DEADLINE_S - 0.1 <= took <= DEADLINE_S + MAX_OVER_S


@pytest.mark.parametrize("name", sorted(NOT_LED))
def test_a_model_that_cannot_be_led_is_given_up(name: str) -> None:
    """Bounded repair, each round on record by what was wrong, and then the rules."""
    advice, calls, ended, _ = struck({"fault": name})
    assert advice.fallback is not None
    assert NOT_LED[name] in ended["anomalies"]
    assert 2 <= len(calls) <= 4


@pytest.mark.parametrize("name", sorted(NOT_LED))
def test_a_model_that_slips_once_is_led_on(name: str) -> None:
    """One slip is mended, and the model's own decision stands."""
    advice, _, ended, _ = struck({"fault": name, "times": 1})
    assert advice.fallback is None
    assert NOT_LED[name] in ended["anomalies"]


@pytest.mark.parametrize("name", sorted(DECISIONS))
def test_bad_decisions_are_refused_with_reasons_and_mended_once(name: str) -> None:
    """Twice bad: the rules, and the reasons on record. Once bad: the mended one counts."""
    advice, _, ended, _ = struck({"fault": name})
    assert str(advice.fallback).startswith("the decision was refused twice")
    assert len(ended["refusals"]) >= 2
    advice, _, ended, _ = struck({"fault": name, "times": 1})
    assert advice.fallback is None
    assert ended["anomalies"] == ["decision_refused"]


@pytest.mark.parametrize("name", sorted(HARMLESS))
@pytest.mark.parametrize("thinking", [False, True])
def test_what_does_no_harm_does_none(name: str, thinking: bool) -> None:
    """The model's decision stands."""
    advice, calls, _, _ = struck({"fault": name}, how=ModelOptions("deepseek-flash", "compact", thinking))
    assert advice.fallback is None
    assert {c["verdict"] for c in calls} == {"ok"}


@pytest.mark.parametrize("name", ["length", "answer_in_reasoning"])
def test_half_an_answer_is_none(name: str) -> None:
    """A reply that was cut, or that is only thoughts, never becomes advice."""
    thinking = name == "answer_in_reasoning"
    advice, _, _, took = struck({"fault": name}, how=ModelOptions("deepseek-flash", "compact", thinking))
    assert advice.fallback is not None
    assert took <= DEADLINE_S + MAX_OVER_S


@pytest.mark.parametrize("seed", range(20))
def test_three_faults_at_once(seed: int) -> None:
    """Any three together, each on every other request: still sound advice in time."""
    chosen = np.random.default_rng([seed, 3]).choice(sorted(FAULTS), 3, replace=False).tolist()
    advice, _, _, took = struck(*({"fault": name, "when": {"every": 1 + n}} for n, name in enumerate(chosen)))
    assert took <= DEADLINE_S + MAX_OVER_S
    assert advice.analyst == "deepseek"


def test_without_balance_the_process_asks_no_more() -> None:
    """402 once: the next minute sends nothing, and says why."""
    with model_server() as server:
        server.set_rules([{"fault": "http_402"}])
        with asking(server.base_url, ModelOptions("deepseek-flash", "compact")) as asked:
            for view in minutes(3):
                advice = asked.decide(at(asked, view))
            assert server.model.ledger.total == 1
            assert "402" in str(asked.analyst.status()["stopped"])
            assert str(advice.fallback).startswith("no_balance")


def test_status_says_what_the_server_refused_with_until_it_replies_again() -> None:
    """The operator sees the server's own words beside the counts; they go when it answers."""
    with model_server() as server, asking(server.base_url, ModelOptions("deepseek-flash", "compact")) as asked:
        first, second = minutes(2)
        server.set_rules([{"fault": "http_400"}])
        asked.decide(at(asked, first))
        assert "HTTP 400" in str(asked.analyst.status()["trouble"])
        server.set_rules([])
        asked.decide(at(asked, second))
        assert asked.analyst.status()["trouble"] is None
