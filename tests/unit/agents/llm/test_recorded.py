"""The recorded analyst: what the record decides, and what it refuses to guess."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from agents.llm.conversation.dialogue import ModelOptions, Outcome, Turn, converse, proceed
from agents.llm.conversation.prompts import BadPrompts, Prompts, load
from agents.llm.conversation.tools import DEPTH, FLOW
from agents.llm.recorded import MissingCall, RecordedAnalyst, RecordedMinute
from agents.llm.to_advice import advice_of
from agents.llm.wire.api import digest_of, read_reply
from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from tests.market_builders import a_piece, a_view, meeting

PIECES = (a_piece("Wb0", 99.4, 99.6, 99.5),)
VIEW = a_view(PIECES, zones=meeting(PIECES))
PARAMETERS = Parameters()


def no_prompts() -> Prompts:
    """Prompts that are gone."""
    raise BadPrompts("no prompts at mine/en")


def analyst_of(minute: RecordedMinute | None, read_prompts=lambda: load("default", "en")) -> RecordedAnalyst:  # type: ignore[no-untyped-def]
    """An analyst whose record holds one minute."""
    tape = {} if minute is None else {VIEW.as_of_seq: minute}
    return RecordedAnalyst(tape, read_prompts, ModelOptions("m"), RulesAnalyst(PARAMETERS), PARAMETERS, "deepseek")


def test_what_was_cut_from_outside_is_taken_from_the_record() -> None:
    """Time and money cannot be computed again: the reason, and the prompts of then, are the record's; none are read."""
    minute = RecordedMinute(decided=True, prompt_digest="old", fallback="no_budget: spent", cut=True)
    advice = analyst_of(minute, no_prompts).decide(VIEW)
    assert (advice.fallback, advice.prompt_digest) == ("no_budget: spent", "old")


def test_where_nobody_could_be_asked_nobody_is() -> None:
    """A view without zones has its reason in itself."""
    minute = RecordedMinute(decided=True, prompt_digest="old", fallback="anything")
    assert analyst_of(minute, no_prompts).decide(a_view()).fallback == "no evidence within reach of the price"


def test_a_reply_that_is_not_there_is_never_guessed() -> None:
    """Neither where the model decided, nor where it was refused, nor where prompts are gone."""
    for minute in (
        RecordedMinute(decided=True),
        RecordedMinute(decided=True, fallback="the decision was refused twice: x"),
    ):
        with pytest.raises(MissingCall, match="no recorded reply for the static request"):
            analyst_of(minute).decide(VIEW)
    with pytest.raises(MissingCall, match="cannot be read: no prompts at mine/en"):
        analyst_of(RecordedMinute(decided=True), no_prompts).decide(VIEW)
    with pytest.raises(MissingCall, match="no model was asked"):
        analyst_of(None).decide(VIEW)


ASIDE = '{"reference": "100", "stance": "stand_aside", "reason": "nothing holds", "zones": []}'
OTHER = ASIDE.replace("nothing holds", "nothing is near")


def says(content: str | None = None, tool: str = "", arguments: Any = None) -> str:
    """The body of a reply, with a call of a tool where one is named."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if tool:
        message["tool_calls"] = [
            {"id": "c1", "type": "function", "function": {"name": tool, "arguments": arguments}},
        ]
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "model": "m"})


def record(bodies: Sequence[str], normalise: bool) -> tuple[RecordedMinute, Outcome]:
    """A minute led with some replies, as it would have been recorded with fixes or before there were any."""
    minute = RecordedMinute(decided=True)
    dialogue = converse(VIEW, load("default", "en"), ModelOptions("m"), PARAMETERS, normalise)
    turn = proceed(dialogue)
    for body in bodies:
        assert isinstance(turn, Turn)
        minute.replies[digest_of(turn.request)] = body
        turn = proceed(dialogue, read_reply(body, normalise))
    assert isinstance(turn, Outcome)
    minute.fallback, minute.fixes = None if turn.decision else turn.reason, turn.fixes
    return minute, turn


GOOD = '{"symbol":"TESTUSDT"}'
OLD = [
    [says(None, DEPTH, GOOD), says("<think>hm</think>Bids."), says(None, FLOW, GOOD), says("V."), says(ASIDE)],
    [says(None, DEPTH, "{}"), says(None, DEPTH, GOOD), says("V."), says(None, FLOW, GOOD), says("V."), says(ASIDE)],
    [says(None, DEPTH, {"symbol": "TESTUSDT"}), says(None, DEPTH, GOOD), says("V."), says(None, FLOW, GOOD), says("V."),
     says(ASIDE)],
    [says(None, DEPTH, GOOD), says("V."), says(None, FLOW, GOOD), says("V."), says(f"```JSON\n{OTHER}\n```"),
     says(ASIDE)],
    [says(None, DEPTH, GOOD), says("V."), says(None, FLOW, GOOD), says("V."), says(f"<think>hm</think>{OTHER}"),
     says(f"<think>hm</think>{OTHER}")],
    [says(None, DEPTH, GOOD), says("V."), says(None, FLOW, GOOD), says("V."), says(f"```json\n{ASIDE}\n```")],
]  # fmt: skip


@pytest.mark.parametrize("bodies", OLD)
def test_records_from_before_the_mends_are_read_as_they_were(bodies: list[str]) -> None:
    """A shape that was refused, or taken as it came, then decides the same now, to the byte."""
    minute, outcome = record(bodies, normalise=False)
    advice = analyst_of(minute).decide(VIEW)
    expected = advice_of(VIEW, outcome, "deepseek", "", RulesAnalyst(PARAMETERS), PARAMETERS)
    assert advice.render() == expected.render()


NEW = [
    says(None, f"functions.{DEPTH}:0", {"symbol": "TESTUSDT"}),
    says("<think>hm</think>Bids."),
    "\ufeff" + says(None, FLOW, None),
    says("\ufeffV."),
    says(f"<think>hm</think>\n```js\r\n{ASIDE}\n```"),
]


@pytest.mark.parametrize("words_known", [True, False])
def test_mended_replies_decide_again_from_the_record(words_known: bool) -> None:
    """The same code reads the live reply and the recorded one; what was fixed is on record."""
    minute, outcome = record(NEW, normalise=True)
    assert outcome.decision is not None
    assert outcome.anomalies == [
        "tool_name", "arguments_as_object", "thoughts_in_text", "byte_order_mark", "no_arguments", "code_fence"
    ]  # fmt: skip
    if not words_known:
        minute.fixes = None
    assert analyst_of(minute).decide(VIEW).reason == "nothing holds"


def test_a_record_whose_words_are_lost_is_still_read() -> None:
    """No reading fits what it says of itself: the one that there is now counts."""
    minute, _ = record(NEW, normalise=True)
    minute.fixes = frozenset()
    assert analyst_of(minute).decide(VIEW).reason == "nothing holds"
