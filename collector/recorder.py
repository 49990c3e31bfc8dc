"""
Facts on their way into the log: a bounded queue, one writer, batches; a server that is away slows reading down.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from eventlog.errors import StoreFull, StoreUnavailable
from eventlog.facts import SNAPSHOT, Fact
from eventlog.writer import LogWriter, Lost

_MOST_QUEUED = 50_000
MOST_IN_BATCH = 2_000
_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

_log = structlog.get_logger()


class Recorder:
    """
    Appends facts in the order they are put.

    Args:
        writer: numbers and stores them; used from one thread of its own.
        revive: called when the server does not answer, to bring an embedded one back.
        on_lost: told when the server turned out to have lost what it held.
    """

    def __init__(
        self, writer: LogWriter, revive: Callable[[], None], on_lost: Callable[[Lost], Awaitable[None]]
    ) -> None:
        self.writer = writer
        self.counts: dict[str, int] = {}
        self.waiting_for_server = False
        self._revive = revive
        self._on_lost = on_lost
        self.snapshot_seq: int | None = None
        self._queue: list[Fact] = []
        self._in_hand: list[Fact] = []
        self._put = 0
        self._stored = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log-writer")

    async def put(self, facts: Sequence[Fact]) -> int:
        """
        Queue facts; waits while the queue is full.

        Returns:
            A ticket for `stored`.
        """
        if facts:
            self._queue.extend(facts)
            self._put += len(facts)
            ticket = self._put
            self._filled.set()
            if len(self._queue) >= _MOST_QUEUED:
                self._room.clear()
            await self._room.wait()  # after queueing: order is kept, and everybody sees what is on its way
            return ticket
        return self._put

    async def stored(self, ticket: int | None = None) -> None:
        """Wait until what was queued up to a ticket, by default everything, is in the log."""
        ticket = self._put if ticket is None else ticket
        if self._stored < ticket:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((ticket, waiter))
            await waiter

    def queued(self, kind: str) -> list[Fact]:
        """The facts of a kind that are not stored yet."""
        return [fact for fact in (*self._in_hand, *self._queue) if fact.kind == kind]

    async def run(self) -> None:
        """
        Store what is queued, for ever.

        Raises:
            WriterRefused, LogBroken: this process may not write any more.
        """
        while True:
            await self._filled.wait()
            batch, self._queue = self._queue[:MOST_IN_BATCH], self._queue[MOST_IN_BATCH:]
            if len(self._queue) < _MOST_QUEUED:
                self._room.set()
            if not self._queue:
                self._filled.clear()
            self._in_hand = batch
            await self._store(batch)
            self._in_hand = []
            self._note(batch)

    def _note(self, batch: Sequence[Fact]) -> None:
        """Count what is stored now, and wake who waited for it."""
        first = self.writer.last_seq - len(batch) + 1
        for place, fact in enumerate(batch):
            self.counts[fact.kind] = self.counts.get(fact.kind, 0) + 1
            if fact.kind == SNAPSHOT:
                self.snapshot_seq = first + place
        self._stored += len(batch)
        for ticket, waiter in self._waiters:
            if ticket <= self._stored and not waiter.done():
                waiter.set_result(None)
        self._waiters = [(t, w) for t, w in self._waiters if not w.done()]

    def close(self) -> None:
        """End the writer's thread."""
        self._thread.shutdown(wait=not self.waiting_for_server)

    async def _store(self, batch: Sequence[Fact]) -> None:
        loop = asyncio.get_running_loop()
        facts, attempt = batch, 0
        while True:
            try:
                lost = await loop.run_in_executor(self._thread, self.writer.append, facts)
            except (StoreUnavailable, StoreFull) as error:
                facts = ()  # the writer keeps what it could not store
                if attempt == 0:
                    _log.warning("log server away, waiting", reason=str(error))
                self.waiting_for_server = True
                await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
                attempt += 1
                await loop.run_in_executor(self._thread, self._try_revive)
                continue
            if attempt:
                _log.info("log server back", attempts=attempt)
            self.waiting_for_server = False
            if lost is not None:
                await self._on_lost(lost)
            return

    def _try_revive(self) -> None:
        try:
            self._revive()
        except Exception as error:  # whatever keeps it away now, the next attempt tries again
            _log.warning("log server does not come back yet", reason=str(error))
