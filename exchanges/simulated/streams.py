"""
The WebSocket half of the exchange: who is connected, and what each step sends them.
"""

import asyncio

from aiohttp import web

from exchanges.simulated import wire
from exchanges.simulated.clock import Clock
from exchanges.simulated.connection import SHUTDOWN_STREAM, Connection, ConnectionRules
from exchanges.simulated.control import MOST_STREAMS
from exchanges.simulated.depth_merger import DepthMerger
from exchanges.simulated.engine import Step

_MILLISECOND_NS = 1_000_000


class StreamHub:
    """
    All WebSocket connections of one symbol.

    Args:
        symbol: the symbol traded; stream names carry it in lower case.
        clock: dates the events.
        rules: what connections must keep to.
    """

    def __init__(self, symbol: str, clock: Clock, rules: ConnectionRules) -> None:
        self._symbol = symbol
        self._clock = clock
        self._rules = rules
        self._merger = DepthMerger()
        self._connections: dict[int, Connection] = {}
        self._accepted = 0
        prefix = symbol.lower()
        self._trade_stream, self._fast_stream = f"{prefix}@aggTrade", f"{prefix}@depth@100ms"
        self._slow_streams = f"{prefix}@depth", f"{prefix}@depth@1000ms"

    @property
    def open_count(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    @property
    def accepted_count(self) -> int:
        """How many clients have ever connected."""
        return self._accepted

    async def serve_raw(self, request: web.Request) -> web.StreamResponse:
        """`/ws/<stream>`: messages as they are."""
        return await self._serve(request, False, request.match_info.get("streams", ""))

    async def serve_combined(self, request: web.Request) -> web.StreamResponse:
        """`/stream?streams=a/b`: messages wrapped with the name of their stream."""
        return await self._serve(request, True, request.query.get("streams", ""))

    def publish(self, step: Step) -> None:
        """Send what a step made to those who listen."""
        event_ms = max(self._clock.now_ns(), step.time_ns) // _MILLISECOND_NS
        second = self._merger.add(step.depth)
        wanted = {stream for connection in self._connections.values() for stream in connection.streams}
        if self._trade_stream in wanted:
            for payload in wire.agg_trade_events(self._symbol, event_ms, step.trades):
                self._offer(self._trade_stream, payload)
        if self._fast_stream in wanted and step.depth.last_update_id >= step.depth.first_update_id:
            self._offer(self._fast_stream, wire.depth_update(self._symbol, event_ms, step.depth))
        for stream in self._slow_streams:
            if second is not None and stream in wanted:
                self._offer(stream, wire.depth_update(self._symbol, event_ms, second))

    def give_notice(self) -> int:
        """Tell everyone that the server is about to shut down; how many were told."""
        notice = wire.shutdown_notice(self._clock.now_ns() // _MILLISECOND_NS)
        for connection in list(self._connections.values()):
            connection.tell(SHUTDOWN_STREAM, notice)
        return len(self._connections)

    async def drop_all(self) -> int:
        """Cut every connection; how many there were."""
        dropped = list(self._connections.values())
        for connection in dropped:
            connection.drop()
        await asyncio.sleep(0)
        return len(dropped)

    def _offer(self, stream: str, payload: bytes) -> None:
        for connection in list(self._connections.values()):
            connection.offer(stream, payload)

    async def _serve(self, request: web.Request, combined: bool, names: str) -> web.StreamResponse:
        streams = tuple(dict.fromkeys(name for name in names.split("/") if name))
        if len(streams) > MOST_STREAMS:
            raise web.HTTPBadRequest(text="too many streams")
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=64 * 1024, timeout=5.0)
        await socket.prepare(request)
        connection = Connection(socket, request, combined, streams, self._clock, self._rules)
        self._accepted += 1
        number = self._accepted
        self._connections[number] = connection
        try:
            await connection.run()
        finally:
            del self._connections[number]
        return socket
