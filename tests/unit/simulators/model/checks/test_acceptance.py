"""What the simulated model accepts and what it refuses, each refusal with its status and message."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.conversation.tools import FLOW, tool_choice
from simulators.model.checks.acceptance import check_request
from simulators.model.errors import Refusal
from simulators.model.model import IncomingRequest
from simulators.model.situation import situation_of
from tests.unit.simulators.model.chats import (
    DEPTH_RESULT,
    a_model,
    answer_turn,
    asks_both,
    asks_decision,
    asks_depth,
    asks_verdict,
    call_turn,
    chat,
    sent_to,
    system,
    tool,
    user,
)

THINKING = {"thinking": {"type": "enabled"}}
SCHEMA_FORMAT = {"response_format": {"type": "json_schema", "json_schema": {}}}
HISTORY = (user("Look."), call_turn("c0"), answer_turn("c0"), user("And now?"))
THOUGHT = (user("Look."), call_turn("c0", reasoning_content="I look."), answer_turn("c0"), user("And now?"))


def with_schema(**keywords: Any) -> dict[str, Any]:
    """A strict tool whose one string has more keywords."""
    function = tool(strict=True)
    function["function"]["parameters"]["properties"]["symbol"] |= keywords
    return function


def with_parameters(**changes: Any) -> dict[str, Any]:
    """A strict tool whose schema is changed at the top."""
    function = tool(strict=True)
    function["function"]["parameters"] |= changes
    return function


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no such model": (chat(user("Hi"), model="deepseek-v9"), 400, "Model Not Exist"),
    "deepseek-chat": (chat(user("Hi"), model="deepseek-chat"), 400, "discontinued on 2026-07-24"),
    "deepseek-reasoner": (chat(user("Hi"), model="deepseek-reasoner"), 400, "discontinued on 2026-07-24"),
    "no messages": (chat(), 400, "Empty input messages"),
    "no such role": (chat({"role": "robot", "content": "Hi"}), 422, "role: unknown variant"),
    "no content": (chat({"role": "user"}), 400, "content or tool_calls must be set"),
    "a number as content": (chat({"role": "user", "content": 7}), 422, "content: invalid type"),
    "unanswered call": (chat(user("Look."), call_turn("c0")), 400, "insufficient tool messages"),
    "half answered": (chat(user("Look."), call_turn("c0", "c1"), answer_turn("c0")), 400, "insufficient tool messages"),
    "answered too late": (
        chat(user("Look."), call_turn("c0"), user("Wait."), answer_turn("c0")), 400, "insufficient tool messages"),
    "answer without call": (chat(user("Look."), answer_turn("c0")), 400, "must be a response to a preceding"),
    "answered twice": (chat(*HISTORY[:3], answer_turn("c0")), 400, "must be a response to a preceding"),
    "forced and thinking": (asks_depth(**THINKING), 400, "Thinking mode does not support this tool_choice"),
    "required and thinking": (asks_both(**THINKING), 400, "Thinking mode does not support this tool_choice"),
    "dropped reasoning": (
        chat(*HISTORY, tools=[tool()], **THINKING), 400, "`reasoning_content` in the thinking mode must be passed"),
    "json_schema": (chat(user("json"), **SCHEMA_FORMAT), 400, "This response_format type is unavailable now"),
    "the word json is missing": (
        chat(user("Decide."), response_format={"type": "json_object"}), 400, "must contain the word 'json'"),
    "no such effort": (chat(user("Hi"), reasoning_effort="huge"), 422, "reasoning_effort: unknown variant"),
    "no such thinking": (chat(user("Hi"), thinking={"type": "maybe"}), 422, "thinking.type: unknown variant"),
    "no tokens": (chat(user("Hi"), max_tokens=0), 400, "range of max_tokens is [1, 393216]"),
    "too many tokens": (chat(user("Hi"), max_tokens=393_217), 400, "range of max_tokens is [1, 393216]"),
    "too hot": (chat(user("Hi"), temperature=2.5), 400, "range of temperature is [0, 2]"),
    "two replies": (chat(user("Hi"), n=2), 400, "only n = 1"),
    "streaming": (chat(user("Hi"), stream=True), 400, "not supported by this simulator"),
    "stream options alone": (chat(user("Hi"), stream_options={}), 400, "only allowed with stream"),
    "unknown tool chosen": (asks_depth(tool_choice=tool_choice(FLOW)), 400, "names a function that is not in tools"),
    "choice without tools": (chat(user("Hi"), tool_choice="required"), 400, "only allowed with tools"),
    "no such choice": (asks_depth(tool_choice="always"), 422, "tool_choice: expected"),
    "one tool twice": (asks_depth(tools=[tool(), tool()]), 400, "must be unique"),
    "a tool that is none": (asks_depth(tools=[{"type": "retrieval"}]), 422, "expected a function"),
    "tools that are no list": (asks_depth(tools={"a": 1}), 422, "expected a sequence"),
}  # fmt: skip

UNSUPPORTED: dict[str, tuple[list[dict[str, Any]], str]] = {
    **{
        keyword: ([with_schema(**{keyword: 1})], f"keyword '{keyword}'")
        for keyword in ("minLength", "maxLength", "minItems", "maxItems", "minimum")
    },
    "format": ([with_schema(format="date")], "format 'date'"),
    "type": ([with_schema(type=["string", "null"])], "is not supported"),
    "open object": ([with_parameters(additionalProperties=True)], "'additionalProperties' at parameters must be false"),
    "optional property": ([with_parameters(required=[])], "must be in 'required'"),
    "items below": (
        [with_parameters(properties={"a": {"type": "array", "items": {"type": "string", "maxLength": 1}}},
                         required=["a"])], "keyword 'maxLength' at parameters.properties.a.items"),
    "not all strict": ([tool(strict=True), tool(FLOW)], "All functions must be strict"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_status_and_words(name: str) -> None:
    """Every wrong request gets its status and an error in the API's four fields."""
    body, expected_status, words = REFUSED[name]
    status, reply = sent_to(a_model(), body)
    assert status == expected_status
    assert words in reply["error"]["message"]
    assert set(reply["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_strict_mode_takes_few_keywords(name: str) -> None:
    """Below /beta a strict schema with what strict mode does not know is refused, by its place."""
    tools, words = UNSUPPORTED[name]
    status, reply = sent_to(a_model(), asks_depth(tools=tools), "/beta/chat/completions")
    assert status == 400
    assert words in reply["error"]["message"]


def test_strict_functions_are_for_beta() -> None:
    """The same valid strict tool is accepted below /beta and refused elsewhere."""
    body = asks_depth(tools=[tool(strict=True)])
    assert sent_to(a_model(), body, "/beta/chat/completions")[0] == 200
    status, reply = sent_to(a_model(), body, "/v1/chat/completions")
    assert (status, "/beta" in reply["error"]["message"]) == (400, True)


def test_a_strict_schema_with_all_that_is_supported_is_taken() -> None:
    """Patterns, ranges, enums, references, choices and nested closed objects pass."""
    inner = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "multipleOf": 2}},
             "required": ["n"], "additionalProperties": False}  # fmt: skip
    properties = {
        "a": {"type": "string", "pattern": "^[A-Z]+$", "format": "email"},
        "b": {"anyOf": [{"type": "number", "exclusiveMaximum": 1}, {"$ref": "#/$def/inner"}]},
        "c": {"type": "array", "items": inner},
        "d": {"enum": [1, 2]},
    }
    function = with_parameters(properties=properties, required=list(properties), **{"$def": {"inner": inner}})
    assert sent_to(a_model(), asks_depth(tools=[function]), "/beta/chat/completions")[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        asks_depth(), asks_both(), asks_verdict(), asks_decision(),
        asks_both(tool_choice="auto", **THINKING), asks_decision(thinking=None), chat(user("Hi"), stream=False),
        chat(*THOUGHT, tools=[tool()], **THINKING), chat(*HISTORY, **THINKING),
        asks_depth(thinking=None, reasoning_effort="none"), chat(user("Hi"), max_tokens=393_216),
        chat(user("Hi"), model="deepseek-v4-flash"), chat(user("Hi"), model="deepseek-v4-pro"),
        chat({"role": "user", "content": [{"type": "text", "text": "Hi"}]}),
    ],
)  # fmt: skip
def test_sound_requests_are_taken(body: dict[str, Any]) -> None:
    """Each step of both modes, thinking on and off, is accepted; reasoning is asked back only where tools are."""
    assert sent_to(a_model(), body)[0] == 200


@pytest.mark.parametrize("effort", ["low", "medium", "xhigh", "max"])
def test_thinking_is_on_unless_switched_off(effort: str) -> None:
    """Without a thinking field, and with any effort but none, a forced tool is refused."""
    assert sent_to(a_model(), asks_depth(thinking=None))[0] == 400
    assert sent_to(a_model(), asks_depth(thinking=None, reasoning_effort=effort))[0] == 400


def test_the_key_is_needed_and_never_repeated() -> None:
    """The key `bad` gets 401 without the key in it, and a request's repr holds none."""
    assert "secret" not in repr(IncomingRequest("/chat/completions", "Bearer secret", None, 0, b""))
    status, reply = sent_to(a_model(), asks_depth(), key="bad")
    assert status == 401
    assert reply["error"]["type"] == "authentication_error"
    assert reply["error"]["message"] == "Authentication Fails, your api key is invalid"


def test_a_prompt_beyond_the_context_is_refused() -> None:
    """4.2 MB are more than 1,048,576 tokens of four bytes with the 8,192 of the reply."""
    status, reply = sent_to(a_model(), chat(user("x" * 4_170_000)))
    assert status == 400
    assert reply["error"]["message"].startswith("This model's maximum context length is 1048576 tokens")


def test_a_hostile_text_is_taken_and_a_bottomless_body_refused() -> None:
    """A tool that answers 200,000 braces costs little time; a body nested 100,000 deep is 400."""
    braces = chat(user("Look."), call_turn("c0"), answer_turn("c0", "{" * 200_000), tools=[tool()])
    model = a_model()
    assert sent_to(model, braces)[0] == 200
    deep = b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    answer, _ = model.answer(IncomingRequest("/chat/completions", "Bearer k", None, 0, deep))
    assert (answer.status, model.ledger.entries[-1].request) == (400, None)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["model", "messages", "tools", "tool_choice", "thinking", "response_format", "reasoning_effort", "stream",
          "max_tokens", "temperature", "n", "stream_options", "user_id"]  # fmt: skip
PLACES = ["", "messages.0.", "messages.2.", "messages.2.tool_calls.0.", "tools.0.", "tools.0.function."]
NAMES = ["role", "content", "tool_calls", "id", "type", "function", "name", "parameters", "strict", "tool_call_id"]


@given(st.sampled_from(PLACES), st.sampled_from(FIELDS + NAMES), ANYTHING)
def test_any_value_anywhere_is_taken_or_refused(place: str, name: str, value: Any) -> None:
    """One field of a sound request replaced by anything: a situation or a refusal, nothing else."""
    body = json.loads(json.dumps(asks_verdict()))
    target: Any = body
    for step in place.split(".")[:-1]:
        target = target[int(step)] if step.isdigit() else target[step]
    target[name] = value
    outcome: str | int
    try:
        outcome = situation_of(check_request(body, beta=True)).step
    except Refusal as refusal:
        outcome = refusal.status
    assert outcome in ("call", "verdict", "decision", 400, 422)


def test_the_prompt_names_the_language_and_the_tools_the_agent() -> None:
    """Agent, step and language are read from the request alone."""
    requests = (asks_depth(), asks_verdict("你读订单簿。"), asks_both(), asks_decision())
    situations = [situation_of(body) for body in requests]
    assert [(s.agent, s.step, s.language) for s in situations] == [
        ("static", "call", "en"),
        ("static", "verdict", "zh"),
        ("compact", "call", "en"),
        ("decision", "decision", "en"),
    ]


def test_only_tools_without_an_answer_are_called_again() -> None:
    """Free to choose, a tool that answered is done; one that answered with an error is called again."""
    tools = [tool(), tool(FLOW)]
    done = chat(user("Look."), call_turn("c0"), answer_turn("c0", DEPTH_RESULT), tools=tools)
    retry = chat(user("Look."), call_turn("c0"), answer_turn("c0", '{"error":"bad arguments"}'), tools=tools)
    assert situation_of(done).to_call == ("orderflow_analysys",)
    assert situation_of(retry).to_call == ("depth_snapshot_analytsis", "orderflow_analysys")
    assert situation_of(chat(system("s"), *done["messages"], tools=tools, tool_choice="none")).step == "verdict"
