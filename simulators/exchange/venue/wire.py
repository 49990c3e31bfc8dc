"""
The messages and bodies of the exchange, as Binance's exact JSON (binance-spot-api-docs: web-socket-streams.md,
rest-api.md).
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from market.arrays import I64
from market.fixed_point import ONE_E8
from market.timestamps import MILLISECOND_NS
from simulators.exchange.market.engine import DepthDiff
from simulators.exchange.market.parameters import split_symbol
from simulators.exchange.market.trades import Trades


class SymbolInfo(Protocol):
    """A symbol and its grid, as exchangeInfo lists them."""

    @property
    def symbol(self) -> str:
        """Base and quote written together."""

    @property
    def tick_size_e8(self) -> int:
        """Step of prices, 1e-8 quote."""

    @property
    def step_size_e8(self) -> int:
        """Step of quantities, 1e-8 base."""


def format_decimal(value_e8: int) -> str:
    """
    A number in units of 1e-8 as text with eight decimals.

    >>> format_decimal(100_000_25000000)
    '100000.25000000'
    """
    integer, fraction = divmod(value_e8, ONE_E8)
    return f"{integer}.{fraction:08d}"


def agg_trade_events(symbol: str, event_ms: int, trades: Trades) -> list[bytes]:
    """
    One `aggTrade` stream message per aggTrade.

    Args:
        symbol: in upper case.
        event_ms: the time of the event E, milliseconds UTC.
        trades: n aggTrades, with public ids.
    """
    head = f'{{"e":"aggTrade","E":{event_ms},"s":"{symbol}",'
    return [f"{head}{fields}}}".encode() for fields in _trade_fields(trades)]


def agg_trade_rows(trades: Trades) -> bytes:
    """The body of `GET /api/v3/aggTrades`: the stream's fields without e, E and s."""
    return ("[" + ",".join(f"{{{fields}}}" for fields in _trade_fields(trades)) + "]").encode()


def depth_update(symbol: str, event_ms: int, diff: DepthDiff) -> bytes:
    """
    A `depthUpdate` stream message.

    Args:
        symbol: in upper case.
        event_ms: the time of the event E, milliseconds UTC.
        diff: the changed levels, with public ids.
    """
    head = f'{{"e":"depthUpdate","E":{event_ms},"s":"{symbol}","U":{diff.first_update_id},"u":{diff.last_update_id},'
    return f'{head}"b":{_levels(*diff.bids)},"a":{_levels(*diff.asks)}}}'.encode()


def depth_body(last_update_id: int, bids: tuple[I64, I64], asks: tuple[I64, I64]) -> bytes:
    """
    The body of `GET /api/v3/depth`.

    Args:
        last_update_id: a public id.
        bids: prices and quantities (1e-8), highest price first.
        asks: the same, lowest price first.
    """
    return f'{{"lastUpdateId":{last_update_id},"bids":{_levels(*bids)},"asks":{_levels(*asks)}}}'.encode()


def wrap_in_stream(stream: str, payload: bytes) -> bytes:
    """A message wrapped with the name of its stream, for combined connections."""
    return b'{"stream":"' + stream.encode() + b'","data":' + payload + b"}"


def shutdown_notice(event_ms: int) -> bytes:
    """The `serverShutdown` message; its stream is `!serverShutdown`."""
    return f'{{"e":"serverShutdown","E":{event_ms}}}'.encode()


def server_time(now_ms: int) -> bytes:
    """The body of `GET /api/v3/time`."""
    return f'{{"serverTime":{now_ms}}}'.encode()


def error_body(code: int, message: str) -> bytes:
    """The body of a refusal."""
    return _compact({"code": code, "msg": message})


def exchange_info(symbols: Iterable[tuple[SymbolInfo, str]], now_ms: int, weight_limit: int) -> bytes:
    """
    The body of `GET /api/v3/exchangeInfo`.

    Args:
        symbols: each symbol with its trading status.
        now_ms: the exchange's time, milliseconds UTC.
        weight_limit: request weight per minute.
    """
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_limit},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000},
    ]
    return _compact(
        {
            "timezone": "UTC",
            "serverTime": now_ms,
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": [_symbol(info, status) for info, status in symbols],
        }
    )


def _symbol(info: SymbolInfo, status: str) -> dict[str, Any]:
    base, quote = split_symbol(info.symbol)
    return {
        "symbol": info.symbol,
        "status": status,
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(info),
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def _filters(info: SymbolInfo) -> list[dict[str, Any]]:
    tick, step = format_decimal(info.tick_size_e8), format_decimal(info.step_size_e8)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.00000000", "stepSize": step},
        {
            "filterType": "NOTIONAL",
            "minNotional": "5.00000000",
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
    ]


def _trade_fields(trades: Trades) -> Iterator[str]:
    for agg_id, price, quantity, first, last, time_ns, maker in trades.columns.T.tolist():
        yield (
            f'"a":{agg_id},"p":"{format_decimal(price)}","q":"{format_decimal(quantity)}","f":{first},"l":{last},'
            f'"T":{time_ns // MILLISECOND_NS},"m":{"true" if maker else "false"},"M":true'
        )


def _levels(price_e8: I64, quantity_e8: I64) -> str:
    rows = zip(price_e8.tolist(), quantity_e8.tolist(), strict=True)
    return (
        "[" + ",".join([f'["{format_decimal(price)}","{format_decimal(quantity)}"]' for price, quantity in rows]) + "]"
    )


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
