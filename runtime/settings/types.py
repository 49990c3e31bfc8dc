"""
The types of settings beyond pydantic's own: sections, paths, symbols, hosts, exact decimals. Pure.

An invalid value is a ValueError whose reason quotes nothing that could be a key.
"""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from runtime.settings.addresses import check_host
from runtime.settings.reference import entry_of

_SYMBOL = re.compile(r"[A-Z0-9]{2,30}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?")
_WINDOW = re.compile(r"([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])")
_MAX_PATH = 4_000  # file systems take at most 4,096 bytes


def minutes_of(window: str) -> tuple[int, int]:
    """Parse a window of the day like "01:00-04:00" to its first minute and the one after its last."""
    match = _WINDOW.fullmatch(window)
    if match is None:
        raise ValueError('must be windows like "01:00-04:00"')
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if not start < end <= 24 * 60:
        raise ValueError(f"{window} must begin before it ends, within one day; split a window at 24:00")
    return start, end


def _check_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("contains a line break or a hidden character; retype it")
    return text


def _check_window(text: str) -> str:
    minutes_of(text)
    return text


def _check_exact(value: float) -> float:
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -8:
        raise ValueError("must have at most 8 decimals")
    return value


def _check_amount(value: float) -> float:
    if 0 < value < 1e-6:  # less would be counted as nothing
        raise ValueError("must be 0 or at least 0.000001")
    return value


def _check_symbol(text: str) -> str:
    if _SYMBOL.fullmatch(text):
        return text
    capitals = text.upper()
    if text.isascii() and _SYMBOL.fullmatch(capitals):
        raise ValueError(f"must be written in capitals: {capitals}")
    raise ValueError("must be 2 to 30 of A-Z and 0-9, like BTCUSDT; symbols with other characters are not supported")


def _expand_home(value: Any) -> Any:
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if not text.strip() or not text.isprintable() or len(text) > _MAX_PATH:
        raise ValueError("must be a path: not empty, no NUL, no line break and no hidden character")
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError("begins with ~ and a user whose home folder is not known; write the whole path") from None


def _check_day(value: Any) -> Any:
    if not isinstance(value, date) and not (isinstance(value, str) and _DAY.fullmatch(value)):
        raise ValueError("must be a date like 2026-10-01")
    return value


Line = Annotated[str, Field(max_length=200), AfterValidator(_check_printable)]
"""Text without line breaks and hidden characters."""

Symbol = Annotated[str, AfterValidator(_check_symbol)]
"""A symbol as Binance lists it, as far as it is supported."""

Host = Annotated[str, AfterValidator(check_host)]
"""A host name or IP address."""

Folder = Annotated[Path, BeforeValidator(_expand_home)]
"""The path of a file or folder, `~` replaced."""

Day = Annotated[date, BeforeValidator(_check_day)]
"""A date; a number is none, though pydantic would count seconds."""

Window = Annotated[str, AfterValidator(_check_window)]
"""A window of the UTC day."""

Exact = Annotated[float, AfterValidator(_check_exact)]
"""A number that is a whole count of 1e-8."""

Usd = Annotated[float, Field(ge=0, le=1_000_000), AfterValidator(_check_amount)]
"""US dollars that may be spent."""


class Section(BaseModel):
    """A part of settings: no unknown keys, no change, numbers that are finite and no truth values."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and info.field_name is not None:
            entry = entry_of(info.field_name, cls.model_fields[info.field_name])
            if entry.is_number:
                raise ValueError(entry.demand)
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _zero_has_no_sign(cls, value: Any) -> Any:
        return value + 0.0 if isinstance(value, float) else value
