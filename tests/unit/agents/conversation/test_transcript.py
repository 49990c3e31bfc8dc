"""A conversation as a person reads it, whatever a model replied."""

import json
from typing import Any

import pytest

from agents.conversation.transcript import transcript


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
            whole=False,
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
    lines = list(transcript([a_call({"role": "assistant", "tool_calls": calls})], None, whole=False))
    assert lines[-1] == f"**assistant calls** {json.dumps(calls, separators=(',', ':'))}"


def test_a_terminal_is_told_nothing_by_a_model() -> None:
    """Control characters are shown as what they are: nothing that can be read."""
    (line,) = list(transcript([a_call({"role": "assistant", "content": "a\x1b[2Jb\nc"})], None, whole=True))[3:]
    assert line == "**assistant:** a\ufffd[2Jb\nc"
