"""
A symbol's grid and state from exchangeInfo, or from what an import saw of it.
"""

from decimal import Decimal
from typing import Any

import msgspec

from market.fixed_point import decimals_of, parse_e8
from market.instrument import Instrument, quantity_decimals_for


def instrument_from(data: bytes) -> Instrument:
    """
    Read a symbol object of exchangeInfo, or an inferred grid written by `inferred_instrument`.

    Raises:
        LookupError, TypeError, ValueError: it lacks a symbol, a status or the price and lot filters.
    """
    fields: dict[str, Any] = msgspec.json.decode(data)
    if "inferred" in fields:
        return msgspec.convert(fields["inferred"], Instrument)
    filters = {f["filterType"]: f for f in fields["filters"]}
    lot = filters["LOT_SIZE"]
    step = parse_e8(lot["stepSize"])
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {"minNotional": "0"}
    return Instrument(
        symbol=_text(fields["symbol"]),
        status=_text(fields["status"]),
        tick_size_e8=parse_e8(filters["PRICE_FILTER"]["tickSize"]),
        step_size_e8=step,
        min_notional_e8=parse_e8(notional["minNotional"], allow_zero=True),
        quantity_decimals=quantity_decimals_for(int(Decimal(lot["maxQty"])), decimals_of(step)),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def inferred_instrument(symbol: str, tick_size_e8: int, step_size_e8: int) -> bytes:
    """The bytes of an instrument fact where only prices and quantities are known."""
    seen = Instrument(symbol, "unknown", tick_size_e8, step_size_e8, source="inferred")
    return msgspec.json.encode({"inferred": seen})
