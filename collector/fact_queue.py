"""
Facts on their way into the log: a bounded queue, one writer, batches.

While the server is slow or away, what the queue has no room for goes to a file (`eventlog.spill.spill`), in order: the
file holds everything from the batch in hand on, so that log and file together have no hole wherever a process ends. A
slow disk slows reading down; a full one stops it, until there is room or the server is back. Nothing is dropped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from collector.queue_limits import Listener, QueueLimits, size_of
from eventlog.errors import EventLogError, StoreFull, StoreUnavailable
from eventlog.facts.entry import Fact
from eventlog.facts.market import SNAPSHOT
from eventlog.spill.spill import Spill
from eventlog.store.writer import LogWriter, LostRange
from exchanges.port import Arrival
from runtime.daemon.recurring_warning import RecurringWarning

MAX_IN_BATCH = 2_000
_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_FULL_DISK_S = 1.0
_GATHER_S = 0.005  # what comes meanwhile is stored with it: a batch costs more than the facts in it
_WORTH_STORING = 200

_Result = TypeVar("_Result")

_log = structlog.get_logger()


async def to_its_end(job: asyncio.Future[_Result]) -> _Result:
    """Wait for a job even when cancelled meanwhile: what it began is never left half done."""
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.wait([job])
        if not job.cancelled():
            job.exception()  # looked at: whom it would have told is gone
        raise


class FactQueue:
    """
    Appends facts in the order they are put.

    Args:
        writer: numbers and stores them; used from one thread of its own.
        revive: called when the server does not answer, to bring an embedded one back.
        on_lost: told when the server turned out to have lost what it held.
        spill: where the queue goes when it is full, and what is not stored at the end; without one, putting waits.
    """

    def __init__(
        self,
        writer: LogWriter,
        revive: Callable[[], None],
        on_lost: Callable[[LostRange], Awaitable[None]],
        spill: Spill | None = None,
        room: QueueLimits | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.writer = writer
        self.spill = spill
        self.listener = listener
        self.counts: dict[str, int] = {}
        self.waiting_for_server = False
        self.spilled = 0
        self.spill_error = ""
        self._revive = revive
        self._on_lost = on_lost
        self._room_for = room or QueueLimits()
        self.snapshot_seq: int | None = None
        self._queue: list[Fact] = []
        self._queue_bytes = 0
        self._moving: list[Fact] = []
        self._in_hand: list[Fact] = []
        self._in_file = 0  # how many facts in hand are in the file too
        self._in_spill = 0
        self._spilling = False
        self._files = asyncio.Lock()
        self._put = 0
        self._stored = 0
        self._last_seq = writer.last_seq
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._filled = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self._file_thread = ThreadPoolExecutor(1, thread_name_prefix="spill")

    async def put(self, facts: Sequence[Fact]) -> int:
        """
        Queue facts; waits while the queue is full.

        Returns:
            A ticket for `stored`.
        """
        if not facts:
            return self._put
        self._queue.extend(facts)
        self._queue_bytes += size_of(facts)
        self._put += len(facts)
        ticket = self._put
        self._filled.set()
        self._look()
        if self.listener is not None:
            self.listener.queued(self.queue_depth)
        if not self._room.is_set():  # after queueing: order is kept, and everybody sees what is on its way
            loop = asyncio.get_running_loop()
            since = loop.time()
            await self._room.wait()
            if self.listener is not None:
                self.listener.waited(loop.time() - since)
        return ticket

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """What the feed brought, before anything is made of it; only to be measured."""
        if self.listener is not None:
            self.listener.arrived(arrivals)

    async def stored(self, ticket: int | None = None) -> None:
        """Wait until what was queued up to a ticket, by default everything, is in the log."""
        ticket = self._put if ticket is None else ticket
        if self._stored < ticket:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((ticket, waiter))
            await waiter

    def queued(self, kind: str) -> Iterator[list[Fact]]:
        """The facts of a kind that are not stored yet, a part at a time; one may come twice."""
        parts: list[Sequence[Fact]] = [self._in_hand, self._moving, self._queue]
        for part in parts:
            yield [fact for fact in part if fact.kind == kind]
        found: list[Fact] = []
        for fact in self.spill.read_pending() if self.spill is not None and self._spilling else ():
            if fact.kind == kind:
                found.append(fact)
            if len(found) == MAX_IN_BATCH:
                yield found
                found = []
        yield found

    @property
    def queue_depth(self) -> int:
        """How many facts memory holds."""
        return self.cache_size - self._in_file

    @property
    def cache_size(self) -> int:
        """How many facts memory holds that are not in the log yet, those read back from the file included."""
        return len(self._queue) + len(self._moving) + len(self._in_hand)

    @property
    def queue_bytes(self) -> int:
        """How many bytes the facts in the queue have."""
        return self._queue_bytes + size_of(self._moving)

    @property
    def waiting(self) -> int:
        """How many facts are not in the log yet, in memory and in the file."""
        return self._put - self._stored

    @property
    def dropped(self) -> int:
        """Facts that were put and are neither stored nor on their way: none, ever."""
        return self._put - self._stored - self.queue_depth - self._in_spill

    async def run(self) -> None:
        """
        Store what is queued, for ever.

        Raises:
            WriterRefused, LogBroken: this process may not write any more.
        """
        tasks = [asyncio.create_task(self._write())]
        if self.spill is not None:
            tasks.append(asyncio.create_task(self._spill_over(self.spill)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """End the threads; what is not stored yet is left to the next start."""
        self._thread.shutdown(wait=not self.waiting_for_server)
        if self.spill is not None:
            self._file_thread.submit(self._leave, self.spill).result()
        self._file_thread.shutdown()

    async def _write(self) -> None:
        while True:
            await self._filled.wait()
            if len(self._queue) < _WORTH_STORING and not self._spilling:
                await asyncio.sleep(_GATHER_S)
            batch = await self._next()
            self._look()
            if not batch:
                continue
            await self._store(batch)
            if self._spilling and self.spill is not None:
                async with self._files:
                    if self._in_file:
                        await self._at_file(self.spill.mark_stored, self._in_file, self.writer.last_seq)
                    self._taken()
            else:
                self._taken()
            self._note(batch)

    def _taken(self) -> None:
        self._last_seq = self.writer.last_seq
        self._in_spill -= self._in_file
        self._in_hand, self._in_file = [], 0

    async def _next(self) -> list[Fact]:
        """The next batch, in hand: from the file while it holds any, then from the queue."""
        while self._spilling and self.spill is not None:
            async with self._files:
                if self.spill.pending_count:
                    self._in_hand = await self._at_file(self.spill.next, MAX_IN_BATCH)
                    self._in_file = len(self._in_hand)
                    return self._in_hand
                if self._spilling:
                    await self._at_file(self.spill.finish)
                    self._spilling = False
                    _log.info("caught up with the spill", spilled=self.spilled)
        self._in_hand, self._queue = self._queue[:MAX_IN_BATCH], self._queue[MAX_IN_BATCH:]
        self._queue_bytes -= size_of(self._in_hand)
        if not self._queue:
            self._filled.clear()
        return self._in_hand

    def _look(self) -> None:
        """Open or close the door to the queue."""
        full = self._room_for.is_full(len(self._queue), self._queue_bytes)
        for event, true in ((self._full, full), (self._room, not full)):
            if true:
                event.set()
            else:
                event.clear()

    async def _spill_over(self, spill: Spill) -> None:
        """Whenever the queue is full, all of it goes to the file."""
        while True:
            await self._full.wait()
            try:
                async with self._files:
                    if self._full.is_set():
                        await self._move(spill)
            except EventLogError as error:
                if not self.spill_error:
                    _log.error("the queue is full and cannot be spilled: reading stops", reason=str(error))
                self.spill_error = str(error)
                await asyncio.sleep(_FULL_DISK_S)
            else:
                self.spill_error = ""

    async def _move(self, spill: Spill) -> None:
        """The whole queue to the end of the file; the first time, behind what is in hand."""
        first = not self._spilling
        if first and not self.spill_error:
            _log.warning("the log does not take facts as fast as they come: spilling", queued=len(self._queue))
        in_hand = self._in_hand if first else []
        self._moving, self._queue = self._queue, []
        moving_bytes, self._queue_bytes = self._queue_bytes, 0
        self._spilling = True
        before = spill.pending_count
        try:
            await self._at_file(spill.append, [*in_hand, *self._moving], self._last_seq)
        finally:  # ended from outside too: whether they are in the file is what counts
            if spill.pending_count > before:
                self._in_file += len(in_hand)
                self._in_spill += len(in_hand) + len(self._moving)
                self.spilled += len(self._moving)
            else:
                self._queue, self._queue_bytes = self._moving + self._queue, self._queue_bytes + moving_bytes
                self._spilling = not first
            self._moving = []
            self._filled.set()
            self._look()

    async def _at_file(self, do: Callable[..., Any], *arguments: Any) -> Any:
        """In the file's thread, to its end: what began there is never left half known."""
        return await to_its_end(asyncio.get_running_loop().run_in_executor(self._file_thread, do, *arguments))

    def _leave(self, spill: Spill) -> None:
        """What was not stored, to the file."""
        left = self._queue if self._spilling else [*self._in_hand, *self._queue]
        if not left:
            return
        try:
            spill.append(left, self._last_seq, has_limit=False)
            _log.warning("not stored yet, kept for the next start", facts=spill.pending_count, file=str(spill.path))
        except EventLogError as error:
            _log.error("not stored, and not kept", facts=len(left), reason=str(error))

    def _note(self, batch: Sequence[Fact]) -> None:
        """Count what is stored now, and wake who waited for it."""
        first = self.writer.last_seq - len(batch) + 1
        for place, fact in enumerate(batch):
            self.counts[fact.kind] = self.counts.get(fact.kind, 0) + 1
            if fact.kind == SNAPSHOT:
                self.snapshot_seq = first + place
        self._stored += len(batch)
        _log.debug("stored", facts=len(batch), last_seq=self.writer.last_seq)
        if self.listener is not None:
            self.listener.stored(batch)
        for ticket, waiter in self._waiters:
            if ticket <= self._stored and not waiter.done():
                waiter.set_result(None)
        self._waiters = [(t, w) for t, w in self._waiters if not w.done()]

    async def _store(self, batch: Sequence[Fact]) -> None:
        loop = asyncio.get_running_loop()
        facts, attempt = batch, 0
        away = RecurringWarning("log server does not come back yet", "")
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
                await loop.run_in_executor(self._thread, self._try_revive, away)
                continue
            if attempt:
                _log.info("log server back", attempts=attempt)
            self.waiting_for_server = False
            if lost is not None:
                await self._on_lost(lost)
            return

    def _try_revive(self, away: RecurringWarning) -> None:
        try:
            self._revive()
        except Exception as error:  # whatever keeps it away now, the next attempt tries again
            away.occurs(str(error))
