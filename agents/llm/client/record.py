"""
An attempt as a fact of the decision log.
"""

import msgspec

from agents.llm.wire.api import MAX_REQUEST_BYTES, Attempt, Request, digest_of, encode_request
from analysis.view import MarketView
from eventlog.facts.model import ModelCall


def call_of(attempt: Attempt, view: MarketView, analyst: str, agent: str, prompt_digest: str, cost: int) -> ModelCall:
    """
    The record of one attempt.

    A request too large to be sent is recorded as its `digest` and its length in `bytes` alone, with no `messages`.

    Args:
        attempt: the request and its outcome.
        view: the tick that it is about.
        analyst, agent: who asked, and in which step of the conversation.
        prompt_digest: of the prompts in use.
        cost: of the attempt's charge, 1e-12 USD.
    """
    reply, usage = attempt.reply, attempt.charge
    return ModelCall(
        market_seq=view.as_of_seq,
        as_of_ns=view.as_of_ns,
        analyst=analyst,
        agent=agent,
        prompt_digest=prompt_digest,
        request_digest=digest_of(attempt.request),
        request=_request_text(attempt.request),
        attempt=attempt.number,
        sent_ns=attempt.sent_ns,
        took_ms=attempt.took_ms,
        verdict=attempt.verdict,
        detail=attempt.detail,
        status=attempt.status,
        reply=attempt.body,
        model=reply.model if reply else None,
        fingerprint=reply.fingerprint if reply else None,
        prompt_tokens=usage.prompt,
        cache_hit_tokens=usage.cache_hit,
        cache_miss_tokens=usage.cache_miss,
        completion_tokens=usage.completion,
        reasoning_tokens=usage.reasoning,
        cost_usd_e12=cost,
    )


def _request_text(request: Request) -> str:
    body = encode_request(request)
    if len(body) > MAX_REQUEST_BYTES:
        body = msgspec.json.encode({"digest": digest_of(request), "bytes": len(body), "messages": []})
    return body.decode()
