"""
The configuration of a model from settings: what it is asked, where, and what that may cost.
"""

from agents.llm.client.budget import Budget, Limits
from agents.llm.client.endpoint import Endpoint
from agents.llm.client.errors import BadProxy
from agents.llm.client.prices import PeakHours, Price, PriceList, usd_e12
from agents.llm.client.proxies import proxy_for_endpoint
from agents.llm.conversation.dialogue import ModelOptions
from agents.llm.conversation.prompts import BadPrompts, Prompts, load
from agents.llm.wire.api import Usage
from eventlog.facts.model import MODEL_CALL
from eventlog.store.log import Log
from market.timestamps import DAY_NS
from runtime.analysts import Questions
from runtime.settings.settings import DeepSeek, SettingsError

_COLUMNS = {
    MODEL_CALL: ("sent_ns", "prompt_tokens", "cache_hit_tokens", "cache_miss_tokens", "completion_tokens",
                 "reasoning_tokens")
}  # fmt: skip


def questions_of(settings: DeepSeek) -> Questions:
    """The request options and prompts that settings ask for."""
    options = ModelOptions(
        model=settings.model,
        mode=settings.mode,
        thinking=settings.thinking,
        effort=settings.reasoning_effort,
        strict=settings.strict,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
    )
    return Questions(options, settings.prompts, settings.language)


def prompts_of(questions: Questions) -> Prompts:
    """
    Load the prompts of some questions.

    Raises:
        SettingsError: they cannot be used.
    """
    try:
        return load(questions.variant, questions.language)
    except BadPrompts as error:
        raise SettingsError(f"analyzer.deepseek.prompts: {error}") from error


def prices_of(settings: DeepSeek) -> PriceList:
    """The prices of models in settings."""
    prices = {
        name: Price.from_usd_per_million(price.cache_hit, price.cache_miss, price.output, price.peak_multiplier)
        for name, price in settings.prices.items()
    }
    return PriceList(prices, PeakHours(settings.peak_minutes, frozenset(settings.holidays)))


def budget_of(settings: DeepSeek) -> Budget:
    """The budget that settings allow, nothing of it used yet."""
    minute, day = settings.usd_per_minute, settings.usd_per_day
    limits = Limits(
        tokens_per_minute=settings.tokens_per_minute,
        tokens_per_day=settings.tokens_per_day,
        usd_e12_per_minute=None if minute is None else usd_e12(minute),
        usd_e12_per_day=None if day is None else usd_e12(day),
    )
    return Budget(limits, prices_of(settings), settings.model)


def endpoint_of(settings: DeepSeek, proxy: str | None = None) -> Endpoint:
    """
    The endpoint of the model.

    Args:
        settings: the model's. proxy: the http(s) address of a proxy, None for a direct connection.

    Raises:
        SettingsError: there is no key, or the proxy cannot be used.
    """
    if settings.api_key is None:
        raise SettingsError("analyzer.deepseek.api_key is not set; export DEEPSEEK_API_KEY or write it into .env")
    try:
        proxy_address = proxy_for_endpoint(settings.endpoint_url, proxy)
    except BadProxy as error:
        raise SettingsError(f"the model cannot be asked: {error}") from error
    return Endpoint(settings.endpoint_url, settings.api_key.get_secret_value(), settings.attempts, proxy=proxy_address)


def restore_budget(budget: Budget, decisions: Log, now_ns: int) -> None:
    """
    Count the calls of today that a decision log holds, so that a restart does not reset the budget.

    Args:
        budget: counts them.
        decisions: the decision log.
        now_ns: UTC ns; calls since midnight count.
    """
    today_ns = now_ns // DAY_NS * DAY_NS
    for batch in decisions.read(kinds=[MODEL_CALL], columns=_COLUMNS):
        if MODEL_CALL in batch.rows:
            rows = batch.rows[MODEL_CALL]
            calls = rows.table().to_pylist()
            budget.restore((call["sent_ns"], _usage(call)) for call in calls if call["sent_ns"] >= today_ns)


def _usage(call: dict[str, int]) -> Usage:
    return Usage(
        prompt=call["prompt_tokens"],
        cache_hit=call["cache_hit_tokens"],
        cache_miss=call["cache_miss_tokens"],
        completion=call["completion_tokens"],
        reasoning=call["reasoning_tokens"],
    )
