"""Odd replies against the real client: taken with each fix named, or refused in one clean line; none crashes."""

import json
import unicodedata
from typing import Any

import pytest

from agents.llm.client.client import MAX_BYTES
from agents.llm.client.errors import NoReply
from agents.llm.conversation.tools import parse_calls
from agents.llm.wire.api import Reply
from tests.fakes.chat_endpoint import KEY, Step, completion, says
from tests.unit.agents.llm.client.test_client import ask

ARGUMENTS = '{"symbol":"X"}'
HTML = "<html><head><title>{}</title></head><body>x</body></html>"


def calling(function: Any = None, **more: Any) -> dict[str, Any]:
    """A reply that calls a tool."""
    call = {"id": "c1", "type": "function", "function": function or {"name": "f", "arguments": ARGUMENTS}, **more}
    return completion(None, message={"tool_calls": [call]}, finish_reason="tool_calls")


def with_mark(body: dict[str, Any], mark: bytes = b"\xef\xbb\xbf") -> bytes:
    """A body with bytes before it."""
    return mark + json.dumps(body).encode()


def spell(text: str) -> str:
    """A text as a page has it, by numbers alone."""
    return "".join(f"&#{ord(letter)};" if n % 2 else f"&#x{ord(letter):X};" for n, letter in enumerate(text))


TAKEN: dict[str, tuple[Step, str | None, set[str]]] = {
    "plain": (says(completion("a")), "a", set()),
    "mark_before_body": (says(with_mark(completion("a"))), "a", {"byte_order_mark"}),
    "blanks_and_mark": (says(with_mark(completion("a"), b"\r\n\n \xef\xbb\xbf")), "a", {"byte_order_mark"}),
    "mark_before_text": (says(completion("\ufeffa")), "a", {"byte_order_mark"}),
    "think": (says(completion("<think>x\ny</think>\n\na")), "a", {"thoughts_in_text"}),
    "thinking_in_capitals": (says(completion("<THINKING>x</THINKING>a")), "a", {"thoughts_in_text"}),
    "only_closed": (says(completion("x</think>\na")), "a", {"thoughts_in_text"}),
    "never_closed": (says(completion('<think>x\n{"a": 1}')), '{"a": 1}', {"thoughts_in_text"}),
    "nested": (says(completion("<think>x<think>y</think>z</think>a")), "a", {"thoughts_in_text"}),
    "parts": (says(completion(None, message={"content": [{"type": "text", "text": "a"}]})), "a", {"content_in_parts"}),
    "parts_of_text": (says(completion(None, message={"content": ["a", "b"]})), "ab", {"content_in_parts"}),
    "part_of_thought": (
        says(
            completion(None, message={"content": [{"type": "reasoning", "text": "x"}, {"type": "text", "text": "a"}]})
        ),
        "a",
        {"content_in_parts"},
    ),
    "digits_in_usage": (
        says(completion("a", usage={"prompt_tokens": "100", "completion_tokens": "10"})),
        "a",
        {"usage_as_text"},
    ),
    "no_usage": (says(completion("a", usage=None)), "a", set()),
    "no_finish_reason": (says(completion("a", finish_reason=None)), "a", set()),
    "strange_finish_reason": (says(completion("a", finish_reason="\x1b[2J")), "a", set()),
    "wrong_content_type": (says(completion("a"), Content_Type="text/html"), "a", set()),
    "hostile_model": (says(completion("a") | {"model": "\x1b[31m<b>", "system_fingerprint": {"a": 1}}), "a", set()),
    "null_calls": (says(completion("a", message={"tool_calls": None, "function_call": None})), "a", set()),
    "object_arguments": (says(calling({"name": "f", "arguments": {"symbol": "X"}})), None, {"arguments_as_object"}),
    "arguments_twice": (
        says(calling({"name": "f", "arguments": json.dumps(ARGUMENTS)})),
        None,
        {"arguments_twice_encoded"},
    ),
    "namespace": (says(calling({"name": "functions.f", "arguments": ARGUMENTS})), None, {"tool_name"}),
    "namespace_and_number": (says(calling({"name": "functions.f:0", "arguments": ARGUMENTS})), None, {"tool_name"}),
    "no_id": (says(calling(id=None)), None, {"tool_call_id"}),
    "number_as_id": (says(calling(id=1)), None, {"tool_call_id"}),
    "no_type": (says(calling(type=None)), None, {"tool_call_shape"}),
    "older_call": (
        says(completion(None, message={"function_call": {"name": "f", "arguments": ARGUMENTS}})),
        None,
        {"function_call", "tool_call_id", "tool_call_shape"},
    ),
}
"""Replies that are read: the text (None for a call of f with its symbol), and the words of what was fixed."""


@pytest.mark.parametrize("name", sorted(TAKEN))
async def test_odd_replies_that_are_taken(name: str) -> None:
    """At the first attempt, with the fixes named; the recorded body reads the same."""
    step, text, fixes = TAKEN[name]
    result = await ask(step, attempts=1)
    assert isinstance(result.outcome, Reply)
    assert set(result.outcome.fixes) == fixes
    if text is not None:
        assert result.outcome.message["content"] == text
    else:
        ((called, arguments),) = [(c.name, c.arguments) for c in parse_calls(result.outcome.message) or ()]
        assert (called, json.loads(arguments)) == ("f", {"symbol": "X"})
    assert result.attempts[0].reply == result.outcome
    assert all(name is None or name.isprintable() for name in (result.outcome.model, result.outcome.fingerprint))


SAYING = {"error": {"message": f"secret {KEY} \x1b[31mno\x1b[0m \u202esuch\u202c model\r\nX-Evil: 1", "type": "t"}}
"""A reason with all in it that must not pass."""

SAID = "secret [key] [31mno [0m such model X-Evil: 1"

REFUSED: dict[str, tuple[Step, str, str, str]] = {
    "400": (says(SAYING, 400), "bad_request", "HTTP 400", SAID),
    "400_text": (says({"error": "model `x` not found"}, 400), "bad_request", "HTTP 400", "model `x` not found"),
    "401": (says({"message": "Invalid key"}, 401), "unauthorised", "the key was refused (HTTP 401)", "Invalid key"),
    "402": (says(SAYING, 402), "no_balance", "the account has no balance left (HTTP 402)", SAID),
    "403": (says(SAYING, 403), "bad_request", "HTTP 403", SAID),
    "403_page": (says(HTML.format("403 Forbidden"), 403), "bad_request", "HTTP 403", "403 Forbidden"),
    "404": (says({"detail": "Not Found"}, 404), "bad_request", "HTTP 404", "Not Found"),
    "404_text": (says("404 page not found\n", 404), "bad_request", "HTTP 404", "404 page not found"),
    "405": (says({"detail": "Method Not Allowed"}, 405), "bad_request", "HTTP 405", "Method Not Allowed"),
    "410": (says({"error": {"message": "model retired"}}, 410), "bad_request", "HTTP 410", "model retired"),
    "413": (says(HTML.format("413 Too Large"), 413), "bad_request", "HTTP 413", "413 Too Large"),
    "422": (
        says({"detail": [{"loc": ["body", "model"], "msg": "field required"}]}, 422),
        "bad_request",
        "HTTP 422",
        "body.model: field required",
    ),
    "451": (says({"error": {"message": "not in your region"}}, 451), "bad_request", "HTTP 451", "not in your region"),
    "404_key_by_numbers": (says(HTML.format(spell(KEY)), 404), "bad_request", "HTTP 404", "[key]"),
    "404_key_in_capitals_of_a_url": (
        says("no %73k-0123456789abcdef%2Fsecret%2Bkey", 404), "bad_request", "HTTP 404", "no [key]",
    ),
    "404_bytes": (says(b"\xff\xfe\x00\x01" * 9, 404), "bad_request", "HTTP 404", ""),
    "404_nothing": (says(b"", 404), "bad_request", "HTTP 404", ""),
    "404_two_lines_of_log": (
        says("no\nlevel=error msg=forged", 404), "bad_request", "HTTP 404", "no level=error msg=forged",
    ),
    "301": (
        says("", 301, Location="https://new.example/v1/chat/completions"),
        "bad_request",
        "HTTP 301",
        "moved to https://new.example/v1; if you trust it, write it into analyzer.deepseek.base_url",
    ),
    "302_login": (
        says(HTML.format("Login"), 302, Location=f"https://u:p@login.example/in?key={KEY}"),
        "bad_request",
        "HTTP 302",
        "moved to https://login.example/in; if you trust it, write it into analyzer.deepseek.base_url",
    ),
    "307_unencrypted": (
        says("", 307, Location="http://new.example/chat/completions"),
        "bad_request",
        "HTTP 307",
        "moved to http://new.example, which is not encrypted: no key is sent there",
    ),
    "308_nowhere": (says("", 308), "bad_request", "HTTP 308", "moved, but the server does not say where"),
    "308_script": (
        says("", 308, Location="javascript:alert(1)"),
        "bad_request",
        "HTTP 308",
        "moved, but the server does not say where",
    ),
    "308_key_in_its_path": (
        says("", 308, Location=f"https://new.example/{KEY}/v1"),
        "bad_request",
        "HTTP 308",
        "moved to https://new.example/[key]/v1; if you trust it, write it into analyzer.deepseek.base_url",
    ),
    "204": (says(b"", 204), "bad_request", "HTTP 204", ""),
    "429": (says({"error": {"message": "slow down"}}, 429), "rate_limited", "HTTP 429", "slow down"),
    "500": (says({"error": {"message": "oops"}}, 500), "server_error", "HTTP 500", "oops"),
    "503": (says(HTML.format("Busy"), 503), "overloaded", "HTTP 503", "Busy"),
    "200_error": (says(SAYING), "no_choice", "no message in it", SAID),
    "200_error_text": (says({"error": "overloaded"}), "no_choice", "no message in it", "overloaded"),
    "200_error_in_choice": (
        says({"choices": [{"error": {"message": "provider down"}}]}), "no_choice", "no message in it", "provider down",
    ),
    "200_detail": (says({"detail": "no route"}), "no_choice", "no message in it", "no route"),
    "200_null": (says("null"), "no_choice", "no message in it", ""),
    "200_list": (says([completion("a")]), "no_choice", "no message in it", ""),
    "200_page": (says(HTML.format("Sign in to the network")), "not_json", "not JSON", "Sign in to the network"),
    "200_stream": (says('data: {"choices": []}\n\ndata: [DONE]\n\n'), "not_json", "not JSON", "data: "),
    "200_utf16": (says("{}".encode("utf-16")), "not_json", "not JSON", ""),
    "200_two": (says(json.dumps(completion("a")) * 2), "not_json", "not JSON", '{"id": "1"'),
    "200_deep": (says('{"choices":' * 50_000), "not_json", "not JSON", '{"choices":'),
    "200_too_long": (says(b'"' + b"a" * MAX_BYTES), "too_large", "the body is longer than", ""),
    "200_thoughts_alone": (says(completion("<think>x</think>")), "blank", "neither text nor a tool call", ""),
    "200_thoughts_cut": (
        says(completion("<think>x", finish_reason="length")),
        "blank",
        "neither text nor a tool call; max_tokens were used up",
        "",
    ),
    "200_parts_without_text": (
        says(completion(None, message={"content": [{"type": "refusal", "refusal": "no"}]})),
        "blank",
        "neither text nor a tool call",
        "",
    ),
    "200_mark_alone": (says(b"\xef\xbb\xbf"), "not_json", "not JSON", ""),
}  # fmt: skip
"""Replies that are refused: verdict, how the fault begins in our words, and how the server's words begin."""


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_odd_replies_that_are_refused(name: str) -> None:
    """The operator sees the server's reason in one clean line; what may be published holds not a word of it."""
    step, verdict, ours, server_text = REFUSED[name]
    result = await ask(step, attempts=1)
    (attempt,) = result.attempts
    fault = result.outcome
    assert isinstance(fault, NoReply)
    assert (attempt.verdict, fault.verdict) == (verdict, verdict)
    assert fault.server_text.startswith(server_text)
    assert bool(fault.server_text) is bool(server_text)
    message = str(fault)
    assert message.startswith(f"{verdict}: {'HTTP' if verdict in ('unauthorised', 'no_balance') else ours}")
    assert not server_text or server_text not in message
    texts = [attempt.detail, fault.full_text, message, result.stopped or ""]
    assert not [line for line in texts if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in line)]
    assert not [line for line in texts if KEY in line or len(line) > 500]
    if verdict in ("unauthorised", "no_balance"):
        assert str(result.stopped).startswith(ours)
        assert server_text in str(result.stopped)
    else:
        assert attempt.detail == (f"{fault.detail}: {fault.server_text}" if server_text else fault.detail)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 422, 451, 301, 302, 303, 307, 308])
async def test_refusals_that_last(status: int) -> None:
    """One attempt, no redirect followed, and the same request is known to be refused again."""
    result = await ask(says({"error": {"message": "no"}}, status, Location="/chat/completions"), attempts=3)
    assert len(result.endpoint.seen) == 1
    assert result.refusal.lasts
    assert result.refusal.status == status


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_refusals_that_pass(status: int) -> None:
    """They are tried again, and may pass."""
    result = await ask(says({"error": {"message": "no"}}, status), attempts=1)
    assert not result.refusal.lasts


async def test_a_relative_redirect_is_resolved() -> None:
    """Against the endpoint's own address."""
    result = await ask(says("", 308, Location="/v1/chat/completions"), attempts=1)
    assert f"moved to {result.endpoint.base_url}/v1; if you trust it" in result.attempts[0].detail
