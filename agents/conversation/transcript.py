"""
A minute's calls as a person reads them: who said what, in order, with what it cost.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from agents.conversation.tools import calls_in

_LONGEST = 1_200


def transcript(calls: Sequence[Mapping[str, Any]], decision: Mapping[str, Any] | None, whole: bool) -> Iterator[str]:
    """
    Lines of Markdown.

    Args:
        calls: rows of `model_call` of one tick, in order. decision: its row of `model_decision`.
        whole: long texts are not cut.
    """
    told: dict[str, int] = {}
    agent = ""
    for call in calls:
        if call["agent"] != agent:
            agent = call["agent"]
            yield f"## {agent}"
        messages = msgspec.json.decode(call["request"])["messages"]
        for message in messages[told.get(agent, 0) :]:
            yield from _message(message, whole)
        told[agent] = len(messages)
        yield _answered(call)
        if call["verdict"] == "ok" and call["reply"]:
            yield from _message(_reply(call["reply"]), whole)
            told[agent] += 1
    if decision is not None:
        yield "## outcome"
        yield f"fallback: {decision['fallback']}" if decision["fallback"] else "the model's decision stands"
        for name in ("anomalies", "refusals"):
            if decision[name]:
                yield f"{name}: {'; '.join(decision[name])}"
        yield f"numbers in its texts: {decision['numbers']}, of them not shown to it: {decision['ungrounded']}"


def _answered(call: Mapping[str, Any]) -> str:
    tokens = f"{call['prompt_tokens']} + {call['completion_tokens']} tokens, {call['cache_hit_tokens']} from the cache"
    again = f", attempt {call['attempt']}" if call["attempt"] > 1 else ""
    fault = f": {call['detail']}" if call["detail"] else ""
    who = f" {call['model']} ({call['fingerprint']})" if call["model"] else ""
    return f"> {call['verdict']}{fault}{again} after {call['took_ms'] / 1e3:.2f} s{who}: {tokens}"


def _message(message: Mapping[str, Any], whole: bool) -> Iterator[str]:
    role = message.get("role", "?")
    if message.get("reasoning_content"):
        yield f"**{role} thinks:** {_cut(str(message['reasoning_content']), whole)}"
    calls = calls_in(message)
    if calls is None:
        yield f"**{role} calls** {_cut(msgspec.json.encode(message['tool_calls']).decode(), whole)}"
    for call in calls or ():
        yield f"**{role} calls** `{call.name}({_cut(call.arguments, whole)})`"
    if message.get("content"):
        yield f"**{role}:** {_cut(str(message['content']), whole)}"


def _reply(body: str) -> Mapping[str, Any]:
    message: Mapping[str, Any] = msgspec.json.decode(body)["choices"][0]["message"]
    return message


def _cut(text: str, whole: bool) -> str:
    text = "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in text)  # a terminal would obey some of them
    return text if whole or len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
