"""
One WebSocket connection: its subscriptions, its queue of frames, and the rules that end it.
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
from simulators.exchange.streams.diff_ledger import DiffRecord
from simulators.exchange.venue import wire
from simulators.exchange.venue.limits import MessageMeter

SHUTDOWN_STREAM = "!serverShutdown"

_CLOSED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
_POLL_S = 0.01  # how often a connection looks for what is due: a tenth of a step
_FLUSH_TIMEOUT_S = 1.0  # bounds the wait for the buffer before a reset


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """
    The limits of a connection.

    Attributes:
        queue_size: number of messages of a symbol that may be queued; a client with one more is disconnected.
        ping_interval_s: time between the server's pings.
        pong_timeout_s: a ping that is unanswered for longer ends the connection.
        max_age_s: the age at which every connection ends.
        messages_per_second: number of messages a client may send, control frames included.
    """

    queue_size: int = 4_096
    ping_interval_s: float = 20.0
    pong_timeout_s: float = 60.0
    max_age_s: float = 86_400.0
    messages_per_second: int = 5


@dataclass(frozen=True, slots=True)
class Frame:
    """
    A frame to send, or the end of the connection.

    Attributes:
        data: the payload; of a close, its reason.
        kind: text, binary, close, or None for a reset.
        code: of a close.
        diff: the diff whose delivery it counts; None for all other frames and for a corrupt diff.
    """

    data: bytes
    kind: WSMsgType | None = WSMsgType.TEXT
    code: int = 0
    diff: DiffRecord | None = None


class Connection:
    """
    The connection of a client.

    Args:
        socket: the upgraded connection; it answers neither pings nor closes by itself.
        request: the request that it was upgraded from.
        combined: whether messages are wrapped with the name of their stream.
        streams: the streams of the request's path or query.
        clock: dates pings and counts the client's messages.
        rules: the limits.

    Attributes:
        streams: the streams it is subscribed to now.
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
        self._is_combined = combined
        self._clock = clock
        self._rules = rules
        self._meter = MessageMeter(rules.messages_per_second)
        self._queue: asyncio.Queue[Frame] = asyncio.Queue(rules.queue_size)
        self._pings: dict[bytes, float] = {}
        self._ending: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self._half_open = False

    @property
    def half_open(self) -> bool:
        """Whether it only looks open: nothing more is sent or answered."""
        return self._half_open

    def send(self, stream: str, payload: bytes) -> None:
        """Queue a message of a stream, whether the client is subscribed to it or not."""
        self.put(self.frame(stream, payload))

    def frame(self, stream: str, payload: bytes) -> Frame:
        """The frame of a stream's message, wrapped for a combined connection."""
        return Frame(wire.wrap_in_stream(stream, payload) if self._is_combined else payload)

    def put(self, frame: Frame) -> None:
        """Queue a frame; it never blocks: a client whose queue is full is dropped, so that the market goes on."""
        if self._half_open or self._ending.done():
            return
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.drop()
        if self._queue.qsize() * 2 > self._rules.queue_size:
            self._writable.clear()

    async def wait_for_room(self) -> None:
        """Wait until the queue has room again: it is blocked above half of its size and free below a quarter."""
        if not self._half_open and not self._ending.done():
            await self._writable.wait()

    def close(self, code: int, reason: bytes) -> None:
        """Close the connection with a close frame once the queue is sent."""
        self.put(Frame(reason, WSMsgType.CLOSE, code))

    def reset(self) -> None:
        """Reset the connection once the queue is sent."""
        self.put(Frame(b"", None))

    def make_half_open(self) -> None:
        """Send the queue, then nothing more, and answer nothing."""
        self._half_open = True
        self._writable.set()

    def drop(self) -> None:
        """Abort the connection without a close frame, as a network failure does."""
        if self._transport is not None:
            self._transport.abort()

    async def run(self) -> None:
        """Serve the client until it disconnects, breaks a rule, reaches the maximum age or is closed."""
        reading = asyncio.create_task(self._read())
        workers = [asyncio.create_task(self._write()), asyncio.create_task(self._ping()), reading]
        try:
            ends: set[asyncio.Future[Any]] = {reading, self._ending}
            await asyncio.wait(ends, timeout=self._rules.max_age_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            client_ended = reading.done()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._writable.set()
        if client_ended:
            reading.result()
        elif self._half_open:
            self.drop()
        else:
            end = Frame(b"connection is too old", WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)
            end = self._ending.result() if self._ending.done() else end
            await self._socket.close(code=end.code, message=end.data)

    async def _write(self) -> None:
        with suppress(ConnectionError):
            while True:
                frame = await self._queue.get()
                if self._queue.qsize() * 4 < self._rules.queue_size:
                    self._writable.set()
                if frame.kind is None:
                    await self._abort_with_reset()
                    return
                if frame.kind is WSMsgType.CLOSE:
                    self._ending.set_result(frame)
                    return
                await self._socket.send_frame(frame.data, frame.kind)
                if frame.diff is not None:
                    frame.diff.deliveries += 1
        self._writable.set()
        self.drop()

    async def _abort_with_reset(self) -> None:
        transport = self._transport
        if transport is not None:
            # A reset discards what is still in the buffer, and that was sent before it.
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                    while transport.get_write_buffer_size():
                        await asyncio.sleep(_POLL_S)
            # A socket that lingers for no time is closed with RST, not FIN.
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writable.set()
        self.drop()

    async def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._rules.ping_interval_s)
                if self._half_open:
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
            if self._half_open:
                await self._wait_until_closed(message)
            if message.type in _CLOSED:
                return
            if self._half_open:
                continue
            if not self._meter.allows(self._clock.now_ns()):
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            await self._handle(message)

    async def _wait_until_closed(self, message: WSMessage) -> None:
        # A half-open connection answers no close frame: it stays until the client closes the socket.
        while message.type is WSMsgType.CLOSE and self._transport is not None and not self._transport.is_closing():
            await asyncio.sleep(_POLL_S)

    async def _handle(self, message: WSMessage) -> None:
        if message.type is WSMsgType.TEXT:
            self.streams, reply = control.answer(message.data, self.streams)
            self.put(Frame(reply))
        elif message.type is WSMsgType.PING:
            with suppress(ConnectionError):
                await self._socket.pong(message.data)
        elif message.type is WSMsgType.PONG and bytes(message.data) in self._pings:
            self._pings.clear()
