"""
The budget of a model per minute and per UTC day, in tokens and money; fails closed.

Before a request is sent, the most it can use is reserved. When its reply is known, its actual usage replaces the
reservation; when the reply is lost, the reservation stays.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from agents.llm.client.prices import USD_E12, PriceList
from agents.llm.wire.api import Request, Usage, encode_request
from market.timestamps import DAY_NS, MINUTE_NS

_MAX_WINDOWS = 64  # minutes and days: more than calls can be recorded out of order
# margin for tokens beyond those of the body, per request and per message
_TOKENS_PER_REQUEST = 1024
_TOKENS_PER_MESSAGE = 32
# most tokens a provider generates without `max_tokens`: DeepSeek, create chat completion (November 2026).
_MAX_PLAIN, _MAX_THINKING, _MAX_AT_MAX = 8_192, 65_536, 131_072


@dataclass(frozen=True, slots=True)
class Limits:
    """The most tokens and money (1e-12 USD) that a minute and a UTC day may use; None is no limit."""

    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    usd_e12_per_minute: int | None = None
    usd_e12_per_day: int | None = None


def max_usage(request: Request) -> Usage:
    """
    The most tokens a request can use: one per byte, none of them cached, and all of `max_tokens` generated.
    """
    messages = request.get("messages")
    overhead = _TOKENS_PER_REQUEST + _TOKENS_PER_MESSAGE * (len(messages) if isinstance(messages, list) else 0)
    prompt = len(encode_request(request)) + overhead
    return Usage(prompt=prompt, cache_miss=prompt, completion=_max_completion(request))


class Budget:
    """
    Counts the usage of one model and refuses requests that could pass its limits.

    Args:
        limits: the most that a minute and a day may use.
        prices: of the provider's models; needed where money is limited. model: the name of the one that is asked.

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
        """The share of prompt tokens that the provider had cached, 0..1, to 4 decimals; None before the first reply."""
        return round(self._cached_tokens / self._prompt_tokens, 4) if self._prompt_tokens else None

    def refusal(self, maximum: Usage, now_ns: int, until_ns: int | None = None) -> str | None:
        """
        Why a request must not be sent now, in one line; None where it may.

        Args:
            maximum: the most it can use, see `max_usage`.
            now_ns: UTC ns at which it would be sent.
            until_ns: until when its reply may come; the dearer of both hours counts. None: the hour of now_ns alone.
        """
        cost = self._max_cost_e12(maximum, now_ns, until_ns)
        return self._minute.refusal(maximum.total, cost, now_ns) or self._day.refusal(maximum.total, cost, now_ns)

    def reserve(self, maximum: Usage, now_ns: int, until_ns: int | None = None) -> None:
        """
        Reserve the most that a request can use, as it is sent.

        Args:
            maximum: the most it can use, see `max_usage`.
            now_ns: UTC ns at which it is sent.
            until_ns: see `refusal`.
        """
        self._count(maximum.total, self._max_cost_e12(maximum, now_ns, until_ns), now_ns)

    def settle(self, maximum: Usage, usage: Usage, sent_ns: int, until_ns: int | None = None) -> None:
        """
        Replace a reservation by the actual usage of its request.

        Args:
            maximum: the usage that was reserved.
            usage: what is charged for it.
            sent_ns, until_ns: the times given to `reserve`.
        """
        self._count(-maximum.total, -self._max_cost_e12(maximum, sent_ns, until_ns), sent_ns)
        self.record(usage, sent_ns)

    def record(self, usage: Usage, sent_ns: int) -> None:
        """Count the usage of a request that was sent at a time without a reservation."""
        self._count(usage.total, self.cost_e12(usage, sent_ns), sent_ns)
        self._prompt_tokens += usage.prompt
        self._cached_tokens += usage.cache_hit

    def restore(self, calls: Iterable[tuple[int, Usage]]) -> None:
        """Count recorded requests, each as (UTC ns at which it was sent, `Attempt.charge`)."""
        for sent_ns, usage in calls:
            self._count(usage.total, self.cost_e12(usage, sent_ns), sent_ns)

    def totals(self, now_ns: int) -> dict[str, int]:
        """Tokens and money (1e-12 USD) counted for the minute and the UTC day of a time."""
        minute, day = self._minute.totals(now_ns), self._day.totals(now_ns)
        return {
            "tokens_this_minute": minute[0],
            "tokens_today": day[0],
            "usd_e12_this_minute": minute[1],
            "usd_e12_today": day[1],
        }

    def cost_e12(self, usage: Usage, at_ns: int) -> int:
        """What a usage costs with this model at a time, 1e-12 USD; 0 where it has no price."""
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
        total_tokens, total_cost_e12 = self.totals(at_ns)
        if self._max_tokens is not None and total_tokens + tokens > self._max_tokens:
            counts = f"{total_tokens} of {self._max_tokens} taken, this request may take {tokens} more"
            return f"tokens_per_{self._name}: {counts}"
        if self._max_cost_e12 is not None and total_cost_e12 + cost_e12 > self._max_cost_e12:
            figures = [f"{value / USD_E12:.6f}" for value in (total_cost_e12, self._max_cost_e12, cost_e12)]
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
