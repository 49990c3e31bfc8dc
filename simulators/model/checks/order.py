"""
The order of messages: every tool call is answered directly after it, and there is no answer without a call.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from simulators.model.errors import Refusal
from simulators.model.situation import calls_of

_NO_ANSWER = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "(insufficient tool messages following tool_calls message)"
)
_NO_CALL = "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
_NO_REASONING = "The `reasoning_content` in the thinking mode must be passed back to the API."


def check_order(messages: Sequence[Mapping[str, Any]], needs_reasoning: bool) -> None:
    """
    Refuse messages that are not in a valid order.

    Args:
        messages: of a request, oldest first.
        needs_reasoning: whether every turn of the assistant must have its reasoning_content.

    Raises:
        Refusal: a call without its answer, an answer without its call, or a turn without its reasoning.
    """
    pending: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in pending:
                raise Refusal(400, _NO_CALL, param="messages")
            pending.discard(message["tool_call_id"])
            continue
        if pending:
            raise Refusal(400, _NO_ANSWER, param="messages")
        if message["role"] == "assistant":
            if needs_reasoning and not isinstance(message.get("reasoning_content"), str):
                raise Refusal(400, _NO_REASONING, param="messages")
            pending = {call["id"] for call in calls_of(message)}
    if pending:
        raise Refusal(400, _NO_ANSWER, param="messages")
