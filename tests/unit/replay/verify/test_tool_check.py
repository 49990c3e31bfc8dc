"""What a recorded request shows of tool results, whoever wrote the record."""

from typing import Any

import pytest

from agents.llm.conversation.tools import DEPTH, FLOW
from replay.verify.tool_check import CANDIDATES, extract_results


def a_call(known: Any, name: Any) -> dict[str, Any]:
    """A call as a request sends it back."""
    return {"id": known, "type": "function", "function": {"name": name, "arguments": "{}"}}


def test_results_and_candidates_are_found() -> None:
    """By the call they answer; errors and other lines are none."""
    request = {
        "messages": [
            {"role": "assistant", "content": "", "tool_calls": [a_call("a", DEPTH), a_call("b", FLOW)]},
            {"role": "tool", "tool_call_id": "a", "content": '{"mid":"1"}'},
            {"role": "tool", "tool_call_id": "b", "content": "error: no"},
            {"role": "user", "content": 'Choose.\n{"reference":"1"}\nNow.'},
        ]
    }
    assert extract_results(request) == {DEPTH: '{"mid":"1"}', CANDIDATES: '{"reference":"1"}'}


@pytest.mark.parametrize(
    "request_",
    [
        None,
        7,
        {},
        {"messages": None},
        {"messages": {"role": "tool"}},
        {"messages": [None, 7, "text", [], {}]},
        {"messages": [{"role": "assistant", "tool_calls": 7}, {"role": "tool", "content": "{}"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": 7}]}, {"role": "tool", "tool_call_id": 7}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": '{"reference":1}'}]}]},
        {"messages": [{"role": "tool", "tool_call_id": {"a": 1}, "content": "{}"}]},
    ],
)
def test_a_request_of_another_form_shows_nothing(request_: Any) -> None:
    """No record stops the check of the others."""
    assert extract_results(request_) == {}
