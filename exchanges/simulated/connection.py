"""
One WebSocket client: what it listens to, what waits to be sent to it, and when it has to go.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from exchanges.simulated import control, wire
from exchanges.simulated.clock import Clock
from exchanges.simulated.limits import MessageMeter

SHUTDOWN_STREAM = "!serverShutdown"

_CLOSED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """
    How long and how badly behaved a connection may be.

    Attributes:
        queue_size: messages that may wait for a slow client; one more and it is disconnected.
        ping_interval_s: time between the server's pings.
        pong_timeout_s: a ping unanswered for longer ends the connection.
        max_age_s: the age at which every connection ends.
        messages_per_second: what a client may send, control frames included.
    """

    queue_size: int = 4_096
    ping_interval_s: float = 20.0
    pong_timeout_s: float = 60.0
    max_age_s: float = 86_400.0
    messages_per_second: int = 5


class Connection:
    """
    A client on a socket.

    Args:
        socket: the upgraded connection; it answers no pings by itself.
        request: the request it came from.
        combined: whether messages are wrapped with the name of their stream.
        streams: what the address asked for.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        combined: bool,
        streams: tuple[str, ...],
        clock: Clock,
        rules: ConnectionRules,
    ) -> None:
        self.streams = streams
        self._socket = socket
        self._transport = request.transport
        self._combined = combined
        self._clock = clock
        self._rules = rules
        self._meter = MessageMeter(rules.messages_per_second)
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(rules.queue_size)
        self._pings: dict[bytes, float] = {}

    def offer(self, stream: str, payload: bytes) -> None:
        """Send a stream's message if the client listens to that stream."""
        if stream in self.streams:
            self.tell(stream, payload)

    def tell(self, stream: str, payload: bytes) -> None:
        """Send a message whether the client listens or not."""
        self._send(wire.in_stream(stream, payload) if self._combined else payload)

    def drop(self) -> None:
        """Cut the connection without a word, as a broken line does."""
        if self._transport is not None:
            self._transport.abort()

    async def run(self) -> None:
        """Serve the client until it leaves, breaks a rule or is too old."""
        workers = [asyncio.create_task(self._write()), asyncio.create_task(self._ping())]
        try:
            async with asyncio.timeout(self._rules.max_age_s):
                await self._read()
        except TimeoutError:
            await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"connection is too old")
        finally:
            for worker in workers:
                worker.cancel()
                with suppress(asyncio.CancelledError):
                    await worker

    def _send(self, message: bytes) -> None:
        # The only way out for messages. It never waits: the market must not.
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.drop()

    async def _write(self) -> None:
        with suppress(ConnectionError):
            while True:
                await self._socket.send_frame(await self._waiting.get(), WSMsgType.TEXT)
        self.drop()

    async def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._rules.ping_interval_s)
                if self._pings and loop.time() - min(self._pings.values()) > self._rules.pong_timeout_s:
                    break
                payload = str(self._clock.now_ns() // 1_000_000).encode()
                self._pings[payload] = loop.time()
                await self._socket.ping(payload)
        self.drop()

    async def _read(self) -> None:
        while True:
            message: WSMessage = await self._socket.receive()
            if message.type in _CLOSED:
                return
            if not self._meter.allows(self._clock.now_ns()):
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            await self._take(message)

    async def _take(self, message: WSMessage) -> None:
        if message.type is WSMsgType.TEXT:
            self.streams, reply = control.answer(message.data, self.streams)
            self._send(reply)
        elif message.type is WSMsgType.PING:
            with suppress(ConnectionError):
                await self._socket.pong(message.data)
        elif message.type is WSMsgType.PONG and bytes(message.data) in self._pings:
            self._pings.clear()
