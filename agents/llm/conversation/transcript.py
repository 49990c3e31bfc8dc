"""
The calls of one tick for a reader: the messages in order, with verdicts and token counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from agents.llm.conversation.tools import parse_calls
from agents.llm.wire.api import UnreadableReply, read_reply
from market.printable import printable

_LONGEST = 1_200  # letters of a text that is not shown in full
_LONGEST_ROLE = 20  # letters of a role


def transcript(calls: Sequence[Mapping[str, Any]], decision: Mapping[str, Any] | None, full: bool) -> Iterator[str]:
    """
    Write a conversation as lines of Markdown.

    Args:
        calls: rows of `model_call` of one tick, in order.
        decision: its row of `model_decision`, None where there is none.
        full: whether long texts are printed in full.
    """
    shown_counts: dict[str, int] = {}
    agent = ""
    for call in calls:
        if call["agent"] != agent:
            agent = call["agent"]
            yield f"## {printable(agent)}"
        messages = _messages(call["request"])
        for message in messages[shown_counts.get(agent, 0) :]:
            yield from _message(message, full)
        shown_counts[agent] = len(messages)
        yield _attempt_line(call)
        if call["verdict"] == "ok" and call["reply"]:
            try:
                yield from _message(_reply(call["reply"]), full)
            except UnreadableReply as error:
                yield f"its reply cannot be read: {error}"
            shown_counts[agent] += 1
    if decision is not None:
        yield "## outcome"
        yield f"fallback: {printable(decision['fallback'])}" if decision["fallback"] else "the model's decision stands"
        for name in ("anomalies", "refusals"):
            if decision[name]:
                yield f"{name}: {printable('; '.join(decision[name]))}"
        yield f"numbers in its texts: {decision['numbers']}, of them not shown to it: {decision['ungrounded']}"


def _attempt_line(call: Mapping[str, Any]) -> str:
    tokens = f"{call['prompt_tokens']} + {call['completion_tokens']} tokens, {call['cache_hit_tokens']} from the cache"
    attempt = f", attempt {call['attempt']}" if call["attempt"] > 1 else ""
    fault = f": {call['detail']}" if call["detail"] else ""
    model = f" {call['model']} ({call['fingerprint']})" if call["model"] else ""
    return printable(f"> {call['verdict']}{fault}{attempt} after {call['took_ms'] / 1e3:.2f} s{model}: {tokens}")


def _message(message: Mapping[str, Any], full: bool) -> Iterator[str]:
    role = printable(str(message.get("role", "?")), _LONGEST_ROLE)
    if message.get("reasoning_content"):
        yield f"**{role} thinks:** {_shorten(_text(message['reasoning_content']), full)}"
    calls = parse_calls(message)
    if calls is None:
        yield f"**{role} calls** {_shorten(msgspec.json.encode(message['tool_calls']).decode(), full)}"
    for call in calls or ():
        yield f"**{role} calls** `{printable(call.name)}({_shorten(call.arguments, full)})`"
    if message.get("content"):
        yield f"**{role}:** {_shorten(_text(message['content']), full)}"


def _messages(request: str) -> list[Mapping[str, Any]]:
    try:
        messages = msgspec.json.decode(request).get("messages")
    except (msgspec.DecodeError, UnicodeError, RecursionError, AttributeError):
        return []
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


def _reply(body: str) -> Mapping[str, Any]:
    """The message as it came, or normalised where it cannot be read otherwise."""
    try:
        return read_reply(body, normalise=False).message
    except UnreadableReply:
        return read_reply(body).message


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shorten(text: str, full: bool) -> str:
    text = "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in text)  # a terminal would obey some of them
    return text if full or len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
