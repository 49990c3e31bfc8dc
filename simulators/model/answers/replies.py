"""
The JSON of a reply in the API's shape, and the faults of the stage `body`, which change it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from agents.llm.wire.api import Request
from simulators.model.answers.drafts import Draft
from simulators.model.script import TriggeredFault
from simulators.model.situation import is_thinking

Body = dict[str, Any]

FINGERPRINTS: Mapping[str, str] = {
    "deepseek-flash": "fp_simulated_flash_1017",
    "deepseek-v4-flash": "fp_simulated_flash_1017",
    "deepseek-v4-pro": "fp_simulated_pro_0813",
}
# Tokens of a reply where the request sets no max_tokens: without thinking, with it, at the highest effort.
_PLAIN_OUTPUT = 8_192
_THINKING_OUTPUT = 65_536
_LONGEST_THINKING_OUTPUT = 131_072


@dataclass(frozen=True, slots=True)
class Stamp:
    """
    What identifies a reply.

    Attributes:
        seed: of the server. number: of the request on this server, from 1. created: the time, unix seconds.
    """

    seed: int
    number: int
    created: int

    def token(self, purpose: str) -> str:
        """An id for a purpose, 32 hex digits; the same for the same stamp and purpose."""
        return blake2b(f"{self.seed}/{self.number}/{purpose}".encode(), digest_size=16).hexdigest()


def max_tokens(request: Request) -> int:
    """Number of tokens a reply may have, reasoning included."""
    if request.get("max_tokens") is not None:
        return int(request["max_tokens"])
    if not is_thinking(request):
        return _PLAIN_OUTPUT
    return _LONGEST_THINKING_OUTPUT if request.get("reasoning_effort") == "max" else _THINKING_OUTPUT


def build_body(request: Request, draft: Draft, stamp: Stamp, prompt_tokens: int, hit_tokens: int) -> Body:
    """
    The JSON of a reply.

    Args:
        request: the request that it answers; names the model.
        draft: the reply.
        stamp: decides the ids and the time of creation.
        prompt_tokens: number of tokens of the prompt.
        hit_tokens: number of the prompt's tokens that were in the cache.
    """
    message: Body = {"role": "assistant", "content": draft.content}
    if draft.reasoning is not None:
        message["reasoning_content"] = draft.reasoning
    if draft.calls:
        message["tool_calls"] = [
            {
                "id": f"call_{i:02}_{stamp.token(f'call {i}')[:24]}",
                "type": "function",
                "index": i,
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for i, call in enumerate(draft.calls)
        ]
    return {
        "id": stamp.token("reply"),
        "object": "chat.completion",
        "created": stamp.created,
        "model": request["model"],
        "system_fingerprint": FINGERPRINTS[request["model"]],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": draft.finish}],
        "usage": _usage(draft, prompt_tokens, hit_tokens),
    }


def _usage(draft: Draft, prompt_tokens: int, hit_tokens: int) -> Body:
    usage: Body = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": draft.tokens,
        "total_tokens": prompt_tokens + draft.tokens,
        "prompt_tokens_details": {"cached_tokens": hit_tokens},
        "prompt_cache_hit_tokens": hit_tokens,
        "prompt_cache_miss_tokens": prompt_tokens - hit_tokens,
    }
    if draft.reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": draft.reasoning_tokens}
    return usage


def corrupt_body(body: Body, faults: Sequence[TriggeredFault]) -> Body:
    """Apply the faults of the stage `body`, one after the other, to a reply's JSON."""
    for fault in faults:
        if fault.definition.stage == "body":
            body = _FAULTS[fault.name](body, fault)
    return body


def _same_call_id(body: Body, _: TriggeredFault) -> Body:
    choice = body["choices"][0]
    calls = choice["message"].get("tool_calls", [])
    same = [{**call, "id": calls[0]["id"] if len(calls) > 1 else ""} for call in calls]
    return {**body, "choices": [{**choice, "message": {**choice["message"], "tool_calls": same}}]}


def _message_null(body: Body, _: TriggeredFault) -> Body:
    return {**body, "choices": [{"index": 0, "message": None, "finish_reason": "stop"}] if body["choices"] else []}


def _usage_absurd(body: Body, _: TriggeredFault) -> Body:
    absurd = {"prompt_tokens": -5, "completion_tokens": "many", "total_tokens": None, "prompt_cache_hit_tokens": 10**9}
    return {**body, "usage": absurd}


_FAULTS: Mapping[str, Callable[[Body, TriggeredFault], Body]] = {
    "same_call_id": _same_call_id,
    "no_choices": lambda body, _: {**body, "choices": []},
    "choices_null": lambda body, _: {**body, "choices": None},
    "message_null": _message_null,
    "usage_missing": lambda body, _: {name: value for name, value in body.items() if name != "usage"},
    "usage_absurd": _usage_absurd,
    "wrong_model": lambda body, fault: {**body, "model": fault.parameters["model"]},
    "fingerprint_changes": lambda body, fault: {**body, "system_fingerprint": fault.parameters["fingerprint"]},
}
