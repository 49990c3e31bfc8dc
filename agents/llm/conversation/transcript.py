"""
A minute's calls as a person reads them: who said what, in order, with what it cost.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from agents.llm.conversation.tools import calls_in
from agents.llm.wire.api import UnreadableReply, read_reply
from market.printable import printable

_LONGEST = 1_200
_LONGEST_ROLE = 20


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
            yield f"## {printable(agent)}"
        messages = _messages(call["request"])
        for message in messages[told.get(agent, 0) :]:
            yield from _message(message, whole)
        told[agent] = len(messages)
        yield _answered(call)
        if call["verdict"] == "ok" and call["reply"]:
            try:
                yield from _message(_reply(call["reply"]), whole)
            except UnreadableReply as error:
                yield f"its reply cannot be read: {error}"
            told[agent] += 1
    if decision is not None:
        yield "## outcome"
        yield f"fallback: {printable(decision['fallback'])}" if decision["fallback"] else "the model's decision stands"
        for name in ("anomalies", "refusals"):
            if decision[name]:
                yield f"{name}: {printable('; '.join(decision[name]))}"
        yield f"numbers in its texts: {decision['numbers']}, of them not shown to it: {decision['ungrounded']}"


def _answered(call: Mapping[str, Any]) -> str:
    tokens = f"{call['prompt_tokens']} + {call['completion_tokens']} tokens, {call['cache_hit_tokens']} from the cache"
    again = f", attempt {call['attempt']}" if call["attempt"] > 1 else ""
    fault = f": {call['detail']}" if call["detail"] else ""
    who = f" {call['model']} ({call['fingerprint']})" if call["model"] else ""
    return printable(f"> {call['verdict']}{fault}{again} after {call['took_ms'] / 1e3:.2f} s{who}: {tokens}")


def _message(message: Mapping[str, Any], whole: bool) -> Iterator[str]:
    role = printable(str(message.get("role", "?")), _LONGEST_ROLE)
    if message.get("reasoning_content"):
        yield f"**{role} thinks:** {_cut(_text(message['reasoning_content']), whole)}"
    calls = calls_in(message)
    if calls is None:
        yield f"**{role} calls** {_cut(msgspec.json.encode(message['tool_calls']).decode(), whole)}"
    for call in calls or ():
        yield f"**{role} calls** `{printable(call.name)}({_cut(call.arguments, whole)})`"
    if message.get("content"):
        yield f"**{role}:** {_cut(_text(message['content']), whole)}"


def _messages(request: str) -> list[Mapping[str, Any]]:
    try:
        messages = msgspec.json.decode(request).get("messages")
    except (msgspec.DecodeError, UnicodeError, RecursionError, AttributeError):
        return []
    return [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []


def _reply(body: str) -> Mapping[str, Any]:
    """The message as it came, whatever had to be mended to read it."""
    try:
        return read_reply(body, mend=False).message
    except UnreadableReply:
        return read_reply(body).message


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _cut(text: str, whole: bool) -> str:
    text = "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in text)  # a terminal would obey some of them
    return text if whole or len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
