"""
Facts on their way into the log: a bounded queue, one writer, batches.

While the server is slow or away, what the queue has no room for is spilled to a file (`eventlog.spill.spill`), in
order: the file holds everything from the current batch on, so that log and file together have no gap wherever a process
ends. Backpressure: a slow disk slows reading down; a full one stops it until there is room or the server is back.
Nothing is dropped.
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

MAX_BATCH = 2_000  # facts written at once
# Pauses before writing again, the last one repeated.
_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_FULL_DISK_RETRY_S = 1.0  # a full disk is emptied by a person: no hurry
_GATHER_S = 0.005  # facts that come meanwhile join the batch: a batch costs more than the facts in it
_MIN_BATCH = 200  # from which on a batch is written without waiting for more

_Result = TypeVar("_Result")

_log = structlog.get_logger()


async def finish_job(job: asyncio.Future[_Result]) -> _Result:
    """Wait for a job to finish, even if this task is cancelled meanwhile; then raise the CancelledError."""
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.wait([job])
        if not job.cancelled():
            job.exception()  # retrieved, since no caller is left to handle it
        raise


class FactQueue:
    """
    Appends facts to a log in the order in which they are put.

    Args:
        writer: numbers and stores them; used from one thread of its own.
        revive: called when the server does not answer, to restart an embedded one.
        on_lost: called with the range of seqs that the server turned out to have lost.
        spill: file for the queue when it is full, and for what is not stored at the end; None: `put` waits.
        limits: beyond which the queue is full; None for the defaults of `QueueLimits`.
        listener: is notified of every step, None for none.

    Attributes:
        counts: facts stored, by kind.
        waiting_for_server: whether the server does not answer at the moment.
        spill_count: facts that went to the file so far.
        spill_error: why the queue cannot be spilled now, empty where it can.
        snapshot_seq: of the newest snapshot stored, None before the first.
    """

    def __init__(
        self,
        writer: LogWriter,
        revive: Callable[[], None],
        on_lost: Callable[[LostRange], Awaitable[None]],
        spill: Spill | None = None,
        limits: QueueLimits | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.writer = writer
        self.spill = spill
        self.listener = listener
        self.counts: dict[str, int] = {}
        self.waiting_for_server = False
        self.spill_count = 0
        self.spill_error = ""
        self._revive = revive
        self._on_lost = on_lost
        self._limits = limits or QueueLimits()
        self.snapshot_seq: int | None = None
        self._queue: list[Fact] = []
        self._queue_bytes = 0
        self._spilling_facts: list[Fact] = []
        self._in_hand: list[Fact] = []
        self._in_file = 0  # how many facts in hand are in the file too
        self._in_spill = 0
        self._spilling = False
        self._files = asyncio.Lock()
        self._put_count = 0
        self._stored_count = 0
        self._last_seq = writer.last_seq
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._has_facts = asyncio.Event()
        self._is_full = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self._file_thread = ThreadPoolExecutor(1, thread_name_prefix="spill")

    async def put(self, facts: Sequence[Fact]) -> int:
        """
        Queue facts; waits while the queue is full.

        Returns:
            A ticket for `wait_stored`.
        """
        if not facts:
            return self._put_count
        self._queue.extend(facts)
        self._queue_bytes += size_of(facts)
        self._put_count += len(facts)
        ticket = self._put_count
        self._has_facts.set()
        self._update_backpressure()
        if self.listener is not None:
            self.listener.on_put(self.queue_depth)
        if not self._has_room.is_set():  # after queueing, so that order is kept and `pending_facts` has them
            loop = asyncio.get_running_loop()
            since = loop.time()
            await self._has_room.wait()
            if self.listener is not None:
                self.listener.on_wait(loop.time() - since)
        return ticket

    def note_arrivals(self, arrivals: Sequence[Arrival]) -> None:
        """Tell the listener what the feed brought."""
        if self.listener is not None:
            self.listener.on_arrivals(arrivals)

    async def wait_stored(self, ticket: int | None = None) -> None:
        """Wait until everything that was put up to a ticket is in the log; None waits for all that was put so far."""
        ticket = self._put_count if ticket is None else ticket
        if self._stored_count < ticket:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((ticket, waiter))
            await waiter

    def pending_facts(self, kind: str) -> Iterator[list[Fact]]:
        """The facts of a kind that are not stored yet, in parts; a fact may come twice."""
        parts: list[Sequence[Fact]] = [self._in_hand, self._spilling_facts, self._queue]
        for part in parts:
            yield [fact for fact in part if fact.kind == kind]
        facts: list[Fact] = []
        for fact in self.spill.read_pending() if self.spill is not None and self._spilling else ():
            if fact.kind == kind:
                facts.append(fact)
            if len(facts) == MAX_BATCH:
                yield facts
                facts = []
        yield facts

    @property
    def queue_depth(self) -> int:
        """Number of facts in memory, without those read back from the file."""
        return self.cache_size - self._in_file

    @property
    def cache_size(self) -> int:
        """Number of facts in memory that are not in the log yet, including those read back from the file."""
        return len(self._queue) + len(self._spilling_facts) + len(self._in_hand)

    @property
    def queue_bytes(self) -> int:
        """Size of the facts in the queue, in bytes."""
        return self._queue_bytes + size_of(self._spilling_facts)

    @property
    def pending_count(self) -> int:
        """Number of facts that are not in the log yet, in memory and in the file."""
        return self._put_count - self._stored_count

    @property
    def drop_count(self) -> int:
        """Number of facts that were put and are neither stored nor pending; always 0 unless there is a bug."""
        return self._put_count - self._stored_count - self.queue_depth - self._in_spill

    async def run(self) -> None:
        """
        Store what is queued, until cancelled.

        Raises:
            WriterRefused, LogBroken: this process may not write any more.
        """
        tasks = [asyncio.create_task(self._write_batches())]
        if self.spill is not None:
            tasks.append(asyncio.create_task(self._spill_when_full(self.spill)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """Write what is not stored yet to the file, for the next start, and end the threads."""
        self._thread.shutdown(wait=not self.waiting_for_server)
        if self.spill is not None:
            self._file_thread.submit(self._save_remaining, self.spill).result()
        self._file_thread.shutdown()

    async def _write_batches(self) -> None:
        while True:
            await self._has_facts.wait()
            if len(self._queue) < _MIN_BATCH and not self._spilling:
                await asyncio.sleep(_GATHER_S)
            batch = await self._next_batch()
            self._update_backpressure()
            if not batch:
                continue
            await self._store(batch)
            if self._spilling and self.spill is not None:
                async with self._files:
                    if self._in_file:
                        await self._run_in_file_thread(self.spill.mark_stored, self._in_file, self.writer.last_seq)
                    self._clear_in_hand()
            else:
                self._clear_in_hand()
            self._record_stored(batch)

    def _clear_in_hand(self) -> None:
        self._last_seq = self.writer.last_seq
        self._in_spill -= self._in_file
        self._in_hand, self._in_file = [], 0

    async def _next_batch(self) -> list[Fact]:
        """The next batch: from the file while it has any, then from the queue."""
        while self._spilling and self.spill is not None:
            async with self._files:
                if self.spill.pending_count:
                    self._in_hand = await self._run_in_file_thread(self.spill.next, MAX_BATCH)
                    self._in_file = len(self._in_hand)
                    return self._in_hand
                if self._spilling:
                    await self._run_in_file_thread(self.spill.finish)
                    self._spilling = False
                    _log.info("caught up with the spill", spilled=self.spill_count)
        self._in_hand, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
        self._queue_bytes -= size_of(self._in_hand)
        if not self._queue:
            self._has_facts.clear()
        return self._in_hand

    def _update_backpressure(self) -> None:
        """Let `put` wait, and the queue be spilled, while the queue is full."""
        is_full = self._limits.is_full(len(self._queue), self._queue_bytes)
        for event, is_set in ((self._is_full, is_full), (self._has_room, not is_full)):
            if is_set:
                event.set()
            else:
                event.clear()

    async def _spill_when_full(self, spill: Spill) -> None:
        """Move the queue to the file whenever it is full."""
        while True:
            await self._is_full.wait()
            try:
                async with self._files:
                    if self._is_full.is_set():
                        await self._spill_queue(spill)
            except EventLogError as error:
                if not self.spill_error:
                    _log.error("the queue is full and cannot be spilled: reading stops", reason=str(error))
                self.spill_error = str(error)
                await asyncio.sleep(_FULL_DISK_RETRY_S)
            else:
                self.spill_error = ""

    async def _spill_queue(self, spill: Spill) -> None:
        """Append the queue to the file; the first time, after the current batch."""
        is_first = not self._spilling
        if is_first and not self.spill_error:
            _log.warning("the log does not take facts as fast as they come: spilling", queued=len(self._queue))
        in_hand = self._in_hand if is_first else []
        self._spilling_facts, self._queue = self._queue, []
        spilling_bytes, self._queue_bytes = self._queue_bytes, 0
        self._spilling = True
        unread = spill.pending_count
        try:
            await self._run_in_file_thread(spill.append, [*in_hand, *self._spilling_facts], self._last_seq)
        finally:  # also when cancelled: what counts is whether they are in the file
            if spill.pending_count > unread:
                self._in_file += len(in_hand)
                self._in_spill += len(in_hand) + len(self._spilling_facts)
                self.spill_count += len(self._spilling_facts)
            else:
                self._queue, self._queue_bytes = self._spilling_facts + self._queue, self._queue_bytes + spilling_bytes
                self._spilling = not is_first
            self._spilling_facts = []
            self._has_facts.set()
            self._update_backpressure()

    async def _run_in_file_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run in the file's thread, to the end even when cancelled, so that its result is always known."""
        return await finish_job(asyncio.get_running_loop().run_in_executor(self._file_thread, function, *arguments))

    def _save_remaining(self, spill: Spill) -> None:
        """Write what was not stored to the file."""
        remaining = self._queue if self._spilling else [*self._in_hand, *self._queue]
        if not remaining:
            return
        try:
            spill.append(remaining, self._last_seq, has_limit=False)
            _log.warning("not stored yet, kept for the next start", facts=spill.pending_count, file=str(spill.path))
        except EventLogError as error:
            _log.error("not stored, and not kept", facts=len(remaining), reason=str(error))

    def _record_stored(self, batch: Sequence[Fact]) -> None:
        """Count what is stored now, and wake those that wait for it."""
        first = self.writer.last_seq - len(batch) + 1
        for place, fact in enumerate(batch):
            self.counts[fact.kind] = self.counts.get(fact.kind, 0) + 1
            if fact.kind == SNAPSHOT:
                self.snapshot_seq = first + place
        self._stored_count += len(batch)
        _log.debug("stored", facts=len(batch), last_seq=self.writer.last_seq)
        if self.listener is not None:
            self.listener.on_stored(batch)
        for ticket, waiter in self._waiters:
            if ticket <= self._stored_count and not waiter.done():
                waiter.set_result(None)
        self._waiters = [(t, w) for t, w in self._waiters if not w.done()]

    async def _store(self, batch: Sequence[Fact]) -> None:
        loop = asyncio.get_running_loop()
        facts, attempt = batch, 0
        warning = RecurringWarning("log server does not come back yet", "")
        while True:
            try:
                lost_range = await loop.run_in_executor(self._thread, self.writer.append, facts)
            except (StoreUnavailable, StoreFull) as error:
                facts = ()  # the writer keeps what it could not store
                if attempt == 0:
                    _log.warning("log server away, waiting", reason=str(error))
                self.waiting_for_server = True
                await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
                attempt += 1
                await loop.run_in_executor(self._thread, self._try_revive, warning)
                continue
            if attempt:
                _log.info("log server back", attempts=attempt)
            self.waiting_for_server = False
            if lost_range is not None:
                await self._on_lost(lost_range)
            return

    def _try_revive(self, warning: RecurringWarning) -> None:
        try:
            self._revive()
        except Exception as error:  # of any sort: the next attempt tries again
            warning.occurs(str(error))
