"""
A symbol's tick and lot sizes and status, from exchangeInfo or as inferred by an import.
"""

from decimal import Decimal
from typing import Any

import msgspec

from market.fixed_point import decimals_of, parse_e8
from market.instrument import Instrument, quantity_decimals_for


def parse_instrument(data: bytes) -> Instrument:
    """
    Parse a symbol object of exchangeInfo, or the bytes of `encode_inferred_instrument`.

    Raises:
        LookupError, TypeError, ValueError: the symbol, the status or the price and lot filters are missing or wrong.
    """
    fields: dict[str, Any] = msgspec.json.decode(data)
    if "inferred" in fields:
        return msgspec.convert(fields["inferred"], Instrument)
    filters = {f["filterType"]: f for f in fields["filters"]}
    lot = filters["LOT_SIZE"]
    step = parse_e8(lot["stepSize"])
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {"minNotional": "0"}
    return Instrument(
        symbol=_expect_text(fields["symbol"]),
        status=_expect_text(fields["status"]),
        tick_size_e8=parse_e8(filters["PRICE_FILTER"]["tickSize"]),
        step_size_e8=step,
        min_notional_e8=parse_e8(notional["minNotional"], allow_zero=True),
        quantity_decimals=quantity_decimals_for(int(Decimal(lot["maxQty"])), decimals_of(step)),
    )


def _expect_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def encode_inferred_instrument(symbol: str, tick_size_e8: int, step_size_e8: int) -> bytes:
    """
    Encode an instrument fact of which only the grids of prices and quantities are known.

    Args:
        symbol: upper case.
        tick_size_e8: price step, 1e-8 quote.
        step_size_e8: quantity step, 1e-8 base.

    >>> encode_inferred_instrument("BTCFDUSD", 1_000_000, 1_000)[:26]
    b'{"inferred":{"symbol":"BTC'
    """
    instrument = Instrument(symbol, "unknown", tick_size_e8, step_size_e8, source="inferred")
    return msgspec.json.encode({"inferred": instrument})
