"""
The REST half of the exchange: a table of endpoints, and the one way every reply takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from exchanges.simulated import queries, wire
from exchanges.simulated.clock import Clock
from exchanges.simulated.errors import ApiError
from exchanges.simulated.limits import Charge, WeightMeter
from exchanges.simulated.venue import Venue

_MILLISECOND_NS = 1_000_000

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an endpoint reads, what it costs, what it answers."""

    names: tuple[str, ...]
    weight: Callable[[Query], int]
    body: Callable[[Query], bytes]


class RestApi:
    """
    Answers `GET /api/v3/<name>`.

    Args:
        venue: the market that is asked.
        clock: dates the replies and the weight's minutes.
        meter: counts the weight of every request.
    """

    def __init__(self, venue: Venue, clock: Clock, meter: WeightMeter) -> None:
        self._venue = venue
        self._clock = clock
        self._meter = meter
        self._endpoints = {
            "ping": Endpoint((), lambda _: 1, lambda _: b"{}"),
            "time": Endpoint((), lambda _: 1, lambda _: wire.server_time(self._now_ms())),
            "exchangeInfo": Endpoint(queries.EXCHANGE_INFO_NAMES, lambda _: 20, self._exchange_info),
            "depth": Endpoint(queries.DEPTH_NAMES, queries.depth_weight, self._depth),
            "aggTrades": Endpoint(queries.AGG_TRADES_NAMES, lambda _: 4, self._agg_trades),
        }

    async def serve(self, request: web.Request) -> web.Response:
        """Answer one request; every reply of the exchange leaves through here."""
        endpoint = self._endpoints.get(request.match_info["name"])
        charge = self._meter.charge(self._clock.now_ns(), endpoint.weight(request.query) if endpoint else 1)
        try:
            status, body = 200, self._body(endpoint, request.query, charge)
        except ApiError as refusal:
            status, body = refusal.status, wire.error_body(refusal.code, refusal.message)
        return _response(status, body, charge)

    def _body(self, endpoint: Endpoint | None, query: Query, charge: Charge) -> bytes:
        self._refuse_excess(charge)
        if endpoint is None:
            raise ApiError(-1020, "This operation is not supported.", status=404)
        queries.check_names(query, endpoint.names)
        return endpoint.body(query)

    def _refuse_excess(self, charge: Charge) -> None:
        if charge.status == 418:
            until_ms = self._now_ms() + charge.retry_after_s * 1_000
            text = f"Way too much request weight used; IP banned until {until_ms}."
            raise ApiError(-1003, f"{text} Please use WebSocket Streams for live updates to avoid bans.", status=418)
        if charge.status == 429:
            text = f"Too much request weight used; current limit is {self._meter.limit} request weight per 1 MINUTE."
            advice = "Please use WebSocket Streams for live updates to avoid polling the API."
            raise ApiError(-1003, f"{text} {advice}", status=429)

    def _exchange_info(self, query: Query) -> bytes:
        if "symbol" in query:
            queries.check_symbol(query, self._venue.parameters.symbol)
        return wire.exchange_info(self._venue.parameters, self._now_ms(), self._meter.limit)

    def _depth(self, query: Query) -> bytes:
        queries.check_symbol(query, self._venue.parameters.symbol)
        return wire.depth_body(*self._venue.engine.snapshot(queries.depth_limit(query)))

    def _agg_trades(self, query: Query) -> bytes:
        queries.check_symbol(query, self._venue.parameters.symbol)
        return wire.agg_trade_rows(self._venue.find(queries.agg_trades_query(query)))

    def _now_ms(self) -> int:
        return self._clock.now_ns() // _MILLISECOND_NS


def _response(status: int, body: bytes, charge: Charge) -> web.Response:
    headers = {
        "Content-Type": "application/json;charset=UTF-8",
        "X-MBX-USED-WEIGHT": str(charge.used),
        "X-MBX-USED-WEIGHT-1M": str(charge.used),
    }
    if charge.retry_after_s:
        headers["Retry-After"] = str(charge.retry_after_s)
    return web.Response(status=status, body=body, headers=headers)
