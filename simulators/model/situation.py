"""
What a request asks for, read from its body alone: the agent, the step, the language, the tools.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import Any, Literal

from agents.llm.conversation.tools import DEPTH, FLOW
from agents.llm.wire.api import Request

Agent = Literal["static", "dynamic", "decision", "compact", "other"]
Step = Literal["call", "verdict", "decision"]
Language = Literal["zh", "en"]

_CHINESE = re.compile("[\u4e00-\u9fff]")
_AGENTS: Mapping[frozenset[str], Agent] = {
    frozenset(): "decision",
    frozenset({DEPTH}): "static",
    frozenset({FLOW}): "dynamic",
    frozenset({DEPTH, FLOW}): "compact",
}
_DECODER = JSONDecoder()
_MAX_FAILURES = 500  # each costs a scan to the end of the text


@dataclass(frozen=True, slots=True)
class Situation:
    """
    What a request asks for.

    Attributes:
        agent: decided by the tools that it offers or has called; without any it is `decision`.
        step: call a tool, write a verdict, or decide. thinking: whether the model thinks first.
        language: of the system messages, or else of the last message.
        to_call: the tools to call now, in the order of the request; empty unless the step is `call`.
    """

    agent: Agent
    step: Step
    thinking: bool
    language: Language
    to_call: tuple[str, ...]


def situation_of(request: Request) -> Situation:
    """What an accepted request asks for."""
    to_call = _to_call(request)
    names = frozenset(
        [*tool_names(request), *(c["function"]["name"] for m in request["messages"] for c in calls_of(m))]
    )
    decides = (request.get("response_format") or {}).get("type") == "json_object"
    systems = " ".join(text_of(m) for m in request["messages"] if m["role"] == "system")
    return Situation(
        agent=_AGENTS.get(names, "other"),
        step="call" if to_call else "decision" if decides else "verdict",
        thinking=is_thinking(request),
        language="zh" if _CHINESE.search(systems or text_of(request["messages"][-1])) else "en",
        to_call=to_call,
    )


def is_thinking(request: Request) -> bool:
    """Whether the model thinks first: it does unless the request disables it."""
    disabled = (request.get("thinking") or {}).get("type") == "disabled"
    return not disabled and request.get("reasoning_effort") != "none"


def tool_names(request: Request) -> list[str]:
    """The names of the tools a request offers."""
    return [tool["function"]["name"] for tool in request.get("tools") or ()]


def tool_choice(request: Request) -> str:
    """The tool choice of a request as text: none, auto, required, or a colon and the name of a tool."""
    choice = request.get("tool_choice") or ("auto" if request.get("tools") else "none")
    return choice if isinstance(choice, str) else ":" + choice["function"]["name"]


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message; parts are joined by line breaks."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


def calls_of(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The tool calls of a message."""
    return message.get("tool_calls") or ()


def results_of(request: Request) -> dict[str, str]:
    """The last answer of each tool, by the tool's name; errors are left out."""
    names = {c["id"]: c["function"]["name"] for m in request["messages"] for c in calls_of(m)}
    answers = [(names.get(m["tool_call_id"]), text_of(m)) for m in request["messages"] if m["role"] == "tool"]
    return {name: text for name, text in answers if name and not _is_error(text)}


def find_objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects in a text, in order; other text between them is ignored."""
    start, failures = text.find("{"), 0
    while start >= 0 and failures < _MAX_FAILURES:
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (JSONDecodeError, RecursionError):
            end = start + 1
            failures += 1
        else:
            yield value
        start = text.find("{", end)


def _is_error(text: str) -> bool:
    # An error may quote JSON, so a text that begins with "error" is one whatever it holds.
    return text.lstrip().lower().startswith("error") or any("error" in value for value in find_objects(text))


def _to_call(request: Request) -> tuple[str, ...]:
    choice, tools = tool_choice(request), tool_names(request)
    if choice == "none":
        return ()
    if choice.startswith(":"):
        return (choice[1:],)
    answers = results_of(request)
    open_tools = tuple(name for name in tools if name not in answers)
    return open_tools or (tuple(tools) if choice == "required" else ())
