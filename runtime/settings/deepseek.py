"""
The settings of the model that decides, and the prices of its tokens.
"""

import warnings
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from runtime.settings.addresses import check_web_address, is_loopback
from runtime.settings.types import Day, Line, Section, Usd, Window, minutes_of
from runtime.settings.yaml_file import printable_key

_CURRENT_MODELS = {"deepseek-chat": "deepseek-flash", "deepseek-reasoner": "deepseek-flash"}

_UsdPerMillion = Annotated[float, Field(ge=0, le=1000)]


class ModelPrice(Section):
    """What a model's tokens cost."""

    cache_hit: _UsdPerMillion = Field(description="USD per million prompt tokens in the provider's cache.")
    cache_miss: _UsdPerMillion = Field(description="USD per million prompt tokens not in its cache.")
    output: _UsdPerMillion = Field(description="USD per million generated tokens.")
    peak_multiplier: float = Field(default=1.0, ge=1, le=100, description="Price factor in peak hours.")


# See `DeepSeek`: the prices of November 2026.
_FLASH = ModelPrice(cache_hit=0.003, cache_miss=0.15, output=0.60, peak_multiplier=2)
_PRICES = {
    "deepseek-flash": _FLASH,
    "deepseek-v4-flash": _FLASH,
    "deepseek-v4-pro": ModelPrice(cache_hit=0.022, cache_miss=0.66, output=1.98, peak_multiplier=2),
}


class DeepSeek(Section):
    """
    The model; without a key the rules decide.

    Limits bound what a minute and a UTC day may take; beyond them the rules decide. Prices are DeepSeek's of November
    2026; a file adds to them or replaces one. Any endpoint of the same API will do.
    """

    api_key: SecretStr | None = Field(default=None, description="The provider's key; without one the rules decide.")
    base_url: str = Field(
        default="https://api.deepseek.com", description="Address of the API; plain http only to this machine."
    )
    model: Annotated[Line, Field(min_length=1)] = Field(default="deepseek-flash", description="The model's name.")
    temperature: float = Field(default=0.1, ge=0, le=2, description="Sampling temperature of the model.")
    mode: Literal["staged", "compact"] = Field(
        default="staged",
        description="Ask in three steps with one tool each (staged), or in one conversation (compact).",
    )
    thinking: bool | None = Field(
        default=False,
        description="Whether the model thinks first; null omits this DeepSeek-specific field.",
    )
    reasoning_effort: Literal["low", "high", "max"] = Field(
        default="high", description="Reasoning effort, if it thinks."
    )
    strict: bool = Field(default=False, description="Whether tool arguments must match their schema strictly.")
    language: Literal["zh", "en"] = Field(default="zh", description="The language of prompts and answers.")
    prompts: Annotated[Line, Field(min_length=1)] = Field(
        default="default",
        description="Prompts: a shipped variant (default, cautious), or the path of a folder of your own.",
    )
    max_tokens: int = Field(default=8192, ge=1, le=393_216, description="Maximum tokens of one answer.")
    attempts: int = Field(default=3, ge=1, le=10, description="How often one request is sent at most.")
    tokens_per_minute: int | None = Field(
        default=200_000, ge=1, le=10**9, description="Maximum tokens per minute; null: no limit."
    )
    tokens_per_day: int | None = Field(
        default=120_000_000, ge=1, le=10**12, description="Maximum tokens per UTC day; null: no limit."
    )
    usd_per_minute: Usd | None = Field(
        default=0.20, description="Maximum US dollars per minute, 0 or at least 0.000001; null: no limit."
    )
    usd_per_day: Usd | None = Field(
        default=25.0, description="Maximum US dollars per UTC day, 0 or at least 0.000001; null: no limit."
    )
    prices: dict[Line, ModelPrice] = Field(
        default=_PRICES,
        max_length=1_000,
        description="Prices by model name; entries in a file add to the built-in ones or replace them.",
    )
    peak_hours: tuple[Window, ...] = Field(
        default=("01:00-04:00", "06:00-10:00"), max_length=48,
        description="Hours (UTC) in which tokens cost more, Monday to Friday.",
    )  # fmt: skip
    holidays: tuple[Day, ...] = Field(
        default=(), max_length=1_000, description="Dates without peak hours, like 2026-10-01."
    )

    @property
    def endpoint_url(self) -> str:
        """Where requests go: strict tools live under `/beta` of an address that names no path of its own."""
        url = self.base_url
        return f"{url}/beta" if self.strict and not urlsplit(url).path else url

    @property
    def peak_minutes(self) -> tuple[tuple[int, int], ...]:
        """The peak hours as minutes of the UTC day, from and until."""
        return tuple(minutes_of(window) for window in self.peak_hours)

    @field_validator("model")
    @classmethod
    def _current(cls, value: str) -> str:
        current = _CURRENT_MODELS.get(value)
        if current is None:
            return value
        warnings.warn(
            f"analyzer.deepseek.model: {value} was discontinued on 2026-07-24; using {current}, write that instead",
            DeprecationWarning,
            stacklevel=2,
        )
        return current

    @field_validator("api_key")
    @classmethod
    def _blank_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value().strip() if value is not None else ""
        if not all("!" <= letter <= "~" for letter in key):
            raise ValueError("contains a space or a character that no key has; copy it again")
        return SecretStr(key) if key else None

    @field_validator("base_url")
    @classmethod
    def _safe_address(cls, value: str) -> str:
        try:
            url = check_web_address(value, ("https", "http"), "https://api.deepseek.com")
        except ValueError as error:
            more = "; put the key into api_key" if "password" in str(error) else ""
            raise ValueError(f"{error}{more}") from None
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            raise ValueError("a key must not travel unencrypted; use https (http only to this machine)")
        return value.strip().rstrip("/")

    @field_validator("prices", mode="before")
    @classmethod
    def _merge_with_defaults(cls, value: Any) -> Any:
        return {**_PRICES, **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _money_needs_a_price(self) -> "DeepSeek":
        has_limit = self.usd_per_minute is not None or self.usd_per_day is not None
        if self.api_key is not None and has_limit and self.model not in self.prices:
            name = printable_key(self.model)
            raise ValueError(
                f"usd_per_minute and usd_per_day need a price of {name}: add prices.{name} with cache_hit, "
                "cache_miss and output in USD per million tokens, or set both limits to null"
            )
        return self
