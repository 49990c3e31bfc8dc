"""
What a model may take per minute and per UTC day, in tokens and money; fails closed.

A request is counted with the most it can take before it is sent. When its reply is known, what it took stands in that
place; when the reply is lost, the most stays.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from agents.llm.client.prices import USD_E12, PriceList
from agents.llm.wire.api import Request, Usage, encode_request
from market.timestamps import DAY_NS, MINUTE_NS

_MAX_WINDOWS = 64  # minutes and days: more than calls can be recorded out of order
_TOKENS_PER_REQUEST = 1024
_TOKENS_PER_MESSAGE = 32
# What a provider generates unless told: DeepSeek, create chat completion (November 2026).
_MAX_PLAIN, _MAX_THINKING, _MAX_AT_MAX = 8_192, 65_536, 131_072


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a minute and a day may take; None is no limit. Money is in 1e-12 USD."""

    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    usd_e12_per_minute: int | None = None
    usd_e12_per_day: int | None = None


def max_usage(request: Request) -> Usage:
    """
    The most a request can take: no token is shorter than a byte, nothing is cached, all of `max_tokens` is generated.
    """
    messages = request.get("messages")
    overhead = _TOKENS_PER_REQUEST + _TOKENS_PER_MESSAGE * (len(messages) if isinstance(messages, list) else 0)
    prompt = len(encode_request(request)) + overhead
    return Usage(prompt=prompt, cache_miss=prompt, completion=_max_completion(request))


class Budget:
    """
    Counts what one model takes, and says when it is enough.

    Args:
        prices: needed where money is limited. model: whose price counts.

    Raises:
        ValueError: money is limited and the model has no price.
    """

    def __init__(self, limits: Limits, prices: PriceList, model: str) -> None:
        self._has_price = prices.has_price(model)
        if not self._has_price and (limits.usd_e12_per_minute is not None or limits.usd_e12_per_day is not None):
            raise ValueError(f"money is limited but {model} has no price; add analyzer.deepseek.prices.{model}")
        self._prices = prices
        self._model = model
        self._minute = _Window("minute", MINUTE_NS, limits.tokens_per_minute, limits.usd_e12_per_minute)
        self._day = _Window("day", DAY_NS, limits.tokens_per_day, limits.usd_e12_per_day)
        self._prompt_tokens = self._cached_tokens = 0

    @property
    def cache_hit_share(self) -> float | None:
        """How much of all prompts replied to the provider had cached, to 4 decimals; None before the first."""
        return round(self._cached_tokens / self._prompt_tokens, 4) if self._prompt_tokens else None

    def refusal(self, maximum: Usage, now_ns: int, until_ns: int | None = None) -> str | None:
        """
        Why a request that takes at most so much must not be sent now, in one line; None where it may.

        Args:
            until_ns: when its reply may still come; the dearer of both hours counts.
        """
        cost = self._max_cost_e12(maximum, now_ns, until_ns)
        return self._minute.refusal(maximum.total, cost, now_ns) or self._day.refusal(maximum.total, cost, now_ns)

    def reserve(self, maximum: Usage, now_ns: int, until_ns: int | None = None) -> None:
        """Count a request that is being sent with the most it can take; see `refusal`."""
        self._count(maximum.total, self._max_cost_e12(maximum, now_ns, until_ns), now_ns)

    def settle(self, maximum: Usage, usage: Usage, sent_ns: int, until_ns: int | None = None) -> None:
        """Let what a request really took stand where its most was reserved, with the same times, when it was sent."""
        self._count(-maximum.total, -self._max_cost_e12(maximum, sent_ns, until_ns), sent_ns)
        self.record(usage, sent_ns)

    def record(self, usage: Usage, sent_ns: int) -> None:
        """Count what a request sent at a moment took."""
        self._count(usage.total, self.cost_e12(usage, sent_ns), sent_ns)
        self._prompt_tokens += usage.prompt
        self._cached_tokens += usage.cache_hit

    def restore(self, calls: Iterable[tuple[int, Usage]]) -> None:
        """Count recorded requests, each with when it was sent and what was charged for it (`Attempt.charged`)."""
        for sent_ns, usage in calls:
            self._count(usage.total, self.cost_e12(usage, sent_ns), sent_ns)

    def totals(self, now_ns: int) -> dict[str, int]:
        """Tokens and money (1e-12 USD) counted for a moment's minute and day."""
        minute, day = self._minute.totals(now_ns), self._day.totals(now_ns)
        return {
            "tokens_this_minute": minute[0],
            "tokens_today": day[0],
            "usd_e12_this_minute": minute[1],
            "usd_e12_today": day[1],
        }

    def cost_e12(self, usage: Usage, at_ns: int) -> int:
        """What this model costs for so much, 1e-12 USD; 0 where it has no price."""
        return self._prices.cost_e12(self._model, usage, at_ns) if self._has_price else 0

    def _max_cost_e12(self, maximum: Usage, now_ns: int, until_ns: int | None) -> int:
        return max(self.cost_e12(maximum, at_ns) for at_ns in (now_ns, now_ns if until_ns is None else until_ns))

    def _count(self, tokens: int, cost_e12: int, at_ns: int) -> None:
        self._minute.count(tokens, cost_e12, at_ns)
        self._day.count(tokens, cost_e12, at_ns)


class _Window:
    def __init__(self, name: str, width_ns: int, max_tokens: int | None, max_cost_e12: int | None) -> None:
        self._name = name
        self._width_ns = width_ns
        self._max_tokens = max_tokens
        self._max_cost_e12 = max_cost_e12
        self._tokens: defaultdict[int, int] = defaultdict(int)
        self._cost_e12: defaultdict[int, int] = defaultdict(int)

    def totals(self, at_ns: int) -> tuple[int, int]:
        index = at_ns // self._width_ns
        return self._tokens.get(index, 0), self._cost_e12.get(index, 0)

    def count(self, tokens: int, cost_e12: int, at_ns: int) -> None:
        index = at_ns // self._width_ns
        self._tokens[index] += tokens
        self._cost_e12[index] += cost_e12
        while len(self._tokens) > _MAX_WINDOWS:
            farthest = max(self._tokens, key=lambda other: abs(other - index))  # a clock may have stepped back
            del self._tokens[farthest], self._cost_e12[farthest]

    def refusal(self, tokens: int, cost_e12: int, at_ns: int) -> str | None:
        used, cost_so_far_e12 = self.totals(at_ns)
        if self._max_tokens is not None and used + tokens > self._max_tokens:
            return f"tokens_per_{self._name}: {used} of {self._max_tokens} taken, this request may take {tokens} more"
        if self._max_cost_e12 is not None and cost_so_far_e12 + cost_e12 > self._max_cost_e12:
            figures = [f"{value / USD_E12:.6f}" for value in (cost_so_far_e12, self._max_cost_e12, cost_e12)]
            return f"usd_per_{self._name}: {figures[0]} of {figures[1]} spent, this request may cost {figures[2]} more"
        return None


def _max_completion(request: Request) -> int:
    for name in ("max_tokens", "max_completion_tokens"):
        limit = request.get(name)
        if isinstance(limit, int) and limit > 0:
            return limit
    thinking = request.get("thinking")
    is_disabled = isinstance(thinking, dict) and thinking.get("type") == "disabled"
    effort = request.get("reasoning_effort")
    if is_disabled or effort == "none":
        return _MAX_PLAIN
    return _MAX_AT_MAX if effort == "max" else _MAX_THINKING
