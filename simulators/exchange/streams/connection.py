"""
One WebSocket client: what it listens to, what waits to be sent to it, and when it has to go.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from simulators.exchange.clock import Clock
from simulators.exchange.streams import control
from simulators.exchange.streams.diff_ledger import MadeDiff
from simulators.exchange.venue import wire
from simulators.exchange.venue.limits import MessageMeter

SHUTDOWN_STREAM = "!serverShutdown"

_CLOSED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
_POLL_S = 0.01
_LAST_BYTES_S = 1.0


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """
    How long and how badly behaved a connection may be.

    Attributes:
        queue_size: messages of a symbol that may wait for a slow client; one more and it is disconnected.
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


@dataclass(frozen=True, slots=True)
class Frame:
    """
    What goes over the socket.

    Attributes:
        kind: text, binary, a close with its code and the reason as data, or None for a reset.
        made: the diff it hands over readable, if it does.
    """

    data: bytes
    kind: WSMsgType | None = WSMsgType.TEXT
    code: int = 0
    made: MadeDiff | None = None


class Connection:
    """
    A client on a socket.

    Args:
        socket: the upgraded connection; it answers neither pings nor closes by itself.
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
        self._waiting: asyncio.Queue[Frame] = asyncio.Queue(rules.queue_size)
        self._pings: dict[bytes, float] = {}
        self._ending: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._dead = False

    @property
    def dead(self) -> bool:
        """Whether it is open to look at and nothing more."""
        return self._dead

    def tell(self, stream: str, payload: bytes) -> None:
        """Send a message whether the client listens or not."""
        self.put(self.frame(stream, payload))

    def frame(self, stream: str, payload: bytes) -> Frame:
        """A stream's message as this client gets it."""
        return Frame(wire.in_stream(stream, payload) if self._combined else payload)

    def put(self, frame: Frame) -> None:
        """Send a frame after those that wait. It never waits: the market must not."""
        if self._dead or self._ending.done():
            return
        try:
            self._waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self.drop()
        if self._waiting.qsize() * 2 > self._rules.queue_size:
            self._roomy.clear()

    async def room(self) -> None:
        """Until less than half of what may wait for this client does."""
        if not self._dead and not self._ending.done():
            await self._roomy.wait()

    def close(self, code: int, reason: bytes) -> None:
        """Close the connection, politely, after what waits."""
        self.put(Frame(reason, WSMsgType.CLOSE, code))

    def reset(self) -> None:
        """Reset the connection after what waits."""
        self.put(Frame(b"", None))

    def fall_dead(self) -> None:
        """Send what waits, then nothing ever again, and answer nothing."""
        self._dead = True
        self._roomy.set()

    def drop(self) -> None:
        """Cut the connection without a word, as a broken line does."""
        if self._transport is not None:
            self._transport.abort()

    async def run(self) -> None:
        """Serve the client until it leaves, breaks a rule, is too old or is told to go."""
        reading = asyncio.create_task(self._read())
        workers = [asyncio.create_task(self._write()), asyncio.create_task(self._ping()), reading]
        try:
            ends: set[asyncio.Future[Any]] = {reading, self._ending}
            await asyncio.wait(ends, timeout=self._rules.max_age_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = reading.done()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._roomy.set()
        if ended:
            reading.result()
        elif self._dead:
            self.drop()
        else:
            end = Frame(b"connection is too old", WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)
            end = self._ending.result() if self._ending.done() else end
            await self._socket.close(code=end.code, message=end.data)

    async def _write(self) -> None:
        with suppress(ConnectionError):
            while True:
                frame = await self._waiting.get()
                if self._waiting.qsize() * 4 < self._rules.queue_size:
                    self._roomy.set()
                if frame.kind is None:
                    await self._abort_with_reset()
                    return
                if frame.kind is WSMsgType.CLOSE:
                    self._ending.set_result(frame)
                    return
                await self._socket.send_frame(frame.data, frame.kind)
                if frame.made is not None:
                    frame.made.handed += 1
        self._roomy.set()
        self.drop()

    async def _abort_with_reset(self) -> None:
        transport = self._transport
        if transport is not None:
            # What was sent before is the client's; a reset would throw away what has not left yet.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_BYTES_S):
                    while transport.get_write_buffer_size():
                        await asyncio.sleep(_POLL_S)
            # A socket that lingers for no time at all is closed with RST, not FIN.
            line: socket.socket = transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._roomy.set()
        self.drop()

    async def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._rules.ping_interval_s)
                if self._dead:
                    return
                if self._pings and loop.time() - min(self._pings.values()) > self._rules.pong_timeout_s:
                    break
                payload = str(self._clock.now_ns() // 1_000_000).encode()
                self._pings[payload] = loop.time()
                await self._socket.ping(payload)
        self.drop()

    async def _read(self) -> None:
        while True:
            message: WSMessage = await self._socket.receive()
            if self._dead:
                await self._wait_until_gone(message)
            if message.type in _CLOSED:
                return
            if self._dead:
                continue
            if not self._meter.allows(self._clock.now_ns()):
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            await self._take(message)

    async def _wait_until_gone(self, message: WSMessage) -> None:
        # A dead line answers no close frame: it stays until the client lets go of it.
        while message.type is WSMsgType.CLOSE and self._transport is not None and not self._transport.is_closing():
            await asyncio.sleep(_POLL_S)

    async def _take(self, message: WSMessage) -> None:
        if message.type is WSMsgType.TEXT:
            self.streams, reply = control.answer(message.data, self.streams)
            self.put(Frame(reply))
        elif message.type is WSMsgType.PING:
            with suppress(ConnectionError):
                await self._socket.pong(message.data)
        elif message.type is WSMsgType.PONG and bytes(message.data) in self._pings:
            self._pings.clear()
