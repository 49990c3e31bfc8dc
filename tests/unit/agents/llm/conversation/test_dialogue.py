"""The three steps: which requests are made of which replies, and what a model that will not be led comes to."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from agents.llm.conversation.dialogue import ModelOptions, Outcome, Turn, converse, proceed
from agents.llm.conversation.prompts import load
from agents.llm.conversation.tools import DEPTH, FLOW, candidates_json, tool_result
from agents.llm.wire.api import Reply, Usage, digest_of, encode_request
from analysis.parameters import Parameters
from analysis.view import MarketView
from tests.market_builders import a_piece, a_view, meeting

EN = load("default", "en")
STAGED, COMPACT = ModelOptions("deepseek-flash"), ModelOptions("deepseek-flash", mode="compact")
THINKING = ModelOptions("deepseek-flash", thinking=True)

PIECES = (a_piece("Wb0", 99.4, 99.6, 99.5), a_piece("Wa0", 100.4, 100.6, 100.5))
VIEW = a_view(PIECES, zones=meeting(PIECES), depth={"id": "D", "mid": "100"}, order_flow={"id": "O"})


def says(content: str | None = None, *calls: tuple[str, str], **more: Any) -> Reply:
    """A reply with a text and calls of tools by name and arguments."""
    message: dict[str, Any] = {"role": "assistant", "content": content, **more}
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(calls)
        ]
    return Reply(message, "tool_calls" if calls else "stop", "deepseek-flash-1017", "fp", Usage())


GOOD = '{"symbol": "TESTUSDT"}'
DECISION = json.dumps(
    {
        "reference": "100",
        "stance": "bid_only",
        "reason": "Wb0 holds",
        "zones": [
            {"side": "buy", "low": "99.47", "high": "99.53", "weight": 1, "evidence": ["Z0"], "reason": "Wb0 holds"}
        ],
    }
)
ASIDE = json.dumps({"reference": "100", "stance": "stand_aside", "reason": "nothing holds", "zones": []})


def lead(
    replies: Sequence[Reply | Callable[[Turn], Reply]], asking: ModelOptions = STAGED, view: MarketView = VIEW
) -> tuple[list[Turn], Outcome]:
    """Hand replies over in order; every one must be used."""
    dialogue = converse(view, EN, asking, Parameters())
    turns = [next(dialogue)]
    for reply in replies[:-1]:
        turns.append(dialogue.send(reply(turns[-1]) if callable(reply) else reply))
    last = replies[-1]
    with pytest.raises(StopIteration) as end:
        dialogue.send(last(turns[-1]) if callable(last) else last)
    return turns, end.value.value


def test_staged_is_five_requests_in_order() -> None:
    """Book, verdict, flow, verdict, decision; tools are forced by name, and each result is the view's own bytes."""
    turns, outcome = lead(
        [says(None, (DEPTH, GOOD)), says("Wb0 stands."), says(None, (FLOW, GOOD)), says("Balanced."), says(DECISION)]
    )
    assert [t.agent for t in turns] == ["static", "static", "dynamic", "dynamic", "decision"]
    choices = [t.request.get("tool_choice") for t in turns]
    assert choices == [
        {"type": "function", "function": {"name": DEPTH}}, "none",
        {"type": "function", "function": {"name": FLOW}}, "none", None,
    ]  # fmt: skip
    tool_messages = [m for t in turns for m in t.request["messages"] if m["role"] == "tool"]
    assert [a["content"] for a in tool_messages] == [tool_result(DEPTH, VIEW), tool_result(FLOW, VIEW)]
    last = turns[-1].request
    assert last["response_format"] == {"type": "json_object"}
    contents = last["messages"][-1]["content"]
    assert all(
        part in contents for part in ("Wb0 stands.", "Balanced.", candidates_json(VIEW), tool_result(FLOW, VIEW))
    )
    assert outcome.decision is not None
    assert (outcome.model, outcome.reason, outcome.anomalies) == ("deepseek-flash-1017", "", [])
    assert [(z.low_e8, z.high_e8) for z in outcome.decision.zones] == [(9_947_000_000, 9_953_000_000)]


def test_compact_asks_both_tools_at_once() -> None:
    """One request for both tools, answered in their order, and one for the decision in the same conversation."""
    turns, outcome = lead([says(None, (DEPTH, GOOD), (FLOW, GOOD)), says(DECISION)], COMPACT)
    assert [t.request["tool_choice"] for t in turns] == ["required", "none"]
    roles = [m["role"] for m in turns[1].request["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user"]
    assert outcome.decision is not None


def test_compact_asks_for_the_tool_that_was_left_out() -> None:
    """A model that calls one tool is made to call the other by name."""
    turns, outcome = lead([says(None, (FLOW, GOOD)), says(None, (DEPTH, GOOD)), says(ASIDE)], COMPACT)
    assert turns[1].request["tool_choice"] == {"type": "function", "function": {"name": DEPTH}}
    assert outcome.decision is not None


def test_thinking_forces_nothing_and_gives_its_thoughts_back() -> None:
    """While thinking no tool is forced and no temperature is sent; reasoning goes back with every earlier turn."""
    turns, _ = lead(
        [
            says(None, (DEPTH, GOOD), reasoning_content="first thought"),
            says("Verdict.", reasoning_content="second thought"),
            says(None, (FLOW, GOOD), reasoning_content="third"),
            says("Verdict.", reasoning_content="fourth"),
            says(ASIDE, reasoning_content="fifth"),
        ],
        THINKING,
    )
    assert not any("tool_choice" in t.request or "temperature" in t.request for t in turns)
    assert all(t.request["thinking"] == {"type": "enabled"} for t in turns)
    assistant = next(m for m in turns[1].request["messages"] if m["role"] == "assistant")
    assert assistant["reasoning_content"] == "first thought"


def test_no_tool_call_is_asked_for_again_and_then_given_up() -> None:
    """A model that answers in prose is told to call the tool; three times is enough."""
    turns, outcome = lead([says("I think the book is fine.")] * 3, THINKING)
    assert turns[1].request["messages"][-1]["content"].startswith("Nothing was looked up. Call depth_snapshot")
    assert outcome.decision is None
    assert outcome.reason == "depth_snapshot_analytsis was not called soundly"
    assert outcome.anomalies == ["no_tool_call"] * 3


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ('{"symbol": "BTC', "not JSON"),
        ("", "not JSON"),
        ('{"symbol": "ETHUSDT"}', "do not fit"),
        ('{"symbol": "TESTUSDT", "minutes": 5}', "do not fit"),
        ("[]", "do not fit"),
        ("[" * 5_000, "not JSON"),
    ],
)
def test_bad_arguments_are_answered_with_what_is_wrong(arguments: str, answer: str) -> None:
    """The call is answered, as the API demands, with the fault; the tool is called again."""
    turns, outcome = lead(
        [says(None, (DEPTH, arguments)), says(None, (DEPTH, GOOD)), says("V."), says(None, (FLOW, GOOD)), says("V."),
         says(ASIDE)]
    )  # fmt: skip
    assert answer in turns[1].request["messages"][-1]["content"]
    assert outcome.anomalies == ["bad_arguments"]
    assert outcome.decision is not None


@pytest.mark.parametrize("arguments", ["{}", " { } ", "{\n}"])
def test_a_call_without_arguments_is_noted_and_answered(arguments: str) -> None:
    """The only argument has one value, so nothing is guessed; that it was left out is on record, once."""
    _, outcome = lead(
        [says(None, (DEPTH, arguments)), says("V."), says(None, (FLOW, arguments)), says("V."), says(ASIDE)]
    )
    assert outcome.decision is not None
    assert outcome.anomalies == ["no_arguments"]
    assert outcome.fixes == {"no_arguments"}


def test_mends_are_on_record_once_a_kind() -> None:
    """What a reply needed to be read is among the anomalies, whatever reply it was."""
    normalised = replace(says("V."), fixes=("content_in_parts",))
    _, outcome = lead(
        [says(None, (DEPTH, GOOD)), normalised, says(None, (FLOW, GOOD)), normalised, says(f"```JS\r\n{ASIDE}```")]
    )
    assert outcome.decision is not None
    assert outcome.anomalies == ["content_in_parts", "code_fence"]


def test_unmended_a_record_reads_as_it_did() -> None:
    """Without fixes a call without arguments is answered with its fault, and a strange fence is refused."""
    dialogue = converse(VIEW, EN, STAGED, Parameters(), normalise=False)
    proceed(dialogue)
    turn = proceed(dialogue, says(None, (DEPTH, "{}")))
    assert isinstance(turn, Turn)
    assert "do not fit" in turn.request["messages"][-1]["content"]
    for reply in (says(None, (DEPTH, GOOD)), says("V."), says(None, (FLOW, GOOD)), says("V.")):
        proceed(dialogue, reply)
    turn = proceed(dialogue, says(f"```JS\n{ASIDE}\n```"))
    assert isinstance(turn, Turn)
    assert "was refused" in turn.request["messages"][-1]["content"]


def test_a_tool_that_was_not_offered_shows_nothing() -> None:
    """The static agent cannot reach the order flow."""
    turns, _ = lead(
        [says(None, (FLOW, GOOD), ("rm", "{}")), says(None, (DEPTH, GOOD)), says("V."), says(None, (FLOW, GOOD)),
         says("V."), says(ASIDE)]
    )  # fmt: skip
    answers = [m["content"] for m in turns[1].request["messages"] if m["role"] == "tool"]
    assert answers == [f"error: there is no such tool here; call {DEPTH}"] * 2


@pytest.mark.parametrize(
    "calls",
    [
        "text",
        [{"id": "a"}],
        [{"id": "", "function": {"name": DEPTH, "arguments": GOOD}}],
        [{"id": "a", "function": {"name": DEPTH, "arguments": {"symbol": "TESTUSDT"}}}],
        [{"id": "a", "function": {"name": DEPTH, "arguments": GOOD}}] * 2,
    ],
)
def test_calls_that_cannot_be_answered_are_never_sent_back(calls: Any) -> None:
    """Broken calls would make the next request a bad one; they are left out and the tool is asked for again."""
    malformed = Reply({"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls", "m", None, Usage())
    turns, outcome = lead(
        [malformed, says(None, (DEPTH, GOOD)), says("V."), says(None, (FLOW, GOOD)), says("V."), says(ASIDE)]
    )
    assert [m["role"] for m in turns[1].request["messages"]] == ["system", "user", "user"]
    assert outcome.anomalies == ["unreadable_tool_call", "no_tool_call"]


def test_the_same_tool_twice_is_answered_in_full_once() -> None:
    """A reply full of calls must not make a request full of results."""
    turns, outcome = lead(
        [says(None, *[(DEPTH, GOOD)] * 8), says("V."), says(None, (FLOW, GOOD)), says("V."), says(ASIDE)]
    )
    answers = [m["content"] for m in turns[1].request["messages"] if m["role"] == "tool"]
    assert answers == [tool_result(DEPTH, VIEW)] + ["the same as the answer to call_0"] * 7
    assert outcome.decision is not None


@pytest.mark.parametrize(
    ("flood", "anomaly"),
    [
        (says(None, *[(DEPTH, GOOD)] * 9), "unreadable_tool_call"),
        (says(None, (DEPTH, '{"symbol": "' + "A" * 70_000)), "too_long"),
        (says("B" * 70_000, (DEPTH, GOOD)), "too_long"),
    ],
)
def test_a_flood_is_not_echoed(flood: Reply, anomaly: str) -> None:
    """What would make the next request far too large is left out of it, and the tool is asked for again."""
    turns, outcome = lead(
        [flood, says(None, (DEPTH, GOOD)), says("V."), says(None, (FLOW, GOOD)), says("V."), says(ASIDE)]
    )
    assert max(len(encode_request(t.request)) for t in turns) < 32_000
    assert outcome.anomalies == [anomaly, "no_tool_call"]


def test_a_refused_decision_is_mended_once() -> None:
    """The reasons go back; a second sound answer counts, a second unsound one does not."""
    start = [says(None, (DEPTH, GOOD)), says("V."), says(None, (FLOW, GOOD)), says("V.")]
    wrong = DECISION.replace("99.53", "120")
    turns, success = lead([*start, says(wrong), says(DECISION)])
    assert turns[-1].request["messages"][-1]["content"].startswith("The decision was refused:\n- ")
    assert success.decision is not None
    assert success.anomalies == ["decision_refused"]
    _, failure = lead([*start, says(wrong), says(wrong)])
    assert failure.decision is None
    assert failure.reason.startswith("the decision was refused twice: ")
    assert len(failure.refusals) >= 2


def test_numbers_nobody_showed_are_counted() -> None:
    """A verdict's numbers are held against the tool's result: the rate is a metric, the verdict goes on."""
    _, outcome = lead(
        [says(None, (DEPTH, GOOD)), says("The mid is 100, support at 98765.43."), says(None, (FLOW, GOOD)), says("V."),
         says(ASIDE)]
    )  # fmt: skip
    assert (outcome.numbers, outcome.ungrounded) == (2, 1)


def test_what_stays_the_same_comes_first() -> None:
    """Two minutes' requests begin with the same system message and tools, byte for byte."""
    one, two = (next(converse(view, EN, STAGED, Parameters())) for view in (VIEW, a_view(PIECES, as_of_ns=10**18)))
    assert one.request["messages"][0] == two.request["messages"][0]
    assert one.request["tools"] == two.request["tools"]
    assert digest_of(one.request) != digest_of(two.request)


def test_the_same_minute_makes_the_same_bytes() -> None:
    """Requests are a function of view, prompts and settings."""
    replies = [says(None, (DEPTH, GOOD)), says("V."), says(None, (FLOW, GOOD)), says("V."), says(ASIDE)]
    first, second = ([encode_request(t.request) for t in lead(replies)[0]] for _ in range(2))
    assert first == second


def test_a_dialogue_proceeds_from_turn_to_turn_to_its_outcome() -> None:
    """It begins without a reply, takes one for each turn, and ends as the generator itself does."""
    replies = [says(None, (DEPTH, GOOD)), says("V."), says(None, (FLOW, GOOD)), says("V."), says(DECISION)]
    turns, outcome = lead(replies)
    dialogue = converse(VIEW, EN, STAGED, Parameters())
    assert [proceed(dialogue), *(proceed(dialogue, reply) for reply in replies)] == [*turns, outcome]
