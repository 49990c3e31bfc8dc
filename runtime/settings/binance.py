"""
The settings of Binance: which markets, at which addresses, within which limits.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from runtime.settings.addresses import check_web_address, is_private
from runtime.settings.types import Section, Symbol

_Null = BeforeValidator(lambda value: () if value is None else value)


class Binance(Section):
    """The venue: `symbol` is analysed, `symbols` are recorded; by default `symbol` alone."""

    symbol: Symbol = Field(
        default="BTCFDUSD", description="The symbol that is analysed: 2 to 30 characters A-Z and 0-9."
    )
    symbols: Annotated[tuple[Symbol, ...], _Null] = Field(
        default=(),
        max_length=500,
        description="The symbols that are recorded, including `symbol`; if empty, only `symbol`.",
    )
    timeout: float = Field(default=10.0, ge=0.1, le=120, description="Timeout of a REST request, in seconds.")
    rest_url: str = Field(
        default="https://data-api.binance.vision",
        description="REST address; plain http only to this machine or a private IP address.",
    )
    websocket_url: str = Field(
        default="wss://data-stream.binance.vision",
        description="WebSocket address; plain ws only to this machine or a private IP address.",
    )
    weight_per_minute: int = Field(
        default=3000, ge=300, le=6000, description="Maximum request weight per minute; Binance allows 6000."
    )

    @field_validator("rest_url")
    @classmethod
    def _rest(cls, value: str) -> str:
        return _venue_address(value, "http", "https://data-api.binance.vision")

    @field_validator("websocket_url")
    @classmethod
    def _websocket(cls, value: str) -> str:
        return _venue_address(value, "ws", "wss://data-stream.binance.vision")

    @model_validator(mode="after")
    def _looks_at_what_it_records(self) -> "Binance":
        if len(set(self.symbols)) < len(self.symbols):
            raise ValueError("symbols names a market twice")
        if self.symbols and self.symbol not in self.symbols:
            raise ValueError(f"symbols does not include symbol, {self.symbol}: only recorded markets can be analysed")
        return self

    @property
    def recorded_symbols(self) -> tuple[str, ...]:
        """The symbols that are recorded."""
        return self.symbols or (self.symbol,)


def _venue_address(text: str, plain: str, example: str) -> str:
    url = check_web_address(text, (f"{plain}s", plain), example)
    if url.scheme == plain and not is_private(url.hostname or ""):
        raise ValueError(f"must be encrypted ({plain}s); {plain} only to this machine or a private IP address")
    return text.strip().rstrip("/")
