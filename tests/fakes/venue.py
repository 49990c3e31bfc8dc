"""
A venue that says exactly what a test tells it to: REST and WebSocket of Binance spot on one loopback port.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import WSMsgType, web

SYMBOL_INFO = {
    "symbol": "BTCFDUSD",
    "status": "TRADING",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00001", "maxQty": "9000"},
        {"filterType": "NOTIONAL", "minNotional": "5"},
    ],
}


class Venue:
    """
    Rows of aggTrades for REST, and messages that every new connection is sent, in order, once.

    Args:
        rows, messages: made of the time in ms at which the venue is asked first, so that they are of now.

    Attributes:
        bodies: REST answers by path, used instead of the usual ones. ahead_ms: how far its clock is ahead.
    """

    def __init__(self, rows: Callable[[int], list[dict[str, Any]]], messages: Callable[[int], list[bytes]]) -> None:
        self._rows = rows
        self._messages = messages
        self._began_ms: int | None = None
        self.ahead_ms = 0
        self.bodies: dict[str, bytes] = {}
        self.port = 0

    def app(self) -> web.Application:
        """The venue as an application."""
        app = web.Application()
        app.router.add_get("/stream", self._stream)
        app.router.add_get("/api/v3/{name}", self._rest)
        return app

    def _first_ms(self) -> int:
        if self._began_ms is None:
            self._began_ms = self._now_ms()
        return self._began_ms

    def _now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    async def _rest(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name in self.bodies:
            return web.Response(body=self.bodies[name])
        if name == "exchangeInfo":
            return web.json_response({"symbols": [SYMBOL_INFO]})
        if name == "time":
            return web.json_response({"serverTime": self._now_ms()})
        if name == "depth":
            return web.json_response({"lastUpdateId": 1, "bids": [["99.99", "1"]], "asks": [["100.01", "1"]]})
        first = int(request.query.get("fromId", "0"))
        limit = int(request.query.get("limit", "500"))
        return web.Response(body=json.dumps([r for r in self._rows(self._first_ms()) if r["a"] >= first][:limit]))

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for message in self._messages(self._first_ms()):
            await socket.send_bytes(message) if message[:1] == b"\xff" else await socket.send_str(message.decode())
        async for message in socket:
            if message.type == WSMsgType.CLOSE:
                break
        return socket


@contextmanager
def running(venue: Venue) -> Iterator[str]:
    """The venue on a port of its own, in a thread; yields host:port."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def serve() -> None:
        runner = web.AppRunner(venue.app())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        venue.port = runner.addresses[0][1]
        ready.set()
        await stop.wait()
        await runner.cleanup()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield f"127.0.0.1:{venue.port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
