"""
Binance spot's combined stream over WebSocket: one feed from one connection, or from two while they overlap, for one
reader or for several that each take their part.

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
from exchanges.binance.feed.message_buffer import MessageBuffer, News, RawMessage
from exchanges.binance.limits import AddressLimits
from exchanges.binance.messages import stream_of
from market.printable import printable

_MAX_WAITING = 20_000
_MAX_WAITING_BYTES = 64 * 1024 * 1024
_LONGEST_MESSAGE = 4 * 1024 * 1024  # a change of every level of a 5000-level book is a tenth of it
_MAX_UNREAD = 64  # messages; with the longest, a connection takes no more than 256 MiB before anybody reads
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
_STEADY_S = 10.0  # a connection that lived so long was a good one
_WEIGHT_PER_MINUTE = 6000
_NAME_AT = len(b'{"stream":"')
_BY_AGE = "planned: too old"


class connect(_connect):  # noqa: N801 - as the library spells it
    """A connection that goes where it was told to, and nowhere else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """A redirect is an answer like any other: it leads where nobody chose to go."""
        return exc


@dataclass(frozen=True, slots=True)
class StreamRules:
    """
    How long connections live, in seconds.

    Attributes:
        open_s: to open one. silent_s: without any message until a ping asks whether it is still there, and again as
            long until that pong must have come. oldest_s: until it is replaced.
        overlap_s: how long two overlap at least. proof_s: how long an old one waits at most for the new one to bring
            every stream that it brings itself.
    """

    open_s: float = 10.0
    silent_s: float = 15.0
    oldest_s: float = 23.75 * 3600
    overlap_s: float = 5.0
    proof_s: float = 60.0


@dataclass(slots=True)
class StreamActivity:
    """What a stream has brought: how many messages, and when the last one came (of the event loop's clock)."""

    count: int
    last_s: float


class BinanceStream:
    """
    The feed of some streams; connected while anybody reads it.

    Args:
        url: e.g. wss://data-stream.binance.vision. streams: e.g. btcfdusd@aggTrade.
        limits: of the address, shared with whoever else speaks to the venue.
        proxy: what the connection goes through; its address may hold a password.

    Attributes:
        heard: by stream, as the venue spells it in its messages.
        connections: how many were opened. replaced: how many of them to take over from another.
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
        self.heard: dict[bytes, StreamActivity] = {}
        self.connections = 0
        self.replaced = 0
        self.opened_s = 0.0
        self._url = f"{url.rstrip('/')}/stream?streams={'/'.join(streams)}"
        self._clock = clock
        self._proxy = proxy
        self._rules = rules or StreamRules()
        self._limits = limits or AddressLimits(_WEIGHT_PER_MINUTE)
        self._inboxes: list[MessageBuffer] = []
        self._reader_of: dict[bytes, MessageBuffer] = {}
        self._waiting = 0
        self._waiting_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._keeper: asyncio.Task[None] | None = None
        self._lines: list[Connection] = []
        self._started = 0
        self._replace = asyncio.Event()
        self._why = ""

    @property
    def connected(self) -> int:
        """How many connections are open."""
        return sum(line.open for line in self._lines)

    def read_up(self, stream: str) -> bool:
        """Whether everything that a stream brought was taken: else its silence may be ours."""
        inbox = self._reader_of.get(stream.encode())
        return self._room.is_set() and inbox is not None and not inbox.waiting

    async def batches(self, streams: Sequence[str] | None = None) -> AsyncGenerator[list[RawMessage], None]:
        """
        Whatever arrived since the last batch, in order; reconnects for ever. Close the iterator to end.

        Args:
            streams: this reader's part, all by default. What names none of the feed's streams is the first reader's.
        """
        inbox = MessageBuffer(self.streams if streams is None else streams)
        keeper = self._join(inbox)
        try:
            while True:
                await inbox.filled.wait()
                if keeper.done():
                    keeper.result()
                batch = self._taken(inbox)
                if batch:
                    yield batch
        finally:
            await self._leave(inbox)

    def replace(self, why: str, line: int | None = None) -> None:
        """
        Open the next connection now, then leave this one.

        Args:
            why: for the record; "planned: …" where this one brings everything until then.
            line: which connection is to be left; nothing happens when it is being left already.
        """
        if self._lines and line in (None, self._lines[-1].number):
            self._why = why
            self._replace.set()

    def _join(self, inbox: MessageBuffer) -> "asyncio.Task[None]":
        """One more reader; the first one opens the connection, a later one is told of those that are open."""
        self._inboxes.append(inbox)
        self._reader_of |= dict.fromkeys(inbox.streams, inbox)
        for line in self._lines:
            if line.open:
                self._waiting += 1
                inbox.put(RawMessage("connected", self._clock.now_ns(), b"", line.number, bool(inbox.waiting)))
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_connected())
            self._keeper.add_done_callback(lambda _: self._wake())
        elif self._keeper.done():
            self._wake()
        return self._keeper

    async def _leave(self, inbox: MessageBuffer) -> None:
        """One reader less; the last one closes the connection."""
        self._inboxes.remove(inbox)
        self._reader_of = {name: each for each in self._inboxes for name in each.streams}
        self._taken(inbox)
        keeper = self._keeper
        if keeper is not None and not self._inboxes:
            self._keeper = None
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper

    def _wake(self) -> None:
        for inbox in self._inboxes:
            inbox.filled.set()

    def _taken(self, inbox: MessageBuffer) -> list[RawMessage]:
        batch = inbox.take()
        self._waiting -= len(batch)
        self._waiting_bytes -= sum(len(each.data) for each in batch if each.what == "message")
        if not self._is_full():
            self._room.set()
        return batch

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        failures, why = 0, ""
        try:
            while True:
                await self._attempt()
                self._replace.clear()
                self._started += 1
                line = Connection(self._started, why if self.connected else "")
                line.task = asyncio.create_task(self._run(line))
                retiring = asyncio.create_task(self._retire(line, tuple(self._lines)))
                self._lines.append(line)
                replace = asyncio.create_task(self._replace.wait())
                try:
                    await asyncio.wait({line.task, replace}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    replace.cancel()
                    retiring.cancel()  # an older connection, if one is left, goes on until a new one is open
                steady = line.opened.is_set() and loop.time() - line.opened_s >= _STEADY_S
                failures = 0 if steady else failures + 1
                if not line.task.done():
                    why = self._why
                    self._leave_one(line)
                if line.task.done() or failures > 1:
                    await asyncio.sleep(_BACKOFF_S[min(max(failures - 1, 0), len(_BACKOFF_S) - 1)])
        finally:
            tasks = [line.task for line in self._lines]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _leave_one(self, line: Connection) -> None:
        """Of a connection that is to be replaced and the older ones only the one that brings more goes on."""
        older = [other for other in self._lines if other is not line]
        going = older if line.heard else [line] if older else []
        for other in going:
            self._end(other, line.why)

    @staticmethod
    def _end(line: Connection, why: str) -> None:
        line.ending = line.ending or why
        line.open = False  # what it still brings while it closes is not read
        line.task.cancel()

    async def _retire(self, line: Connection, older: Sequence[Connection]) -> None:
        """End older connections once a new one has been open for the overlap and brings what they bring."""
        loop = asyncio.get_running_loop()
        await line.opened.wait()
        for other in older:
            other.heard.clear()
        await asyncio.sleep(self._rules.overlap_s)
        while not line.heard or any(not other.heard <= line.heard for other in older):
            if line.heard and loop.time() - line.opened_s > self._rules.proof_s:
                break
            await asyncio.sleep(self._rules.overlap_s / 10)
        for other in older:
            self._end(other, line.why)

    async def _run(self, line: Connection) -> None:
        loop = asyncio.get_running_loop()
        reason = "closed"
        try:
            async with connect(
                self._url, compression=None, proxy=self._proxy, max_queue=_MAX_UNREAD, max_size=_LONGEST_MESSAGE,
                open_timeout=self._rules.open_s, close_timeout=1, ping_interval=None,
            ) as socket:  # fmt: skip
                line.opened_s = self.opened_s = loop.time()
                self.connections += 1
                self.replaced += bool(line.why)
                self._tell("connected", line.why.encode(), line, bool(self.connected) and _planned(line.why))
                line.open = True
                line.opened.set()
                ageing = loop.call_later(self._rules.oldest_s, self.replace, _BY_AGE, line.number)
                try:
                    reason = await self._receive(socket, line)
                finally:
                    ageing.cancel()
        except InvalidStatus as error:
            status, wait_s = error.response.status_code, _retry_after(error)
            if status in (418, 429):
                self._limits.refused(status, wait_s, self._clock.now_ns(), connecting=True)
            reason = _refusal(error)
            await asyncio.sleep(min(wait_s, 1.0))
        except (WebSocketException, OSError, TimeoutError) as error:
            said = "" if self._proxy is not None else f": {printable(str(error), 120)}"  # it may quote a password
            reason = f"{type(error).__name__}{said}"
        finally:
            self._lines.remove(line)
            if line.opened.is_set():
                line.open = False
                self._tell("disconnected", (line.ending or reason).encode(), line, self.connected > 0)

    async def _receive(self, socket: ClientConnection, line: Connection) -> str:
        """Messages until the connection ends or is found half-open; returns why it ended."""
        loop = asyncio.get_running_loop()
        heard, on_line = self.heard, line.heard
        line.last_s = loop.time()
        watchdog = asyncio.create_task(line.probe(socket, self._rules.silent_s, self._room))
        try:
            while True:
                data = await socket.recv(decode=False)
                line.last_s = last = loop.time()
                name = data[_NAME_AT : data.find(b'"', _NAME_AT)]
                if name not in self._names:
                    name = stream_of(data).encode()  # its fields may come in another order
                entry = heard.get(name)
                if entry is None:
                    self._first_of(name, last)
                else:
                    entry.count += 1
                    entry.last_s = last
                    on_line.add(name)
                self._put(name, data, line)
                if not self._room.is_set():
                    await self._room.wait()
        except ConnectionClosed as error:
            return line.ending or f"closed: {error}"
        finally:
            watchdog.cancel()
            await asyncio.gather(watchdog, return_exceptions=True)

    def _first_of(self, name: bytes, now_s: float) -> None:
        if name in self._names:
            self.heard[name] = StreamActivity(1, now_s)

    def _put(self, name: bytes, data: bytes, line: Connection) -> None:
        inbox = self._reader_of.get(name)
        if inbox is None:
            if not self._inboxes or name in self._names:
                return  # nobody reads this one now
            inbox = self._inboxes[0]
        inbox.put(RawMessage("message", self._clock.now_ns(), data, line.number))
        self._waiting += 1
        self._waiting_bytes += len(data)
        if self._is_full():
            self._room.clear()

    def _is_full(self) -> bool:
        return self._waiting >= _MAX_WAITING or self._waiting_bytes >= _MAX_WAITING_BYTES

    def _tell(self, what: News, why: bytes, line: Connection, overlapping: bool) -> None:
        """News of a connection is for everybody."""
        for inbox in self._inboxes:
            inbox.put(RawMessage(what, self._clock.now_ns(), why, line.number, overlapping))
            self._waiting += 1

    async def _attempt(self) -> None:
        """Wait until another connection attempt fits the venue's limits."""
        while pause_ns := self._limits.connection(self._clock.now_ns(), self.connected > 0):
            await asyncio.sleep(min(pause_ns / 1e9, 60.0))


def _refusal(error: InvalidStatus) -> str:
    status, there = error.response.status_code, error.response.headers.get("Location", "")
    if status == 451:
        return "refused with status 451: not served in this place; name another binance.websocket_url"
    return f"refused with status {status}" + (f", which points to {printable(there, 120)}" if there else "")


def _planned(why: str) -> bool:
    return why.startswith("planned")


def _retry_after(error: InvalidStatus) -> float:
    text = error.response.headers.get("Retry-After", "")
    return (
        min(float(text), 3 * 86_400.0) if text.isdigit() else 10.0 if error.response.status_code in (418, 429) else 1.0
    )
