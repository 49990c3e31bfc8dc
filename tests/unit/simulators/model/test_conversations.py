"""The simulated model in the dialogue of whole minutes: its answers without faults pass the firewall at once."""

from functools import cache
from typing import Literal

import pytest

from agents.llm.conversation.dialogue import Mode, ModelOptions, Outcome, Turn, converse, proceed
from agents.llm.conversation.prompts import load
from agents.llm.firewall.admit import problem_of_view
from agents.llm.wire.api import encode_request, read_reply
from agents.rules import RulesAnalyst
from analysis.view import MarketView
from projections.state import MarketState, TickEntry
from runtime.decide import Decider
from runtime.loop import drive
from simulators.model.model import IncomingRequest, SimulatedModel
from tests.market_builders import SMALL, SMALL_WINDOWS, a_market, batches


@cache
def views() -> list[MarketView]:
    """The views of a random market's last forty minutes on which a model may be asked."""
    state, all_views = MarketState(SMALL_WINDOWS), list[MarketView]()
    decider = Decider("TESTUSDT", state, RulesAnalyst(SMALL), SMALL)

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        all_views.append(decider.decide(tick, now).view)

    drive(batches(a_market(11, 100)), state, on_tick)
    return [view for view in all_views[-40:] if problem_of_view(view) is None]


def hold_dialogue(
    model: SimulatedModel, view: MarketView, asking: ModelOptions, language: Literal["zh", "en"]
) -> tuple[Outcome, int]:
    """The outcome of a minute, and the number of its requests."""
    dialogue = converse(view, load("default", language), asking, SMALL)
    turn, count = proceed(dialogue), 0
    while isinstance(turn, Turn):
        count += 1
        answer, _ = model.answer(
            IncomingRequest("/chat/completions", "Bearer k", None, 0, encode_request(turn.request))
        )
        turn = proceed(dialogue, read_reply(answer.body))
    return turn, count


@pytest.mark.parametrize(("mode", "requests"), [("staged", 5), ("compact", 2)])
@pytest.mark.parametrize("thinking", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("language", ["en", pytest.param("zh", marks=pytest.mark.slow)])
def test_every_minute_is_decided_without_a_repair(
    mode: Mode, requests: int, thinking: bool, language: Literal["zh", "en"]
) -> None:
    """Each view ends in zones after the fewest requests there can be, nothing repaired, no number invented."""
    model = SimulatedModel(seed=3)
    ends = [hold_dialogue(model, view, ModelOptions("deepseek-flash", mode, thinking), language) for view in views()]
    assert len(ends) > 20
    assert {count for _, count in ends} == {requests}
    assert [outcome.reason for outcome, _ in ends if outcome.decision is None] == []
    assert [(o.anomalies, o.refusals, o.ungrounded) for o, _ in ends] == [([], [], 0)] * len(ends)
    assert sum(outcome.numbers for outcome, _ in ends) > 40
    assert {entry.language for entry in model.ledger.entries} == {language}
    assert {entry.status for entry in model.ledger.entries} == {200}
