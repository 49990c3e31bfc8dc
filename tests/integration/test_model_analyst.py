"""The model analyst against the simulated model, over real sockets: sixty minutes in every mode and language."""

from itertools import product
from typing import Any

import msgspec
import pytest

from agents.llm.client.budget import Limits
from agents.llm.conversation.dialogue import ModelOptions
from agents.llm.conversation.tools import DEPTH, FLOW
from agents.recommendation import violations
from eventlog.facts.model import MODEL_CALL, MODEL_DECISION
from tests.model_server import asking, at, minutes, model_server, shortened

MINUTES = 60


PAIRS = {("staged", False, "zh"), ("staged", True, "en"), ("compact", False, "en"), ("compact", True, "zh")}
"""Each two of mode, thinking and language meet in one of these; the other four are for the long tests."""


@pytest.mark.parametrize(
    ("mode", "thinking", "language"),
    [
        pytest.param(*how, marks=() if how in PAIRS else pytest.mark.soak)
        for how in product(("staged", "compact"), (False, True), ("zh", "en"))
    ],
)
def test_every_minute_gets_a_sound_decision(mode: Any, thinking: bool, language: Any) -> None:
    """Sixty ticks, sixty lawful recommendations by the model itself; both tools called, the book first."""
    with (
        model_server() as server,
        asking(server.base_url, ModelOptions("deepseek-flash", mode, thinking), language) as asked,
    ):
        for view in minutes(MINUTES):
            advice = asked.decide(at(asked, view))
            assert (advice.analyst, advice.fallback) == ("deepseek", None)
            assert violations(advice, view) == []
        facts = [f for f in asked.facts() if f.kind == MODEL_CALL]
    called: dict[int, list[str]] = {}
    for fact in facts:
        call = msgspec.json.decode(fact.data)
        assert call["verdict"] == "ok"
        for made in msgspec.json.decode(call["reply"])["choices"][0]["message"].get("tool_calls") or ():
            called.setdefault(call["market_seq"], []).append(made["function"]["name"])
    assert list(called.values()) == [[DEPTH, FLOW]] * MINUTES
    assert len(facts) == MINUTES * (5 if mode == "staged" else 2)


def test_the_deadline_is_kept_and_the_late_reply_is_logged() -> None:
    """A model slower than the minute: the rules answer in time, marked; what came late is on record, unpublished."""
    view = shortened(minutes(1)[0], 1.2)
    with (
        model_server(latency_ms=1_400) as server,
        asking(server.base_url, ModelOptions("deepseek-flash", "compact")) as asked,
    ):
        advice = asked.decide(at(asked, view))
        assert advice.fallback == "the model had not answered at the deadline" or "timeout" in str(advice.fallback)
        assert violations(advice, view) == []
        late = wait_for_late(asked)
    assert late["verdict"] == "late"
    assert late["reply"] is not None


def wait_for_late(asked: Any) -> dict[str, Any]:
    """The first call on record, waited for."""
    import time

    until = time.monotonic() + 5
    while time.monotonic() < until:
        for fact in asked.facts():
            if fact.kind == MODEL_CALL:
                return dict(msgspec.json.decode(fact.data))
        time.sleep(0.02)
    raise AssertionError("no call was recorded")


def test_a_tick_reached_late_asks_nobody() -> None:
    """After the deadline no request is sent, and the record says why the rules answered."""
    view = minutes(1)[0]
    with model_server() as server, asking(server.base_url, ModelOptions("deepseek-flash")) as asked:
        at(asked, view)
        asked.clock.advance(view.interval_ns)
        assert asked.decide(view).fallback == "the tick was reached too late to ask"
        (fact,) = asked.facts()
        assert fact.kind == MODEL_DECISION
        assert server.model.ledger.total == 0


def test_the_budget_fails_closed() -> None:
    """Beyond the limit the rules answer, and not one byte is sent."""
    limits = Limits(tokens_per_day=5)
    with model_server() as server, asking(server.base_url, ModelOptions("deepseek-flash"), "en", limits) as asked:
        advice = asked.decide(at(asked, minutes(1)[0]))
        assert advice.fallback is not None
        assert "tokens_per_day" in advice.fallback
        assert server.model.ledger.total == 0


def test_prompts_are_cached_and_the_share_is_measured() -> None:
    """What stays the same from minute to minute comes first, so the provider's cache holds part of every prompt."""
    with model_server() as server, asking(server.base_url, ModelOptions("deepseek-flash", "compact")) as asked:
        for view in minutes(5):
            asked.decide(at(asked, view))
        share = asked.budget.cache_hit_share
    assert share is not None
    assert share > 0.1
