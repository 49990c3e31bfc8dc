"""
What a request asks for, read from its body alone: who asks, at which step, in which language, with which tools.
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
_MAX_FAILED = 500


@dataclass(frozen=True, slots=True)
class Situation:
    """
    What a request asks for.

    Attributes:
        agent: by the tools it was offered or has called; without any it is the deciding one.
        to_call: the tools to be called now, in the order they are offered; empty unless the step is `call`.
    """

    agent: Agent
    step: Step
    thinking: bool
    language: Language
    to_call: tuple[str, ...]


def situation_of(request: Request) -> Situation:
    """What an accepted request asks for."""
    to_call = _to_call(request)
    names = frozenset([*offered(request), *(c["function"]["name"] for m in request["messages"] for c in calls_of(m))])
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
    """Whether the model thinks first: it does unless told not to."""
    disabled = (request.get("thinking") or {}).get("type") == "disabled"
    return not disabled and request.get("reasoning_effort") != "none"


def offered(request: Request) -> list[str]:
    """The names of the tools a request offers."""
    return [tool["function"]["name"] for tool in request.get("tools") or ()]


def chosen(request: Request) -> str:
    """The tool choice as one word: none, auto, required, or the name of a tool after a colon."""
    choice = request.get("tool_choice") or ("auto" if request.get("tools") else "none")
    return choice if isinstance(choice, str) else ":" + choice["function"]["name"]


def text_of(message: Mapping[str, Any]) -> str:
    """All text of a message."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


def calls_of(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The tool calls a message makes."""
    return message.get("tool_calls") or ()


def results_of(request: Request) -> dict[str, str]:
    """The last answer each called tool was given, by the tool's name; an error is no answer."""
    names = {c["id"]: c["function"]["name"] for m in request["messages"] for c in calls_of(m)}
    answers = [(names.get(m["tool_call_id"]), text_of(m)) for m in request["messages"] if m["role"] == "tool"]
    return {name: text for name, text in answers if name and not _is_error(text)}


def objects_in(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects that stand in a text, in order, whatever stands between them."""
    at, failed = text.find("{"), 0
    while at >= 0 and failed < _MAX_FAILED:
        try:
            found, end = _DECODER.raw_decode(text, at)
        except (JSONDecodeError, RecursionError):
            end = at + 1
            failed += 1  # a failure costs the length of the text
        else:
            yield found
        at = text.find("{", end)


def _is_error(text: str) -> bool:
    # An error may quote JSON of its own, so the words before it count.
    return text.lstrip().lower().startswith("error") or any("error" in found for found in objects_in(text))


def _to_call(request: Request) -> tuple[str, ...]:
    choice, tools = chosen(request), offered(request)
    if choice == "none":
        return ()
    if choice.startswith(":"):
        return (choice[1:],)
    answered = results_of(request)
    open_tools = tuple(name for name in tools if name not in answered)
    return open_tools or (tuple(tools) if choice == "required" else ())
