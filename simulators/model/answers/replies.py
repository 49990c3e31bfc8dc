"""
The JSON of a reply in the API's shape, and the faults that show in that shape.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from agents.llm.wire.api import Request
from simulators.model.answers.drafts import Draft
from simulators.model.script import Struck
from simulators.model.situation import is_thinking

Body = dict[str, Any]

FINGERPRINTS: Mapping[str, str] = {
    "deepseek-flash": "fp_simulated_flash_1017",
    "deepseek-v4-flash": "fp_simulated_flash_1017",
    "deepseek-v4-pro": "fp_simulated_pro_0813",
}
_PLAIN_OUTPUT = 8_192
_THINKING_OUTPUT = 65_536
_LONGEST_THINKING_OUTPUT = 131_072


@dataclass(frozen=True, slots=True)
class Stamp:
    """
    What sets a reply apart from all others: the seed, its number on this server, and the time in whole seconds.
    """

    seed: int
    number: int
    created: int

    def token(self, what: str) -> str:
        """An id, 32 hex digits."""
        return blake2b(f"{self.seed}/{self.number}/{what}".encode(), digest_size=16).hexdigest()


def most_tokens(request: Request) -> int:
    """How many tokens a reply may have, reasoning included."""
    if request.get("max_tokens") is not None:
        return int(request["max_tokens"])
    if not is_thinking(request):
        return _PLAIN_OUTPUT
    return _LONGEST_THINKING_OUTPUT if request.get("reasoning_effort") == "max" else _THINKING_OUTPUT


def body_of(request: Request, draft: Draft, stamp: Stamp, prompt_tokens: int, hit_tokens: int) -> Body:
    """
    A draft as the API sends it.

    Args:
        hit_tokens: of the prompt's tokens, those that were in the cache.
    """
    message: Body = {"role": "assistant", "content": draft.content}
    if draft.reasoning is not None:
        message["reasoning_content"] = draft.reasoning
    if draft.calls:
        message["tool_calls"] = [
            {
                "id": f"call_{at:02}_{stamp.token(f'call {at}')[:24]}",
                "type": "function",
                "index": at,
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for at, call in enumerate(draft.calls)
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


def spoil_body(body: Body, struck: Sequence[Struck]) -> Body:
    """A reply's JSON with the faults of that stage, one on top of the other."""
    for each in struck:
        if each.fault.stage == "body":
            body = _FAULTS[each.fault.name](body, each)
    return body


def _same_call_id(body: Body, _: Struck) -> Body:
    choice = body["choices"][0]
    calls = choice["message"].get("tool_calls", [])
    named = [{**call, "id": calls[0]["id"] if len(calls) > 1 else ""} for call in calls]
    return {**body, "choices": [{**choice, "message": {**choice["message"], "tool_calls": named}}]}


def _message_null(body: Body, _: Struck) -> Body:
    return {**body, "choices": [{"index": 0, "message": None, "finish_reason": "stop"}] if body["choices"] else []}


def _usage_absurd(body: Body, _: Struck) -> Body:
    absurd = {"prompt_tokens": -5, "completion_tokens": "many", "total_tokens": None, "prompt_cache_hit_tokens": 10**9}
    return {**body, "usage": absurd}


_FAULTS: Mapping[str, Callable[[Body, Struck], Body]] = {
    "same_call_id": _same_call_id,
    "no_choices": lambda body, _: {**body, "choices": []},
    "choices_null": lambda body, _: {**body, "choices": None},
    "message_null": _message_null,
    "usage_missing": lambda body, _: {name: value for name, value in body.items() if name != "usage"},
    "usage_absurd": _usage_absurd,
    "wrong_model": lambda body, struck: {**body, "model": struck.parameters["model"]},
    "fingerprint_changes": lambda body, struck: {**body, "system_fingerprint": struck.parameters["fingerprint"]},
}
