"""
The WebSocket half of the exchange: who is connected, and what each step sends them.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace

from aiohttp import web

from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.faults.faults import Stream
from simulators.exchange.faults.script import Occasion
from simulators.exchange.market.engine import DepthDiff, Step
from simulators.exchange.streams.connection import SHUTDOWN_STREAM, Connection, ConnectionRules
from simulators.exchange.streams.control import MAX_STREAMS
from simulators.exchange.streams.diff_ledger import DiffLedger, MadeDiff
from simulators.exchange.streams.listener import Listener, Message
from simulators.exchange.venue import wire
from simulators.exchange.venue.depth_merger import DepthMerger

_MILLISECOND_NS = 1_000_000
_GONE_S = 1.0


class StreamHub:
    """
    All WebSocket connections, and the streams of one symbol over them.

    Args:
        symbol: the symbol traded; stream names carry it in lower case.
        conditions: dates the events, and says what faults strike.
        rules: what connections must keep to.
        beside: the hub that accepts this exchange's connections, where this one only sends over them.
    """

    def __init__(
        self, symbol: str, conditions: Conditions, rules: ConnectionRules, beside: "StreamHub | None" = None
    ) -> None:
        self.diffs = DiffLedger()
        self._symbol = symbol
        self._conditions = conditions
        self._rules = rules
        self._merger = DepthMerger()
        self._listeners: dict[int, Listener] = {} if beside is None else beside._listeners
        self._attempts = 0
        self._accepted = 0
        self._somebody = asyncio.Event()
        prefix = symbol.lower()
        self._trade_stream, self._fast_stream = f"{prefix}@aggTrade", f"{prefix}@depth@100ms"
        self._slow_streams = f"{prefix}@depth", f"{prefix}@depth@1000ms"

    @property
    def open_count(self) -> int:
        """How many clients are connected."""
        return len(self._listeners)

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
        event_ms = max(self._conditions.now_ns(), step.time_ns) // _MILLISECOND_NS
        if self._is_heard(self._trade_stream):
            trades = self._conditions.trades(step.trades)
            payloads = wire.agg_trade_events(self._symbol, event_ms, trades)
            for agg_id, payload in zip(trades.agg_id.tolist(), payloads, strict=True):
                self.send(Message(self._trade_stream, "trades", agg_id, agg_id, payload))
        if step.depth.last_update_id >= step.depth.first_update_id:
            message = self._diff(self._fast_stream, "diffs", event_ms, step.depth)
            made = MadeDiff(message.first, message.last, message.payload)
            self.diffs.add(made)
            self.send(replace(message, made=made))
        second = self._merger.add(step.depth)
        for stream in self._slow_streams:
            if second is not None and self._is_heard(stream):
                self.send(self._diff(stream, "slow_diffs", event_ms, second))

    def send(self, message: Message) -> None:
        """Send a message to those who listen, with the faults that strike it."""
        listeners = [each for each in self._listeners.values() if each.hears(message.stream)]
        if not listeners:
            return
        struck = self._conditions.script.due(Occasion("message", message.kind, message.first, message.last))
        for each in struck:
            if message.kind == "trades" and each.fault.name == "missing" and each.number("everywhere"):
                self._conditions.hidden.add(message.last)
        for listener in listeners:
            listener.deliver(message, struck)

    async def somebody(self) -> None:
        """Until a client has connected."""
        await self._somebody.wait()

    async def room(self) -> None:
        """Until every client has taken most of what was sent to it."""
        for listener in list(self._listeners.values()):
            await listener.connection.room()

    def give_notice(self) -> int:
        """Tell everyone that the server is about to shut down; how many were told."""
        notice = wire.shutdown_notice(self._conditions.now_ns() // _MILLISECOND_NS)
        for listener in list(self._listeners.values()):
            listener.connection.tell(SHUTDOWN_STREAM, notice)
        return len(self._listeners)

    async def drop_all(self) -> int:
        """Cut every connection; how many there were."""
        dropped = list(self._listeners.values())
        for listener in dropped:
            listener.connection.drop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GONE_S):
                for listener in dropped:
                    await listener.gone.wait()
        return len(dropped)

    def _is_heard(self, stream: str) -> bool:
        return any(listener.hears(stream) for listener in self._listeners.values())

    def _diff(self, stream: str, kind: Stream, event_ms: int, diff: DepthDiff) -> Message:
        given = self._conditions.diff(diff)
        payload = wire.depth_update(self._symbol, event_ms, given)
        return Message(stream, kind, given.first_update_id, given.last_update_id, payload)

    async def _serve(self, request: web.Request, combined: bool, names: str) -> web.StreamResponse:
        streams = tuple(dict.fromkeys(name for name in names.split("/") if name))
        if len(streams) > MAX_STREAMS:
            raise web.HTTPBadRequest(text="too many streams")
        rules = self._rules
        self._attempts += 1
        for struck in self._conditions.script.due(Occasion("connect", "", self._attempts, self._attempts)):
            if struck.fault.name == "refused_connection":
                after = int(struck.number("retry_after_s"))
                headers = {"Retry-After": str(after)} if after else None
                return web.Response(status=int(struck.number("status")), headers=headers)
            rules = replace(rules, max_age_s=struck.number("seconds"))
        socket = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=64 * 1024, timeout=5.0
        )
        await socket.prepare(request)
        connection = Connection(socket, request, combined, streams, self._conditions, rules)
        self._accepted += 1
        number = self._accepted
        self._listeners[number] = Listener(connection, number, self._conditions)
        self._somebody.set()
        try:
            await connection.run()
        finally:
            self._listeners.pop(number).gone.set()
        return socket
