"""
The REST side of the exchange: a table of endpoints, and the one path of every reply.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from market.timestamps import MILLISECOND_NS
from simulators.exchange.clock import Clock
from simulators.exchange.errors import ApiError
from simulators.exchange.faults import request_faults
from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.faults.request_faults import Faults
from simulators.exchange.faults.script import Occasion
from simulators.exchange.venue import queries, wire
from simulators.exchange.venue.answers import Answers
from simulators.exchange.venue.limits import Charge, WeightMeter

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint: the names of its parameters, its weight, and its body."""

    names: tuple[str, ...]
    weight: Callable[[Query], int]
    body: Callable[[Query, Faults], bytes]


class RestApi:
    """
    Answers `GET /api/v3/<name>`.

    Args:
        answers: the answers of each market, by symbol.
        conditions: the clock that dates the replies, and the script of faults.
        clock: the clock of the weight's minutes, without faults.
        meter: counts the weight of every request.
    """

    def __init__(
        self, answers: Mapping[str, Answers], conditions: Conditions, clock: Clock, meter: WeightMeter
    ) -> None:
        self._answers = answers
        self._conditions = conditions
        self._clock = clock
        self._meter = meter
        self._requests = 0
        self._endpoints = {
            "ping": Endpoint((), lambda _: 1, lambda *_: b"{}"),
            "time": Endpoint((), lambda _: 1, lambda *_: wire.server_time(self._now_ms())),
            "exchangeInfo": Endpoint(queries.EXCHANGE_INFO_NAMES, lambda _: 20, self._exchange_info),
            "depth": Endpoint(queries.DEPTH_NAMES, queries.depth_weight, self._depth),
            "aggTrades": Endpoint(queries.AGG_TRADES_NAMES, lambda _: 4, self._agg_trades),
        }

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; every REST reply of the exchange is sent here."""
        name = request.match_info["name"]
        endpoint = self._endpoints.get(name)
        self._requests += 1
        trigger_faults = self._conditions.script.trigger(Occasion("request", name, self._requests, self._requests))
        faults = {fault.name: fault for fault in trigger_faults}
        charge = self._meter.charge(self._clock.now_ns(), endpoint.weight(request.query) if endpoint else 1)
        try:
            status, body = 200, self._body(endpoint, request.query, charge, faults)
        except ApiError as refusal:
            status, body = refusal.status, wire.error_body(refusal.code, refusal.message)
        return await request_faults.send(request, _response(status, body, charge), faults)

    def _body(self, endpoint: Endpoint | None, query: Query, charge: Charge, faults: Faults) -> bytes:
        self._refuse_excess(charge)
        if endpoint is None:
            raise ApiError(-1020, "This operation is not supported.", status=404)
        queries.check_names(query, endpoint.names)
        return endpoint.body(query, faults)

    def _refuse_excess(self, charge: Charge) -> None:
        if charge.status == 418:
            until_ms = self._now_ms() + charge.retry_after_s * 1_000
            text = f"Way too much request weight used; IP banned until {until_ms}."
            raise ApiError(-1003, f"{text} Please use WebSocket Streams for live updates to avoid bans.", status=418)
        if charge.status == 429:
            text = f"Too much request weight used; current limit is {self._meter.limit} request weight per 1 MINUTE."
            advice = "Please use WebSocket Streams for live updates to avoid polling the API."
            raise ApiError(-1003, f"{text} {advice}", status=429)

    def _exchange_info(self, query: Query, _: Faults) -> bytes:
        all_answers = self._answers.values()
        markets = [self._answers[queries.parse_symbol(query, self._answers)]] if "symbol" in query else all_answers
        return wire.exchange_info([market.symbol_info() for market in markets], self._now_ms(), self._meter.limit)

    def _depth(self, query: Query, _: Faults) -> bytes:
        return self._answers[queries.parse_symbol(query, self._answers)].depth(queries.parse_depth_limit(query))

    def _agg_trades(self, query: Query, faults: Faults) -> bytes:
        answers = self._answers[queries.parse_symbol(query, self._answers)]
        trades_query = queries.parse_agg_trades(query)
        if (skipping := faults.get("wrong_from_id")) and trades_query.from_id is not None:
            trades_query = replace(trades_query, from_id=trades_query.from_id + int(skipping.number("skip")))
        stale = faults.get("stale_trades")
        return answers.agg_trades(trades_query, int(stale.number("trades")) if stale else 0)

    def _now_ms(self) -> int:
        return self._conditions.now_ns() // MILLISECOND_NS


def _response(status: int, body: bytes, charge: Charge) -> web.Response:
    headers = {
        "Content-Type": "application/json;charset=UTF-8",
        "X-MBX-USED-WEIGHT": str(charge.weight),
        "X-MBX-USED-WEIGHT-1M": str(charge.weight),
    }
    if charge.retry_after_s:
        headers["Retry-After"] = str(charge.retry_after_s)
    return web.Response(status=status, body=body, headers=headers)
