"""
Estimate of what asking about recorded minutes will cost, from the prompts that would be sent, and a note where the
model may have read about those days.
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
"""The models behind DeepSeek's names in November 2026: V4.1-Flash-1017 and V4-Pro-0813, dated by their own names."""

_BYTES_PER_TOKEN = 3  # of a prompt, for a first estimate
_TOOL_CALL, _REPORT, _DECISION, _REASONING = 40, 350, 600, 3_000  # tokens of a reply, as a rule
_FILLER = "words " * 200  # as long as a usual answer, so that its tokens can be counted before any was paid for


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    The cost of some conversations together; money in 1e-12 USD, None where the model has no price.

    Attributes:
        expected_tokens, expected_usd_e12: as a rule.
        worst_tokens, worst_usd_e12: each request at its maximum, one correction of the decision, every attempt used.
        basis: what the expectation is computed from.
    """

    conversations: int
    expected_tokens: int
    worst_tokens: int
    expected_usd_e12: int | None
    worst_usd_e12: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class Rates:
    """
    Prices of a usage, 1e-12 USD.

    Attributes:
        now: at the present time. dearest: in the most expensive hour.
    """

    now: Callable[[Usage], int]
    dearest: Callable[[Usage], int]


def estimate(
    requests: Sequence[Request], conversations: int, attempts: int, rates: Rates | None, history: Totals
) -> Estimate:
    """
    Estimate what some conversations will cost.

    Args:
        requests: of one conversation, see `rehearse_requests`.
        conversations: their number.
        attempts: how often one request is sent at most.
        rates: prices; None where the model has none.
        history: answers of the same arm, from which the expectation is computed where there are any.
    """
    if history.answers and history.calls:
        prompt, completion = history.prompt_tokens // history.answers, history.completion_tokens // history.answers
        cached_tokens = history.cached_tokens // history.answers
        expected = Usage(prompt, cached_tokens, prompt - cached_tokens, completion)
        basis = f"{history.answers:,} stored answers"
    else:
        usages = [_expected_usage(request) for request in requests[:-1]]
        expected = _sum(usages)
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
    view: MarketView, prompts: Prompts, options: ModelOptions, parameters: Parameters
) -> list[Request]:
    """
    The requests of a simulated conversation in which tools are called at once and the decision is corrected once.

    Args:
        view: what is asked about.
        prompts: in one language.
        options: of the model.
        parameters: thresholds that the decision is checked with.

    Returns:
        The requests in order; the last asks for the correction.
    """
    dialogue = converse(view, prompts, options, parameters)
    turn = proceed(dialogue)
    requests = []
    while isinstance(turn, Turn):
        requests.append(turn.request)
        turn = proceed(dialogue, Reply(_simulate_reply(turn.request, view.symbol), "stop", None, None, Usage()))
    return requests


def memory_note(model: str, first_ns: int, last_ns: int) -> str | None:
    """
    A warning that a model may remember the days it is asked about.

    Args:
        model: its name.
        first_ns: start of the stretch. last_ns: its end.

    Returns:
        A sentence; None where the stretch lies after the model's release.
    """
    release_date = RELEASE_DATES.get(model)
    if release_date is None:
        return f"the release date of {model} is unknown: these days may be remembered rather than reasoned about"
    release_ns = (release_date - date(1970, 1, 1)).days * DAY_NS
    if first_ns >= release_ns:
        return None
    some = "these days lie" if last_ns < release_ns else "some of these days lie"
    return f"{some} before the release of {model} ({release_date}): they may be remembered rather than reasoned about"


def _simulate_reply(request: Request, symbol: str) -> dict[str, Any]:
    tools = [tool["function"]["name"] for tool in request.get("tools", ())]
    answer_count = sum(message["role"] == "tool" for message in request["messages"])
    if answer_count < len(tools):
        arguments = msgspec.json.encode({"symbol": symbol}).decode()
        calls = [
            {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, name in enumerate(tools)
        ]
        return {"role": "assistant", "content": "", "tool_calls": calls}
    return {"role": "assistant", "content": "{}" if "response_format" in request else _FILLER}


def _expected_usage(request: Request) -> Usage:
    prompt = len(encode_request(request)) // _BYTES_PER_TOKEN
    has_answers = any(message["role"] == "tool" for message in request["messages"])
    reply = _DECISION if "response_format" in request else _REPORT if has_answers else _TOOL_CALL
    if request.get("reasoning_effort") is not None:
        reply += _REASONING
    return Usage(prompt=prompt, cache_miss=prompt, completion=min(reply, request["max_tokens"]))


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(
        prompt=sum(u.prompt for u in usages),
        cache_hit=sum(u.cache_hit for u in usages),
        cache_miss=sum(u.cache_miss for u in usages),
        completion=sum(u.completion for u in usages),
    )
