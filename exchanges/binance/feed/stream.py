"""
Binance spot's combined stream over WebSocket: one feed from one connection, or from two while they overlap, for one
reader or for several that each read their own streams.

Source: web-socket-streams.md (July 2026): a connection lives 24 h at most, `serverShutdown` asks to leave early, at
most 300 connection attempts in 5 minutes, nothing is ever replayed.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as _connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from eventlog.clock import Clock
from exchanges.binance.feed.connection import Connection
from exchanges.binance.feed.message_buffer import MessageBuffer, MessageKind, RawMessage
from exchanges.binance.limits import AddressLimits
from exchanges.binance.messages import stream_name
from market.printable import printable

_MAX_PENDING = 20_000  # messages that wait to be read: some minutes of a wild market
_MAX_PENDING_BYTES = 64 * 1024 * 1024  # the same in bytes
_MAX_MESSAGE_BYTES = 4 * 1024 * 1024  # a change of every level of a 5000-level book is a tenth of it
_MAX_UNREAD = 64  # messages; with the longest, a connection buffers no more than 256 MiB before they are read
# Pauses before connecting again, the last one repeated: an address has 300 attempts in five minutes.
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
_STEADY_S = 10.0  # a connection that lived so long was a good one
_WEIGHT_PER_MINUTE = 6000  # of an address, as the exchange documents it
_NAME_OFFSET = len(b'{"stream":"')
_AGE_REASON = "planned: too old"


class connect(_connect):  # noqa: N801 - as the library spells it
    """A WebSocket connection that follows no redirect."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return the error unchanged: a redirect leads to an address that the settings do not name."""
        return exc


@dataclass(frozen=True, slots=True)
class StreamRules:
    """
    How long connections live, in seconds.

    Attributes:
        open_s: to open one.
        silent_s: without any message until a ping is sent, and again as long until its pong must have come.
        max_age_s: until it is replaced; Binance closes a connection after 24 h.
        overlap_s: shortest overlap of two connections.
        proof_s: longest wait of an old connection for the new one to bring every stream that it brings itself.
    """

    open_s: float = 10.0
    silent_s: float = 15.0
    max_age_s: float = 23.75 * 3600
    overlap_s: float = 5.0
    proof_s: float = 60.0


@dataclass(slots=True)
class StreamActivity:
    """What a stream has brought: number of messages, and when the last one came (s, of the event loop's clock)."""

    count: int
    last_s: float


class BinanceStream:
    """
    The feed of some streams; connected while it has a reader.

    Args:
        url: e.g. wss://data-stream.binance.vision.
        streams: e.g. btcfdusd@aggTrade.
        clock: stamps messages on arrival.
        rules: lifetimes of connections, None for the defaults of `StreamRules`.
        limits: of the IP address, shared with other clients of the exchange; None for limits of its own.
        proxy: URL of the proxy to connect through, which may hold a password; None for a direct connection.

    Attributes:
        activity: by stream name as the exchange writes it in its messages.
        connection_count: connections opened so far.
        replacement_count: how many of these took over from another one.
        opened_s: when the last one was opened, of the event loop's clock.
    """

    def __init__(
        self,
        url: str,
        streams: Sequence[str],
        clock: Clock,
        rules: StreamRules | None = None,
        limits: AddressLimits | None = None,
        proxy: str | None = None,
    ) -> None:
        self.streams = tuple(streams)
        self._names = frozenset(name.encode() for name in streams)
        self.activity: dict[bytes, StreamActivity] = {}
        self.connection_count = 0
        self.replacement_count = 0
        self.opened_s = 0.0
        self._url = f"{url.rstrip('/')}/stream?streams={'/'.join(streams)}"
        self._clock = clock
        self._proxy = proxy
        self._rules = rules or StreamRules()
        self._limits = limits or AddressLimits(_WEIGHT_PER_MINUTE)
        self._buffers: list[MessageBuffer] = []
        self._buffer_of: dict[bytes, MessageBuffer] = {}
        self._pending = 0
        self._pending_bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._connecting: asyncio.Task[None] | None = None
        self._connections: list[Connection] = []
        self._last_number = 0
        self._replace = asyncio.Event()
        self._replace_reason = ""

    @property
    def open_connections(self) -> int:
        """Number of connections that are open now."""
        return sum(connection.open for connection in self._connections)

    def is_drained(self, stream: str) -> bool:
        """Whether everything that a stream brought was read: if not, its silence may be due to us."""
        buffer = self._buffer_of.get(stream.encode())
        return self._has_room.is_set() and buffer is not None and not buffer.pending

    async def batches(self, streams: Sequence[str] | None = None) -> AsyncGenerator[list[RawMessage], None]:
        """
        Messages since the last batch, in order of arrival; reconnects until the iterator is closed.

        Args:
            streams: those that this reader reads, all by default. Messages that name none of the feed's streams go to
                the first reader.
        """
        buffer = MessageBuffer(self.streams if streams is None else streams)
        task = self._add_reader(buffer)
        try:
            while True:
                await buffer.ready.wait()
                if task.done():
                    task.result()
                batch = self._drain(buffer)
                if batch:
                    yield batch
        finally:
            await self._remove_reader(buffer)

    def replace(self, reason: str, connection: int | None = None) -> None:
        """
        Open the next connection now, then end the current one.

        Args:
            reason: for the log; it starts with "planned" where the current connection brings everything until then.
            connection: number of the one to replace, None for the newest; no effect if it is no longer the newest.
        """
        if self._connections and connection in (None, self._connections[-1].number):
            self._replace_reason = reason
            self._replace.set()

    def _add_reader(self, buffer: MessageBuffer) -> "asyncio.Task[None]":
        """The first reader opens a connection; a later one gets a message for each that is open."""
        self._buffers.append(buffer)
        self._buffer_of |= dict.fromkeys(buffer.streams, buffer)
        for connection in self._connections:
            if connection.open:
                self._pending += 1
                buffer.put(RawMessage("connected", self._clock.now_ns(), b"", connection.number, bool(buffer.pending)))
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._keep_connected())
            self._connecting.add_done_callback(lambda _: self._wake())
        elif self._connecting.done():
            self._wake()
        return self._connecting

    async def _remove_reader(self, buffer: MessageBuffer) -> None:
        """The last reader to leave closes the connections."""
        self._buffers.remove(buffer)
        self._buffer_of = {name: other for other in self._buffers for name in other.streams}
        self._drain(buffer)
        task = self._connecting
        if task is not None and not self._buffers:
            self._connecting = None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _wake(self) -> None:
        for buffer in self._buffers:
            buffer.ready.set()

    def _drain(self, buffer: MessageBuffer) -> list[RawMessage]:
        batch = buffer.take()
        self._pending -= len(batch)
        self._pending_bytes -= sum(len(message.data) for message in batch if message.what == "message")
        if not self._is_full():
            self._has_room.set()
        return batch

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        failures, reason = 0, ""
        try:
            while True:
                await self._wait_for_attempt()
                self._replace.clear()
                self._last_number += 1
                connection = Connection(self._last_number, reason if self.open_connections else "")
                connection.task = asyncio.create_task(self._run(connection))
                retirement = asyncio.create_task(self._retire(connection, tuple(self._connections)))
                self._connections.append(connection)
                replace = asyncio.create_task(self._replace.wait())
                try:
                    await asyncio.wait({connection.task, replace}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    replace.cancel()
                    retirement.cancel()  # an older connection, if one is left, goes on until a new one is open
                is_steady = connection.open_event.is_set() and loop.time() - connection.opened_s >= _STEADY_S
                failures = 0 if is_steady else failures + 1
                if not connection.task.done():
                    reason = self._replace_reason
                    self._end_redundant(connection)
                if connection.task.done() or failures > 1:
                    await asyncio.sleep(_BACKOFF_S[min(max(failures - 1, 0), len(_BACKOFF_S) - 1)])
        finally:
            tasks = [connection.task for connection in self._connections]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _end_redundant(self, connection: Connection) -> None:
        """Of a connection to be replaced and the older ones, keep only those that bring messages."""
        older = [other for other in self._connections if other is not connection]
        redundant = older if connection.streams_seen else [connection] if older else []
        for other in redundant:
            self._end(other, connection.takeover_reason)

    @staticmethod
    def _end(connection: Connection, reason: str) -> None:
        connection.end_reason = connection.end_reason or reason
        connection.open = False  # what it still brings while it closes is not read
        connection.task.cancel()

    async def _retire(self, connection: Connection, older: Sequence[Connection]) -> None:
        """End older connections once a new one has been open for the overlap and brings what they bring."""
        loop = asyncio.get_running_loop()
        await connection.open_event.wait()
        for other in older:
            other.streams_seen.clear()
        await asyncio.sleep(self._rules.overlap_s)
        while not connection.streams_seen or any(not other.streams_seen <= connection.streams_seen for other in older):
            if connection.streams_seen and loop.time() - connection.opened_s > self._rules.proof_s:
                break
            await asyncio.sleep(self._rules.overlap_s / 10)
        for other in older:
            self._end(other, connection.takeover_reason)

    async def _run(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        reason = "closed"
        try:
            async with connect(
                self._url, compression=None, proxy=self._proxy, max_queue=_MAX_UNREAD, max_size=_MAX_MESSAGE_BYTES,
                open_timeout=self._rules.open_s, close_timeout=1, ping_interval=None,
            ) as socket:  # fmt: skip
                connection.opened_s = self.opened_s = loop.time()
                self.connection_count += 1
                self.replacement_count += bool(connection.takeover_reason)
                self._announce(
                    "connected",
                    connection.takeover_reason.encode(),
                    connection,
                    bool(self.open_connections) and _is_planned(connection.takeover_reason),
                )
                connection.open = True
                connection.open_event.set()
                age_timer = loop.call_later(self._rules.max_age_s, self.replace, _AGE_REASON, connection.number)
                try:
                    reason = await self._receive(socket, connection)
                finally:
                    age_timer.cancel()
        except InvalidStatus as error:
            status, wait_s = error.response.status_code, _retry_after(error)
            if status in (418, 429):
                self._limits.note_refusal(status, wait_s, self._clock.now_ns(), connecting=True)
            reason = _describe_refusal(error)
            await asyncio.sleep(min(wait_s, 1.0))
        except (WebSocketException, OSError, TimeoutError) as error:
            detail = "" if self._proxy is not None else f": {printable(str(error), 120)}"  # it may quote a password
            reason = f"{type(error).__name__}{detail}"
        finally:
            self._connections.remove(connection)
            if connection.open_event.is_set():
                connection.open = False
                self._announce(
                    "disconnected", (connection.end_reason or reason).encode(), connection, self.open_connections > 0
                )

    async def _receive(self, socket: ClientConnection, connection: Connection) -> str:
        """Pass on messages until the connection ends or is half-open; return why it ended."""
        loop = asyncio.get_running_loop()
        activity, own_streams = self.activity, connection.streams_seen
        connection.last_s = loop.time()
        watchdog = asyncio.create_task(connection.probe(socket, self._rules.silent_s, self._has_room))
        try:
            while True:
                data = await socket.recv(decode=False)
                connection.last_s = last = loop.time()
                name = data[_NAME_OFFSET : data.find(b'"', _NAME_OFFSET)]
                if name not in self._names:
                    name = stream_name(data).encode()  # its fields may come in another order
                entry = activity.get(name)
                if entry is None:
                    self._start_activity(name, last)
                else:
                    entry.count += 1
                    entry.last_s = last
                    own_streams.add(name)
                self._put_message(name, data, connection)
                if not self._has_room.is_set():
                    await self._has_room.wait()
        except ConnectionClosed as error:
            return connection.end_reason or f"closed: {error}"
        finally:
            watchdog.cancel()
            await asyncio.gather(watchdog, return_exceptions=True)

    def _start_activity(self, name: bytes, now_s: float) -> None:
        if name in self._names:
            self.activity[name] = StreamActivity(1, now_s)

    def _put_message(self, name: bytes, data: bytes, connection: Connection) -> None:
        buffer = self._buffer_of.get(name)
        if buffer is None:
            if not self._buffers or name in self._names:
                return  # this stream has no reader now
            buffer = self._buffers[0]
        buffer.put(RawMessage("message", self._clock.now_ns(), data, connection.number))
        self._pending += 1
        self._pending_bytes += len(data)
        if self._is_full():
            self._has_room.clear()

    def _is_full(self) -> bool:
        return self._pending >= _MAX_PENDING or self._pending_bytes >= _MAX_PENDING_BYTES

    def _announce(self, what: MessageKind, reason: bytes, connection: Connection, overlapping: bool) -> None:
        """Tell every reader that a connection was opened or ended."""
        for buffer in self._buffers:
            buffer.put(RawMessage(what, self._clock.now_ns(), reason, connection.number, overlapping))
            self._pending += 1

    async def _wait_for_attempt(self) -> None:
        """Wait until another connection attempt fits the venue's limits."""
        while pause_ns := self._limits.take_connection(self._clock.now_ns(), self.open_connections > 0):
            await asyncio.sleep(min(pause_ns / 1e9, 60.0))


def _describe_refusal(error: InvalidStatus) -> str:
    status, location = error.response.status_code, error.response.headers.get("Location", "")
    if status == 451:
        return "refused with status 451: not served in this place; name another binance.websocket_url"
    return f"refused with status {status}" + (f", which points to {printable(location, 120)}" if location else "")


def _is_planned(reason: str) -> bool:
    return reason.startswith("planned")


def _retry_after(error: InvalidStatus) -> float:
    text = error.response.headers.get("Retry-After", "")
    return (
        min(float(text), 3 * 86_400.0) if text.isdigit() else 10.0 if error.response.status_code in (418, 429) else 1.0
    )
