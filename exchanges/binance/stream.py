"""
Binance spot's combined stream over WebSocket: one feed from one connection, or from two while they overlap.

Source: web-socket-streams.md (July 2026): a connection lives 24 h at most, `serverShutdown` asks to leave early, at
most 300 connection attempts in 5 minutes, nothing is ever replayed.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from eventlog.clock import Clock

_MOST_WAITING = 20_000
_CONNECTIONS = 250  # of 300 in five minutes: others may share the address
_CONNECTIONS_S = 300.0
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


class Received(msgspec.Struct, frozen=True, gc=False):
    """One message as it came, or what became of the connection."""

    what: Literal["message", "connected", "disconnected"]
    recv_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamRules:
    """How long a connection may live and be silent, and how long two overlap, in seconds."""

    open_s: float = 10.0
    silent_s: float = 30.0
    oldest_s: float = 23.75 * 3600
    overlap_s: float = 5.0


class BinanceStream:
    """
    The feed of some streams.

    Args:
        url: e.g. wss://data-stream.binance.vision. streams: e.g. btcfdusd@aggTrade.
    """

    def __init__(self, url: str, streams: Sequence[str], clock: Clock, rules: StreamRules | None = None) -> None:
        self._url = f"{url.rstrip('/')}/stream?streams={'/'.join(streams)}"
        self._clock = clock
        self._rules = rules or StreamRules()
        self._waiting: list[Received] = []
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._replace = asyncio.Event()
        self._attempts: deque[float] = deque()
        self.connected = 0

    async def batches(self) -> AsyncGenerator[list[Received], None]:
        """Whatever arrived since the last batch, in order; reconnects for ever. Close the iterator to end."""
        keeper = asyncio.create_task(self._keep_connected())
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                batch, self._waiting = self._waiting, []
                self._room.set()
                if batch:
                    yield batch
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper

    def leave_early(self) -> None:
        """The venue announced that it closes: open the next connection now, then leave this one."""
        self._replace.set()

    async def _keep_connected(self) -> None:
        failures = 0
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                await self._spend_attempt()
                self._replace.clear()
                opened = asyncio.Event()
                current = asyncio.create_task(self._one_connection(opened))
                retiring = asyncio.create_task(self._retire(frozenset(running), opened))
                running |= {current, retiring}
                for task in (current, retiring):
                    task.add_done_callback(running.discard)
                replace = asyncio.create_task(self._replace.wait())
                await asyncio.wait({current, replace}, return_when=asyncio.FIRST_COMPLETED)
                replace.cancel()
                failures = 0 if opened.is_set() else failures + 1
                if current.done():
                    retiring.cancel()  # an older connection, if one is left, goes on until a new one is open
                    await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _retire(self, older: frozenset["asyncio.Task[None]"], opened: asyncio.Event) -> None:
        """End older connections once a new one has been open for the overlap."""
        await opened.wait()
        await asyncio.sleep(self._rules.overlap_s)
        for task in older:
            task.cancel()

    async def _one_connection(self, opened: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        reason = "closed"
        try:
            async with connect(
                self._url, compression=None, proxy=None, max_queue=4096, max_size=8 * 1024 * 1024,
                open_timeout=self._rules.open_s, close_timeout=1,
            ) as socket:  # fmt: skip
                opened.set()
                self.connected += 1
                self._put("connected", b"")
                ageing = loop.call_later(self._rules.oldest_s, self._replace.set)
                try:
                    reason = await self._receive(socket)
                finally:
                    ageing.cancel()
                    self.connected -= 1
        except InvalidStatus as error:
            reason = f"refused with status {error.response.status_code}"
            await asyncio.sleep(_retry_after(error))
        except (WebSocketException, OSError, TimeoutError) as error:
            reason = f"{type(error).__name__}: {str(error)[:120]}"
        finally:
            if opened.is_set():
                self._put("disconnected", reason.encode())

    async def _receive(self, socket: ClientConnection) -> str:
        """Messages until the connection ends or falls silent; returns why it ended."""
        loop = asyncio.get_running_loop()
        silent_s = self._rules.silent_s
        last = loop.time()

        async def watch() -> None:
            while loop.time() - last <= silent_s:
                await asyncio.sleep(silent_s / 4)
            socket.transport.abort()

        watchdog = asyncio.create_task(watch())
        try:
            while True:
                data = await socket.recv(decode=False)
                last = loop.time()
                self._put("message", data)
                if not self._room.is_set():
                    await self._room.wait()
        except ConnectionClosed as error:
            silent = loop.time() - last > silent_s
            return f"silent for {silent_s:.0f} s" if silent else f"closed: {error}"
        finally:
            watchdog.cancel()

    def _put(self, what: Literal["message", "connected", "disconnected"], data: bytes) -> None:
        self._waiting.append(Received(what, self._clock.now_ns(), data))
        self._arrived.set()
        if len(self._waiting) >= _MOST_WAITING:
            self._room.clear()

    async def _spend_attempt(self) -> None:
        """Wait until another connection attempt fits the venue's budget."""
        loop = asyncio.get_running_loop()
        while self._attempts and loop.time() - self._attempts[0] > _CONNECTIONS_S:
            self._attempts.popleft()
        if len(self._attempts) >= _CONNECTIONS:
            await asyncio.sleep(_CONNECTIONS_S - (loop.time() - self._attempts[0]))
        self._attempts.append(loop.time())


def _retry_after(error: InvalidStatus) -> float:
    text = error.response.headers.get("Retry-After", "")
    return (
        min(float(text), 3 * 86_400.0) if text.isdigit() else 10.0 if error.response.status_code in (418, 429) else 1.0
    )
