"""
What asking about recorded minutes will cost, from the prompts that would be sent, and whether the model may have read
about those days.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from agents.llm.client.budget import max_usage
from agents.llm.conversation.dialogue import ModelOptions, Turn, converse, proceed
from agents.llm.conversation.prompts import Prompts
from agents.llm.wire.api import Reply, Request, Usage, encode_request
from analysis.parameters import Parameters
from analysis.view import MarketView
from market.timestamps import DAY_NS
from replay.trials.answer import Totals

RELEASE_DATES = {
    "deepseek-flash": date(2026, 10, 17),
    "deepseek-v4-flash": date(2026, 10, 17),
    "deepseek-v4-pro": date(2026, 8, 13),
}
"""Of what DeepSeek's names stand for in November 2026: V4.1-Flash-1017 and V4-Pro-0813, dated by their own names."""

_BYTES_PER_TOKEN = 3
_CALLING, _TELLING, _DECIDING, _THINKING = 40, 350, 600, 3_000  # tokens of a reply, as a rule
_WORDS = "words " * 200


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    What some conversations cost together; money in 1e-12 USD, None where the model has no price.

    Attributes:
        worst: every request at the most it can take, the decision mended once, each sent as often as allowed.
        basis: what the expectation rests on.
    """

    conversations: int
    expected_tokens: int
    worst_tokens: int
    expected_usd_e12: int | None
    worst_usd_e12: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class Rates:
    """What so much costs by now, and in the dearest hour; None where the model has no price."""

    now: Callable[[Usage], int]
    dearest: Callable[[Usage], int]


def estimate(
    requests: Sequence[Request], conversations: int, attempts: int, rates: Rates | None, known: Totals
) -> Estimate:
    """
    Args:
        requests: of one conversation, see `rehearsed`. attempts: most times one request is sent.
        known: answers of the same side, which tell better than any rule.
    """
    if known.answers and known.calls:
        prompt, completion = known.prompt_tokens // known.answers, known.completion_tokens // known.answers
        cached = known.cached_tokens // known.answers
        expected = Usage(prompt, cached, prompt - cached, completion)
        basis = f"{known.answers:,} stored answers"
    else:
        plain = [_expected(request) for request in requests[:-1]]
        expected = _sum(plain)
        basis = f"the first tick's prompts at {_BYTES_PER_TOKEN} bytes a token, nothing cached"
    worst = _sum([max_usage(request) for request in requests] * attempts)
    return Estimate(
        conversations,
        expected.total * conversations,
        worst.total * conversations,
        rates.now(expected) * conversations if rates else None,
        rates.dearest(worst) * conversations if rates else None,
        basis,
    )


def rehearse_requests(
    view: MarketView, prompts: Prompts, asking: ModelOptions, parameters: Parameters
) -> list[Request]:
    """The requests of a conversation in which tools are called at once and the decision has to be mended, the last."""
    dialogue = converse(view, prompts, asking, parameters)
    turn = proceed(dialogue)
    requests = []
    while isinstance(turn, Turn):
        requests.append(turn.request)
        turn = proceed(dialogue, Reply(_said(turn.request, view.symbol), "stop", None, None, Usage()))
    return requests


def memory_note(model: str, first_ns: int, last_ns: int) -> str | None:
    """What a reader must know of a model that is asked about the past; None where the past is later than the model."""
    released = RELEASE_DATES.get(model)
    if released is None:
        return f"the release date of {model} is unknown: these days may be remembered rather than reasoned about"
    released_ns = (released - date(1970, 1, 1)).days * DAY_NS
    if first_ns >= released_ns:
        return None
    some = "these days lie" if last_ns < released_ns else "some of these days lie"
    return f"{some} before the release of {model} ({released}): they may be remembered rather than reasoned about"


def _said(request: Request, symbol: str) -> dict[str, Any]:
    tools = [tool["function"]["name"] for tool in request.get("tools", ())]
    answered = sum(message["role"] == "tool" for message in request["messages"])
    if answered < len(tools):
        arguments = msgspec.json.encode({"symbol": symbol}).decode()
        calls = [
            {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, name in enumerate(tools)
        ]
        return {"role": "assistant", "content": "", "tool_calls": calls}
    return {"role": "assistant", "content": "{}" if "response_format" in request else _WORDS}


def _expected(request: Request) -> Usage:
    prompt = len(encode_request(request)) // _BYTES_PER_TOKEN
    answered = any(message["role"] == "tool" for message in request["messages"])
    reply = _DECIDING if "response_format" in request else _TELLING if answered else _CALLING
    if request.get("reasoning_effort") is not None:
        reply += _THINKING
    return Usage(prompt=prompt, cache_miss=prompt, completion=min(reply, request["max_tokens"]))


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(
        prompt=sum(u.prompt for u in usages),
        cache_hit=sum(u.cache_hit for u in usages),
        cache_miss=sum(u.cache_miss for u in usages),
        completion=sum(u.completion for u in usages),
    )
