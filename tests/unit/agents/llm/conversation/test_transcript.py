"""A conversation as a person reads it, whatever a model replied."""

import json
from typing import Any

import pytest

from agents.llm.conversation.transcript import transcript


def a_call(message: Any, verdict: str = "ok", agent: str = "static", attempt: int = 1) -> dict[str, Any]:
    """A row of `model_call` whose reply holds a message."""
    return {
        "agent": agent, "request": json.dumps({"messages": [{"role": "user", "content": "Call it."}]}),
        "reply": json.dumps({"choices": [{"message": message}]}), "verdict": verdict, "detail": "", "attempt": attempt,
        "took_ms": 1200, "model": "m", "fingerprint": "f", "prompt_tokens": 5, "completion_tokens": 2,
        "cache_hit_tokens": 3,
    }  # fmt: skip


def test_a_conversation_in_order() -> None:
    """Agent, what was said to it, what came of it, what it said, and how it ended."""
    lines = list(
        transcript(
            [a_call({"role": "assistant", "content": "Holds."})],
            {"fallback": None, "anomalies": [], "refusals": [], "numbers": 2, "ungrounded": 1},
            full=False,
        )
    )
    assert lines == [
        "## static",
        "**user:** Call it.",
        "> ok after 1.20 s m (f): 5 + 2 tokens, 3 from the cache",
        "**assistant:** Holds.",
        "## outcome",
        "the model's decision stands",
        "numbers in its texts: 2, of them not shown to it: 1",
    ]


@pytest.mark.parametrize("calls", [[1], [{"function": None}], "text", [{"id": "a", "function": {"name": 5}}]])
def test_unreadable_calls_are_shown_as_they_came(calls: Any) -> None:
    """No reply stops a person from reading the rest."""
    lines = list(transcript([a_call({"role": "assistant", "tool_calls": calls})], None, full=False))
    assert lines[-1] == f"**assistant calls** {json.dumps(calls, separators=(',', ':'))}"


def test_a_terminal_is_told_nothing_by_a_model() -> None:
    """Control characters are shown as what they are: nothing that can be read."""
    (line,) = list(transcript([a_call({"role": "assistant", "content": "a\x1b[2Jb\nc"})], None, full=True))[3:]
    assert line == "**assistant:** a\ufffd[2Jb\nc"


HOSTILE = "\x1b]0;owned\x07\u202e<script>\n"


def test_no_field_of_a_record_tells_a_terminal_anything() -> None:
    """Neither what a model calls itself, its tools and itself in the conversation, nor how it ended."""
    message = {"role": HOSTILE, "content": HOSTILE, "reasoning_content": HOSTILE,
               "tool_calls": [{"id": "a", "function": {"name": HOSTILE, "arguments": HOSTILE}}]}  # fmt: skip
    call = a_call(message) | {"model": HOSTILE, "fingerprint": HOSTILE, "detail": HOSTILE, "agent": HOSTILE}
    decision = {
        "fallback": HOSTILE,
        "anomalies": [HOSTILE],
        "refusals": [HOSTILE, HOSTILE],
        "numbers": 0,
        "ungrounded": 0,
    }
    lines = list(transcript([call, call | {"verdict": HOSTILE}], decision, full=True))
    assert len(lines) >= 12
    assert not [c for line in lines for c in line if c != "\n" and not c.isprintable()]


@pytest.mark.parametrize(
    ("content", "output"),
    [([{"type": "text", "text": "Holds."}], '[{"type":"text","text":"Holds."}]'), ({"a": 1}, '{"a":1}')],
)
def test_content_that_is_no_text_is_shown_as_it_came(content: Any, output: str) -> None:
    """The mends are named at the end; here is what the endpoint sent."""
    assert list(transcript([a_call({"content": content})], None, full=True))[-1] == f"**?:** {output}"


def test_a_reply_behind_a_byte_order_mark_is_shown() -> None:
    """It was read, so it can be shown."""
    call = a_call({"role": "assistant", "content": "Holds."})
    call["reply"] = "\ufeff" + call["reply"]
    assert list(transcript([call], None, full=True))[-1] == "**assistant:** Holds."


@pytest.mark.parametrize("body", ["{", "[]", "null", '{"choices":[]}', "[" * 5_000])
def test_a_record_of_somebody_else_stops_nobody(body: str) -> None:
    """Requests and replies of another form are passed over, in a line."""
    lines = list(transcript([a_call({}) | {"reply": body, "request": body}], None, full=True))
    assert lines[-1].startswith("its reply cannot be read: ")


@pytest.mark.parametrize("request_body", ["7", '{"messages": 7}', '{"messages": [7, null]}', '{"messages": {"a": 1}}'])
def test_a_request_of_another_form_has_no_messages(request_body: str) -> None:
    """What was answered is still shown."""
    call = a_call({"role": "assistant", "content": "Holds."}) | {"request": request_body}
    assert list(transcript([call], None, full=True))[-1] == "**assistant:** Holds."
