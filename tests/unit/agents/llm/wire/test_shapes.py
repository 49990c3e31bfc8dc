"""Shapes of other endpoints: read as the one shape, each fix named, and nothing guessed."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.conversation.tools import DEPTH, Call, parse_calls
from agents.llm.wire.api import Reply, UnreadableReply, Usage, read_reply
from agents.llm.wire.shapes import FIXES

GOOD = '{"symbol":"BTCFDUSD"}'
JSON = '{"stance": "stand_aside"}'


def read(message: Any, finish: str = "stop", usage: Any = None, before: bytes = b"", normalise: bool = True) -> Reply:
    """A reply with a message, as bytes."""
    body = {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}
    return read_reply(before + msgspec.json.encode(body), normalise)


def a_call(arguments: Any = GOOD, name: Any = DEPTH, call_id: Any = "call_1", **more: Any) -> dict[str, Any]:
    """A tool call as DeepSeek sends it, or one that differs."""
    call = {"id": call_id, "type": "function", "index": 0, "function": {"name": name, "arguments": arguments}}
    return {**call, **more}


STANDARD: list[dict[str, Any]] = [
    {"role": "assistant", "content": "Bids hold.\n"},
    {"role": "assistant", "content": None, "tool_calls": [a_call()]},
    {"role": "assistant", "content": "", "tool_calls": [a_call(), a_call(call_id="call_2")], "reasoning_content": "hm"},
    {"content": f"```json\n{JSON}\n```", "refusal": None, "annotations": [], "audio": None, "role": "assistant"},
    {"role": "assistant", "content": JSON, "tool_calls": None, "function_call": None},
    {"role": "assistant", "content": "", "tool_calls": []},
    {"role": "assistant", "tool_calls": [{"function": {"arguments": "{", "name": "x"}, "type": "function", "id": "a"}]},
    {"role": "assistant", "tool_calls": [a_call(extra_content={"google": {"thought_signature": "abc"}})]},
]


@pytest.mark.parametrize("message", STANDARD)
def test_what_is_in_shape_stays_to_the_byte(message: dict[str, Any]) -> None:
    """Order and unknown fields included: it goes back to the endpoint, and old records are replayed with it."""
    reply = read(message)
    assert reply.fixes == ()
    assert msgspec.json.encode(reply.message) == msgspec.json.encode(message)
    assert reply == read(message, normalise=False)


@pytest.mark.parametrize(
    ("content", "text", "fixes"),
    [
        ("<think>a</think>\n\nBids hold.", "Bids hold.", ["thoughts_in_text"]),
        (f"\ufeff{JSON}", JSON, ["byte_order_mark"]),
        (f" \ufeff\n\ufeff{JSON}", JSON, ["byte_order_mark"]),
        (f"\ufeff<THINK>a</THINK>\ufeff\n{JSON}", JSON, ["byte_order_mark", "thoughts_in_text"]),
        ([{"type": "text", "text": "Bids "}, {"type": "text", "text": "hold."}], "Bids hold.", ["content_in_parts"]),
        (["Bids ", {"text": "hold."}], "Bids hold.", ["content_in_parts"]),
        ([{"type": "output_text", "text": JSON}], JSON, ["content_in_parts"]),
        ([{"type": "text", "text": {"value": JSON, "annotations": []}}], JSON, ["content_in_parts"]),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}, {"type": "text", "text": JSON}],
            JSON,
            ["content_in_parts"],
        ),
        ([{"type": "reasoning", "text": "a"}, {"type": "text", "text": JSON}], JSON, ["content_in_parts"]),
        (
            [{"type": "text", "text": f"<think>a</think>{JSON}"}],
            JSON,
            ["content_in_parts", "thoughts_in_text"],
        ),
        ({"type": "text", "text": JSON}, JSON, ["content_in_parts"]),
        ([], "", ["content_in_parts"]),
        ([{"type": "image_url", "image_url": {"url": "x"}}, 7, None, {"type": "text"}], "", ["content_in_parts"]),
        ({"stance": "stand_aside", "zones": []}, "", ["content_in_parts"]),
    ],
)
def test_content_becomes_one_text(content: Any, text: str, fixes: list[str]) -> None:
    """Parts are joined, thoughts and marks are taken away; an object that stands in for the JSON is no text."""
    reply = read({"role": "assistant", "content": content})
    assert reply.message == {"role": "assistant", "content": text}
    assert list(reply.fixes) == fixes


def test_thoughts_that_were_cut_are_no_answer() -> None:
    """No tokens left while thinking: nothing was said."""
    assert read({"content": f"<think>maybe\n{JSON}"}, "length").message["content"] == ""
    assert read({"content": f"<think>maybe\n{JSON}"}).message["content"] == JSON


def test_thoughts_in_parts_become_text() -> None:
    """They go back as an endpoint takes them."""
    reply = read({"content": "a", "reasoning_content": [{"type": "text", "text": "b"}, {"text": "c"}]})
    assert reply.message["reasoning_content"] == "bc"
    assert reply.fixes == ("content_in_parts",)


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n\n\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf \r\n"])
def test_a_byte_order_mark_before_the_body(before: bytes) -> None:
    """As bytes from the wire and as text from the record; unnormalised it is no JSON."""
    reply = read({"content": "a"}, before=before)
    assert reply.fixes == ("byte_order_mark",)
    body = before + msgspec.json.encode({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]})
    assert read_reply(body.decode()) == reply
    for form in (body, body.decode()):
        with pytest.raises(UnreadableReply, match="not JSON"):
            read_reply(form, normalise=False)


@pytest.mark.parametrize(
    ("arguments", "read_as", "fixes"),
    [
        ({"symbol": "BTCFDUSD"}, GOOD, ["arguments_as_object"]),
        ({}, "{}", ["arguments_as_object"]),
        ("", "{}", ["no_arguments"]),
        (" \n", "{}", ["no_arguments"]),
        (None, "{}", ["no_arguments"]),
        (msgspec.json.encode(GOOD).decode(), GOOD, ["arguments_twice_encoded"]),
        (msgspec.json.encode(msgspec.json.encode(GOOD).decode()).decode(), GOOD, ["arguments_twice_encoded"]),
        (f"\ufeff{GOOD}", GOOD, ["byte_order_mark"]),
        ('"BTCFDUSD"', '"BTCFDUSD"', []),
        ('"[1]"', '"[1]"', []),
        ("{", "{", []),
        ("[" * 10_000, "[" * 10_000, []),
    ],
)
def test_arguments_become_text(arguments: Any, read_as: str, fixes: list[str]) -> None:
    """Whether they came as an object, as nothing, or encoded once too often; what is no object stays as it came."""
    reply = read({"content": None, "tool_calls": [a_call(arguments)]})
    assert parse_calls(reply.message) == [Call("call_1", DEPTH, read_as)]
    assert list(reply.fixes) == fixes


def test_missing_arguments_are_none() -> None:
    """Or they are called by another name."""
    for function, read_as in (
        ({"name": DEPTH}, "{}"),
        ({"name": DEPTH, "parameters": {"symbol": "BTCFDUSD"}}, GOOD),
        ({"name": DEPTH, "input": {"symbol": "BTCFDUSD"}}, GOOD),
    ):
        reply = read({"tool_calls": [a_call(function=function)]})
        assert parse_calls(reply.message) == [Call("call_1", DEPTH, read_as)]


@pytest.mark.parametrize("arguments", [7, True, [GOOD], [{"symbol": "BTCFDUSD"}], 1.5])
def test_arguments_of_another_kind_are_not_guessed(arguments: Any) -> None:
    """Neither text nor an object: the call cannot be answered."""
    assert parse_calls(read({"tool_calls": [a_call(arguments)]}).message) is None


@pytest.mark.parametrize(
    "name",
    [
        "functions.{}", "function.{}", "tools.{}", "tool.{}", "default_api.{}", "functions:{}", "functions::{}",
        "functions/{}", "ns.functions.{}", "functions.{}:0", "{}:12", "functions.{}.0", "{}()", " {} ", "{}\n",
        "{}<|channel|>commentary", "{}<|constrain|>json",
    ],
)  # fmt: skip
def test_a_namespace_goes_from_the_name(name: str) -> None:
    """With the number some give to a call; the bare name goes back, as it was offered."""
    reply = read({"tool_calls": [a_call(name=name.format(DEPTH))]})
    assert parse_calls(reply.message) == [Call("call_1", DEPTH, GOOD)]
    assert reply.fixes == ("tool_name",)


@pytest.mark.parametrize(
    "name", ["", "rm -rf", f"{DEPTH} {DEPTH}", f"{DEPTH}.{DEPTH}.", "函数", "a." * 300 + DEPTH, "7"]
)
def test_a_name_that_is_no_name_stays(name: str) -> None:
    """It is answered as the name of no tool."""
    reply = read({"tool_calls": [a_call(name=name)]})
    assert parse_calls(reply.message) == [Call("call_1", name, GOOD)]
    assert reply.fixes == ()


def test_the_older_function_call() -> None:
    """It becomes a call of a tool; beside calls of tools it is left out."""
    reply = read({"content": None, "function_call": {"name": DEPTH, "arguments": GOOD}}, "function_call")
    (call,) = parse_calls(reply.message) or []
    assert (call.name, call.arguments) == (DEPTH, GOOD)
    assert "function_call" not in reply.message
    assert set(reply.fixes) == {"function_call", "tool_call_shape", "tool_call_id"}
    both = read({"function_call": {"name": "x", "arguments": GOOD}, "tool_calls": [a_call()]})
    assert parse_calls(both.message) == [Call("call_1", DEPTH, GOOD)]


@pytest.mark.parametrize("call_id", [None, "", 7, {"a": 1}])
def test_a_call_without_an_id_gets_one(call_id: Any) -> None:
    """The same each time, other for each call, and of the form that the strictest endpoint takes."""
    calls = [a_call(call_id=call_id), a_call(call_id=call_id), a_call(name="other", call_id=call_id)]
    one, two = (read({"tool_calls": calls}) for _ in range(2))
    assert one == two
    ids = [call.id for call in parse_calls(one.message) or []]
    assert len(set(ids)) == 3
    assert all(len(i) == 9 and i.isalnum() and i.isascii() for i in ids)
    assert one.fixes == ("tool_call_id",)


def test_two_calls_of_one_id_are_told_apart() -> None:
    """The first keeps it."""
    reply = read({"tool_calls": [a_call(), a_call(name="other")]})
    first, second = parse_calls(reply.message) or []
    assert first.id == "call_1" != second.id
    assert reply.fixes == ("tool_call_id",)


@pytest.mark.parametrize(
    "calls",
    [
        a_call(),
        [{"id": "call_1", "function": {"name": DEPTH, "arguments": GOOD}}],
        [{"id": "call_1", "type": "tool", "function": {"name": DEPTH, "arguments": GOOD}}],
        [{"id": "call_1", "name": DEPTH, "arguments": GOOD}],
        [{"id": "call_1", "type": "tool_use", "name": DEPTH, "input": {"symbol": "BTCFDUSD"}}],
    ],
)
def test_calls_of_another_shape(calls: Any) -> None:
    """One that is in no list, one of no or another type, one without its function object."""
    reply = read({"tool_calls": calls})
    assert parse_calls(reply.message) == [Call("call_1", DEPTH, GOOD)]
    assert reply.message["tool_calls"][0]["type"] == "function"
    assert "tool_call_shape" in reply.fixes


@pytest.mark.parametrize(
    "calls", ["text", 7, [7], [None], [{}], [{"function": "x"}], [{"function": {"name": 7}}], [[]]]
)
def test_what_is_no_call_stays_none(calls: Any) -> None:
    """It cannot be answered, and is not sent back."""
    assert parse_calls(read({"tool_calls": calls}).message) is None


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "100", "completion_tokens": "7", "prompt_cache_hit_tokens": "40"},
        {"prompt_tokens": 100.0, "completion_tokens": 7.0, "prompt_tokens_details": {"cached_tokens": "40"}},
        {"prompt_tokens": " 100 ", "completion_tokens": 7, "prompt_cache_hit_tokens": 40.0},
    ],
)
def test_counts_as_text(usage: Any) -> None:
    """Digits are numbers, and so are whole floats."""
    reply = read({"content": "a"}, usage=usage)
    assert reply.usage == Usage(100, 40, 60, 7, 0)
    assert reply.fixes == ("usage_as_text",)


@pytest.mark.parametrize("count", ["many", "", "-5", "1e3", "0x10", "１００", "9" * 30, 1.5, None, [100]])
def test_a_count_that_is_none_is_not_guessed(count: Any) -> None:
    """The most is charged instead."""
    assert read({"content": "a"}, usage={"prompt_tokens": count, "completion_tokens": 7}).usage == Usage()


NAMES = st.sampled_from(["id", "type", "text", "function", "name", "arguments", "content", "x"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES, JSON_VALUES, JSON_VALUES, JSON_VALUES)
def test_any_message_is_read(content: Any, calls: Any, older: Any, thoughts: Any) -> None:
    """Whatever its fields hold: words of the list alone, and a normalised reply needs no fix again."""
    message = {"content": content, "tool_calls": calls, "function_call": older, "reasoning_content": thoughts}
    reply = read(message)
    assert set(reply.fixes) <= FIXES
    again = read(reply.message)
    assert (again.message, parse_calls(again.message)) == (reply.message, parse_calls(reply.message))
    assert set(again.fixes) <= {"thoughts_in_text", "byte_order_mark"}
