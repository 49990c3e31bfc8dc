"""
The recorder of one market: joins capture, ticks and archive around one log, and ends them in order.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog

from collector.fact_queue import FactQueue, finish_job
from collector.sequencing.book_auditor import BookAuditor
from collector.sequencing.capture import Capture
from collector.sequencing.log_tail import LogTail
from collector.sequencing.tick_maker import CaptureProgress, TickMaker
from collector.sequencing.ticker import Ticker
from eventlog.clock import Clock
from eventlog.code_version import code_digest
from eventlog.errors import EventLogError, StoreFull, StoreUnavailable
from eventlog.facts.capture import SESSION, ClockOffset, Session, TradesState
from eventlog.facts.entry import Fact
from eventlog.store.archiver import Archiver
from eventlog.store.log import Log
from eventlog.store.writer import LostRange
from exchanges.errors import ExchangeError, UnknownSymbol
from exchanges.port import Exchange
from market.timestamps import SECOND_NS, iso
from runtime.daemon import status
from runtime.daemon.recurring_warning import RecurringWarning

_SHUTDOWN_DRAIN_S = 1.8  # to store what is queued; after 2 s the connections to the logs' server are cut
_MIN_DRAIN_S = 0.2  # even where ending the sources took all of that
_SHUTDOWN_ARCHIVE_S = 2.0  # bounds how long an end waits for a segment
_RETRY_S = 2.0  # pause after the exchange did not answer
_STATUS_S = 0.5  # how old `--status` may be
_GRID_S = 600.0  # pause between two looks at tick size and status
_CLOCK_S = 300.0  # pause between two measurements of the clocks
_CLOCK_RETRY_S = 30.0  # pause after a measurement that failed
_CLOCK_MIN_S = 5.0  # least pause where the clock is in doubt
_MAX_OFFSET_NS = SECOND_NS

_log = structlog.get_logger()

_Argument = TypeVar("_Argument")


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What to record of a market, and how often.

    Attributes:
        interval_ns: of ticks. snapshot_interval_ns: of snapshots.
        snapshot_limit: levels per side of a snapshot.
        history_hours: how far back an empty log begins.
        archive_every_s: pause between two archivings.
        archive_after_s: pause before the first one, so that markets take turns.
        archive_keep: archived entries that stay in the stream for readers that follow it.
        settings: without secrets, logged at the start.
    """

    interval_ns: int
    snapshot_interval_ns: int
    snapshot_limit: int
    history_hours: int
    archive_every_s: float
    archive_after_s: float
    archive_keep: int
    settings: str


class MarketRecorder:
    """
    Records one market until it is told to stop.

    Args:
        plan: what to record and how often.
        exchange: the market.
        log: open for reading, with a connection of its own.
        tail: the end of the log.
        queue: appends facts to the log.
        archiver: moves entries from the stream to Parquet.
        clock: stamps our own facts.
        archive_executor: the thread that archives, shared by markets, which are archived one after the other.
        extra_status: further fields of the status.
    """

    def __init__(
        self,
        plan: Plan,
        exchange: Exchange,
        log: Log,
        tail: LogTail,
        queue: FactQueue,
        archiver: Archiver,
        clock: Clock,
        archive_executor: Executor,
        extra_status: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.plan = plan
        self.exchange = exchange
        self.log = log
        self.queue = queue
        self.archiver = archiver
        self.clock = clock
        self._archive_executor = archive_executor
        self._extra_status = extra_status
        self._ending = threading.Event()  # what is being archived ends with its segment
        self._grid: tuple[object, ...] = ()
        self._instrument_fact: Fact | None = None
        self._clock_offset: dict[str, float] | None = None
        self._archive_error = ""
        self._status_warning = RecurringWarning("status not written", "status written again")
        self._repeat_task: asyncio.Task[int] | None = None
        progress = CaptureProgress(snapshot_seq=tail.snapshot_seq)
        self.auditor = BookAuditor(log.venue)
        self.capture = Capture(exchange, log, queue, clock, tail, plan.history_hours, progress, self.auditor)
        maker = TickMaker(plan.interval_ns, plan.snapshot_interval_ns, max(tail.last_boundary_ns, clock.now_ns()))
        self.ticker = Ticker(exchange, queue, clock, maker, self.capture, plan.snapshot_limit)

    async def run(self, stop: asyncio.Event) -> None:
        """
        Record until `stop` is set, then write everything out.

        Raises:
            UnknownSymbol: the venue does not list the symbol.
            EventLogError: this process may not write any more.
        """
        tasks = [asyncio.create_task(self.queue.run(), name="recorder")]
        stopping = asyncio.create_task(stop.wait())
        try:
            await self.queue.put([self._session_fact("started"), *self.capture.close_filled_gaps()])
            tasks.append(asyncio.create_task(self._record_all(), name="record"))
            tasks.append(asyncio.create_task(self._report(), name="report"))
            done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
        finally:
            stopping.cancel()
            await self._shut_down(tasks[0], tasks[1:])

    async def recover_lost(self, lost_range: LostRange) -> None:
        """Log session and instrument again, which readers need first, and fetch the lost trades; see `Capture`."""
        facts = [self._session_fact("started")] + ([self._instrument_fact] if self._instrument_fact else [])
        self._repeat_task = asyncio.create_task(self.queue.put(facts))
        await self.capture.recover_lost(lost_range)

    def status(self) -> dict[str, Any]:
        """The fields that `--status` shows."""
        trades, reason = self._assessment()
        return {
            "market": str(self.log.name.market),
            "connected": self.exchange.open_connections > 0,
            "trades": trades,
            "trades_reason": reason,
            "last_seq": self.queue.writer.last_stored_seq,
            "last_tick": self.ticker.last_tick,
            "counts": dict(sorted(self.queue.counts.items())),
            "waiting_trades": self.capture.trades.pending_count,
            "waiting_diffs": self.capture.diffs.pending_count,
            "duplicates": self.capture.trades.duplicates + self.capture.diffs.duplicates,
            "missed_diffs": self.capture.diffs.gap_count,
            "conflicting_diffs": self.capture.diffs.conflicts,
            "book": self.auditor.status(),
            "venue": self.exchange.health(),
            "clock": self._clock_offset,
            "server_away": self.queue.waiting_for_server,
            "waiting_on_disk": self.queue.spill.pending_count if self.queue.spill is not None else 0,
            "reading_stopped": self.queue.spill_error,
            "server_losses": self.queue.writer.losses,
            "archive_error": self._archive_error,
            **self._extra_status(),
            "written_at": iso(self.clock.now_ns()),
        }

    def _assessment(self) -> tuple[TradesState, str]:
        """The state of the log's trades, and why they are not live; facts waiting for the server are not in the log."""
        trades, reason = self.capture.assessment()
        if trades == "live" and self.queue.waiting_for_server:
            return "catching_up", f"the log's server takes nothing: {self.queue.pending_count:,} facts wait for it"
        return trades, reason

    async def _record_all(self) -> None:
        await self._record_instrument()
        async with asyncio.TaskGroup() as group:
            jobs = (
                self.capture.feed,
                self.capture.fill,
                self.ticker.run,
                self._archive,
                self._watch_grid,
                self._watch_clock,
            )
            for job in jobs:
                group.create_task(job())
            group.create_task(self.ticker.take_needed_snapshots(self.auditor))

    async def _record_instrument(self) -> None:
        """Record the symbol's tick and lot sizes and status before anything else."""
        while True:
            try:
                fact = await self.exchange.instrument()
                self._grid, self._instrument_fact = self.exchange.grid_of(fact), fact
                await self.queue.put([fact])
                return
            except UnknownSymbol:
                raise
            except ExchangeError as error:
                _log.warning("exchangeInfo not available, trying again", reason=str(error))
                await asyncio.sleep(_RETRY_S)

    async def _watch_grid(self) -> None:
        """Record a new instrument fact whenever sizes or status changed."""
        while True:
            await asyncio.sleep(_GRID_S)
            try:
                fact = await self.exchange.instrument()
            except ExchangeError as error:
                _log.warning("exchangeInfo not available", reason=str(error))
                continue
            grid = self.exchange.grid_of(fact)
            if grid != self._grid:
                self._grid, self._instrument_fact = grid, fact
                await self.queue.put([fact])

    async def _watch_clock(self) -> None:
        """Record the offset of the exchange's clock from ours; no time is corrected with it."""
        while True:
            try:
                fact = await self.exchange.clock_offset()
            except ExchangeError as error:
                _log.warning("the venue's clock not measured", reason=str(error))
                await asyncio.sleep(_CLOCK_RETRY_S)
                continue
            offset = msgspec.json.decode(fact.data, type=ClockOffset)
            self._clock_offset = {
                "offset_ms": round(offset.offset_ns / 1e6, 3), "uncertainty_ms": round(offset.uncertainty_ns / 1e6, 3),
            }  # fmt: skip
            is_far = abs(offset.offset_ns) > _MAX_OFFSET_NS
            if is_far:
                _log.warning("the venue's clock is far from ours; check this machine's", **self._clock_offset)
            self.capture.clock_offset_ns = offset.offset_ns
            await self.queue.put([fact])
            await self._wait_for_clock_check(_CLOCK_RETRY_S if is_far else _CLOCK_S)

    async def _wait_for_clock_check(self, pause_s: float) -> None:
        """Pause; end early if new data suggests that a clock was set meanwhile."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + pause_s
        had_doubts = self.capture.has_clock_doubts
        await asyncio.sleep(_CLOCK_MIN_S)
        while loop.time() < until_s and self.capture.has_clock_doubts == had_doubts:
            await asyncio.sleep(1.0)

    async def _archive(self) -> None:
        """Archive to Parquet every few minutes, and merge the files of closed days."""
        pause_s = self.plan.archive_after_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self.plan.archive_every_s
            try:
                entries = await self._run_in_archiver(self.archiver.archive, self._ending.is_set)
                segments = await self._run_in_archiver(self.archiver.compact, self.clock.now_ns())
                _log.info("archived", entries=entries, segments_merged=segments)
                self._archive_error = ""
            except (StoreUnavailable, StoreFull) as error:
                self._archive_error = str(error)
                _log.warning("not archived, trying again later", reason=str(error))
            except EventLogError as error:  # the archive is broken, the stream is not: recording goes on
                self._archive_error = str(error)
                _log.error("the archive needs manual action; recording goes on into the stream", reason=str(error))

    async def _run_in_archiver(self, function: Callable[[_Argument], int], argument: _Argument) -> int:
        """Run in the archiver's thread; a job that has begun is waited for even when cancelled: it needs our lock."""
        turn = threading.Lock()  # acquired by the job when it begins, or here to cancel it before that

        def begin() -> int:
            return function(argument) if turn.acquire(blocking=False) else 0

        job = asyncio.get_running_loop().run_in_executor(self._archive_executor, begin)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            self._ending.set()
            if turn.acquire(blocking=False):
                job.cancel()  # it waits behind another market's
            else:
                with contextlib.suppress(Exception):  # no caller is left to handle it
                    await job
            raise

    async def _report(self) -> None:
        """Write the status file twice a second, never two at once."""
        loop = asyncio.get_running_loop()
        while True:
            await finish_job(loop.run_in_executor(None, self._write_status, self.status()))
            await asyncio.sleep(_STATUS_S)

    def _write_status(self, fields: dict[str, Any]) -> None:
        """A status that cannot be written is only warned of."""
        try:
            status.write_status(self.log.cold.folder, fields)
        except EventLogError as error:
            self._status_warning.occurs(str(error))
        else:
            self._status_warning.ends()

    def _session_fact(self, event: Any) -> Fact:
        settings = self.plan.settings if event == "started" else ""
        return Session(event, "", code_digest(), settings).fact(SESSION, self.clock.now_ns())

    async def _shut_down(self, queue_task: "asyncio.Task[None]", source_tasks: Sequence["asyncio.Task[Any]"]) -> None:
        """Stop the sources, store what is queued, archive it; each within its time limit."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + _SHUTDOWN_DRAIN_S  # includes the time that stopping the sources takes
        for task in source_tasks:
            task.cancel()
        await asyncio.gather(*source_tasks, return_exceptions=True)
        is_drained = False
        if not queue_task.done():
            # Trades that are not stored in time are fetched again at the next start.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(max(deadline_s, loop.time() + _MIN_DRAIN_S)):
                    await self.queue.put([*self.capture.give_up_pending(), self._session_fact("stopped")])
                    await self.queue.wait_stored()
                    is_drained = True
            queue_task.cancel()
        await asyncio.gather(queue_task, return_exceptions=True)
        if is_drained:
            await self._archive_once_more()
        self.queue.close()
        self._write_status(self.status() | {"connected": False, "trades": "down"})

    async def _archive_once_more(self) -> None:
        deadline = self.clock.now_ns() + int(_SHUTDOWN_ARCHIVE_S * SECOND_NS)
        try:
            async with asyncio.timeout(2 * _SHUTDOWN_ARCHIVE_S):
                await self._run_in_archiver(self.archiver.archive, lambda: self.clock.now_ns() > deadline)
        except (EventLogError, TimeoutError) as error:
            _log.warning("not archived at the end; the stream keeps it for the next start", reason=str(error))
