"""
The faults of the stage `draft`: each changes the message of a reply.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.llm.conversation.tools import TOOLS
from simulators.model.answers.drafts import Draft, ToolCall
from simulators.model.script import TriggeredFault


def corrupt_draft(draft: Draft, faults: Sequence[TriggeredFault]) -> Draft:
    """Apply the faults of the stage `draft`, one after the other, to a draft."""
    for fault in faults:
        if fault.definition.stage == "draft":
            draft = _FAULTS[fault.name](draft)
    return draft


def _add_prose(draft: Draft) -> Draft:
    return replace(draft, content=f"Here is my decision for this minute:\n\n{draft.content}\n\nGood luck with it!")


def _add_fence(draft: Draft) -> Draft:
    return replace(draft, content=f"```json\n{draft.content}\n```")


def _cut_in_half(finish: str) -> Callable[[Draft], Draft]:
    def apply(draft: Draft) -> Draft:
        *others, last = draft.calls or (None,)
        calls = [call for call in others if call is not None]
        if last is not None:
            calls.append(replace(last, arguments=_first_half(last.arguments)))
        return replace(draft, content=_first_half(draft.content), calls=tuple(calls), finish=finish)

    return apply


def _first_half(text: str) -> str:
    return text[: len(text) // 2]


def _calls_as_tokens(draft: Draft) -> Draft:
    calls = "".join(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{call.name}\n```json\n{call.arguments}\n```<｜tool▁call▁end｜>"
        for call in draft.calls
    )
    return _replace_by_text(draft, f"<｜tool▁calls▁begin｜>{calls}<｜tool▁calls▁end｜>")


def _calls_as_json(draft: Draft) -> Draft:
    calls = [{"name": call.name, "arguments": _parse(call.arguments)} for call in draft.calls]
    return _replace_by_text(draft, f"```json\n{json.dumps({'tool_calls': calls}, ensure_ascii=False)}\n```")


def _parse(arguments: str) -> Any:
    """Arguments as JSON; as the text itself where an earlier fault has cut them."""
    try:
        return json.loads(arguments)
    except json.JSONDecodeError:
        return arguments


def _replace_by_text(draft: Draft, content: str) -> Draft:
    return replace(draft, content=content, calls=(), finish="stop")


def _set_arguments(draft: Draft, arguments: str) -> Draft:
    return replace(draft, calls=tuple(replace(call, arguments=arguments) for call in draft.calls))


def _unknown_tool(draft: Draft) -> Draft:
    return replace(draft, calls=tuple(replace(call, name="web_search") for call in draft.calls))


def _same_tool_twice(draft: Draft) -> Draft:
    return replace(draft, calls=(*draft.calls, *draft.calls[:1]))


def _second_tool(draft: Draft) -> Draft:
    names = {call.name for call in draft.calls}
    other = next((name for name in TOOLS if name not in names), TOOLS[0])
    arguments = draft.calls[0].arguments if draft.calls else "{}"
    return replace(draft, calls=(*draft.calls, ToolCall(other, arguments)))


def _answer_in_reasoning(draft: Draft) -> Draft:
    return replace(draft, content="", reasoning=f"{draft.reasoning or ''}\n{draft.content}")


_FAULTS: Mapping[str, Callable[[Draft], Draft]] = {
    "prose_around": _add_prose,
    "fenced": _add_fence,
    "calls_as_tokens": _calls_as_tokens,
    "calls_as_json_text": _calls_as_json,
    "bad_arguments": lambda draft: _set_arguments(draft, '{"symbol": "BTC'),
    "arguments_off_schema": lambda draft: _set_arguments(draft, '{"symbol": 7, "depth": "all"}'),
    "unknown_tool": _unknown_tool,
    "same_tool_twice": _same_tool_twice,
    "second_tool": _second_tool,
    "no_tool_call": lambda draft: _replace_by_text(draft, "I can answer this without looking anything up."),
    "no_reasoning": lambda draft: replace(draft, reasoning=None),
    "answer_in_reasoning": _answer_in_reasoning,
    "length": _cut_in_half("length"),
    "aborted": _cut_in_half("aborted"),
    "insufficient_system_resource": _cut_in_half("insufficient_system_resource"),
    "blank_content": lambda draft: _replace_by_text(draft, "   \n  "),
    "content_filter": lambda draft: replace(draft, content="", calls=(), finish="content_filter"),
}
