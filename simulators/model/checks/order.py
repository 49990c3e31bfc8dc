"""
The order messages must stand in: every tool call answered directly after it, no answer without a call.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from simulators.model.errors import Refusal
from simulators.model.situation import calls_of

_UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "(insufficient tool messages following tool_calls message)"
)
_UNASKED = "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
_DROPPED = "The `reasoning_content` in the thinking mode must be passed back to the API."


def check_order(messages: Sequence[Mapping[str, Any]], needs_reasoning: bool) -> None:
    """
    Refuse messages in an order that makes no conversation.

    Args:
        needs_reasoning: whether every earlier turn of the assistant must still hold its reasoning_content.

    Raises:
        Refusal: a call without its answer, an answer without its call, or a turn whose reasoning was dropped.
    """
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                raise Refusal(400, _UNASKED, param="messages")
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            raise Refusal(400, _UNANSWERED, param="messages")
        if message["role"] == "assistant":
            if needs_reasoning and not isinstance(message.get("reasoning_content"), str):
                raise Refusal(400, _DROPPED, param="messages")
            waiting = {call["id"] for call in calls_of(message)}
    if waiting:
        raise Refusal(400, _UNANSWERED, param="messages")
