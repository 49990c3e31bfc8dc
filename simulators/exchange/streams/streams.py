"""
The WebSocket side of the exchange: its connections, and the messages of each step to them.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace

from aiohttp import web

from market.timestamps import MILLISECOND_NS
from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.faults.faults import Stream
from simulators.exchange.faults.script import Occasion
from simulators.exchange.market.engine import DepthDiff, Step
from simulators.exchange.streams.connection import SHUTDOWN_STREAM, Connection, ConnectionRules
from simulators.exchange.streams.control import MAX_STREAMS
from simulators.exchange.streams.diff_ledger import DiffLedger, DiffRecord
from simulators.exchange.streams.listener import Listener, Message
from simulators.exchange.venue import wire
from simulators.exchange.venue.depth_merger import DepthMerger

_DISCONNECT_TIMEOUT_S = 1.0  # bounds the wait for connections that were dropped


class StreamHub:
    """
    All WebSocket connections, and the streams of one symbol over them.

    Args:
        symbol: the symbol traded; stream names hold it in lower case.
        conditions: the clock that dates the events, and the script of faults.
        rules: the limits of connections.
        primary: the hub that accepts the exchange's connections, where this one only sends over them; None where
            this one accepts them.

    Attributes:
        diffs: the ledger of the diffs sent.
    """

    def __init__(
        self, symbol: str, conditions: Conditions, rules: ConnectionRules, primary: "StreamHub | None" = None
    ) -> None:
        self.diffs = DiffLedger()
        self._symbol = symbol
        self._conditions = conditions
        self._rules = rules
        self._merger = DepthMerger()
        self._listeners: dict[int, Listener] = {} if primary is None else primary._listeners
        self._attempts = 0
        self._total = 0
        self._client_event = asyncio.Event()
        prefix = symbol.lower()
        self._trade_stream, self._fast_stream = f"{prefix}@aggTrade", f"{prefix}@depth@100ms"
        self._slow_streams = f"{prefix}@depth", f"{prefix}@depth@1000ms"

    @property
    def connection_count(self) -> int:
        """Number of clients that are connected."""
        return len(self._listeners)

    @property
    def total_connections(self) -> int:
        """Number of clients that have connected since the start."""
        return self._total

    async def serve_raw(self, request: web.Request) -> web.StreamResponse:
        """`/ws/<stream>`: messages as they are."""
        return await self._serve(request, False, request.match_info.get("streams", ""))

    async def serve_combined(self, request: web.Request) -> web.StreamResponse:
        """`/stream?streams=a/b`: messages wrapped with the name of their stream."""
        return await self._serve(request, True, request.query.get("streams", ""))

    def publish(self, step: Step) -> None:
        """Send the messages of a step to the clients that are subscribed to them."""
        event_ms = max(self._conditions.now_ns(), step.time_ns) // MILLISECOND_NS
        if self._has_listener(self._trade_stream):
            trades = self._conditions.publish_trades(step.trades)
            payloads = wire.agg_trade_events(self._symbol, event_ms, trades)
            for agg_id, payload in zip(trades.agg_id.tolist(), payloads, strict=True):
                self.send(Message(self._trade_stream, "trades", agg_id, agg_id, payload))
        if step.depth.last_update_id >= step.depth.first_update_id:
            message = self._diff(self._fast_stream, "diffs", event_ms, step.depth)
            record = DiffRecord(message.first, message.last, message.payload)
            self.diffs.add(record)
            self.send(replace(message, diff=record))
        slow_diff = self._merger.add(step.depth)
        for stream in self._slow_streams:
            if slow_diff is not None and self._has_listener(stream):
                self.send(self._diff(stream, "slow_diffs", event_ms, slow_diff))

    def send(self, message: Message) -> None:
        """Send a message to the clients that are subscribed to its stream, with the faults that it triggers."""
        listeners = [listener for listener in self._listeners.values() if listener.is_subscribed(message.stream)]
        if not listeners:
            return
        faults = self._conditions.script.trigger(Occasion("message", message.kind, message.first, message.last))
        for fault in faults:
            if message.kind == "trades" and fault.name == "missing" and fault.number("everywhere"):
                self._conditions.hidden_agg_ids.add(message.last)
        for listener in listeners:
            listener.deliver(message, faults)

    async def wait_for_client(self) -> None:
        """Wait until a client has connected for the first time."""
        await self._client_event.wait()

    async def wait_for_room(self) -> None:
        """Wait until the queue of every client has room again."""
        for listener in list(self._listeners.values()):
            await listener.connection.wait_for_room()

    def send_shutdown_notice(self) -> int:
        """Announce to all clients that the server will shut down; returns the number of clients."""
        notice = wire.shutdown_notice(self._conditions.now_ns() // MILLISECOND_NS)
        for listener in list(self._listeners.values()):
            listener.connection.send(SHUTDOWN_STREAM, notice)
        return len(self._listeners)

    async def drop_all(self) -> int:
        """Drop every connection; returns their number."""
        listeners = list(self._listeners.values())
        for listener in listeners:
            listener.connection.drop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCONNECT_TIMEOUT_S):
                for listener in listeners:
                    await listener.closed.wait()
        return len(listeners)

    def _has_listener(self, stream: str) -> bool:
        return any(listener.is_subscribed(stream) for listener in self._listeners.values())

    def _diff(self, stream: str, kind: Stream, event_ms: int, diff: DepthDiff) -> Message:
        public = self._conditions.publish_diff(diff)
        payload = wire.depth_update(self._symbol, event_ms, public)
        return Message(stream, kind, public.first_update_id, public.last_update_id, payload)

    async def _serve(self, request: web.Request, combined: bool, names: str) -> web.StreamResponse:
        streams = tuple(dict.fromkeys(name for name in names.split("/") if name))
        if len(streams) > MAX_STREAMS:
            raise web.HTTPBadRequest(text="too many streams")
        rules = self._rules
        self._attempts += 1
        for fault in self._conditions.script.trigger(Occasion("connect", "", self._attempts, self._attempts)):
            if fault.name == "refused_connection":
                retry_after_s = int(fault.number("retry_after_s"))
                headers = {"Retry-After": str(retry_after_s)} if retry_after_s else None
                return web.Response(status=int(fault.number("status")), headers=headers)
            rules = replace(rules, max_age_s=fault.number("seconds"))
        socket = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=64 * 1024, timeout=5.0
        )
        await socket.prepare(request)
        connection = Connection(socket, request, combined, streams, self._conditions, rules)
        self._total += 1
        number = self._total
        self._listeners[number] = Listener(connection, number, self._conditions)
        self._client_event.set()
        try:
            await connection.run()
        finally:
            self._listeners.pop(number).closed.set()
        return socket
