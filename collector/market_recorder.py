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

from collector.fact_queue import FactQueue, to_its_end
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

_SHUTDOWN_DRAIN_S = 1.8
_MIN_DRAIN_S = 0.2
_SHUTDOWN_ARCHIVE_S = 2.0
_RETRY_S = 2.0
_STATUS_S = 0.5
_GRID_S = 600.0
_CLOCK_S = 300.0
_CLOCK_RETRY_S = 30.0
_CLOCK_LEAST_S = 5.0
_LARGEST_OFFSET_NS = SECOND_NS

_log = structlog.get_logger()

_Argument = TypeVar("_Argument")


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What to record and how often; settings without secrets are for the record.

    Attributes:
        archive_after_s: how long after the start is archived first, so that markets take turns. archive_keep: how many
            archived entries stay in the stream for readers that follow.
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
        log: the log for reading, with a connection of its own. tail: where it stands. recorder: the way into it.
        archiving: the thread that archives; shared by markets, which are archived one after the other.
        about: what the status says beside what is known here.
    """

    def __init__(
        self,
        plan: Plan,
        exchange: Exchange,
        log: Log,
        tail: LogTail,
        recorder: FactQueue,
        archiver: Archiver,
        clock: Clock,
        archiving: Executor,
        about: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.plan = plan
        self.exchange = exchange
        self.log = log
        self.recorder = recorder
        self.archiver = archiver
        self.clock = clock
        self._archiving = archiving
        self._about = about
        self._ending = threading.Event()  # what is being archived ends with its segment
        self._grid: tuple[object, ...] = ()
        self._instrument_fact: Fact | None = None
        self._clock_offset: dict[str, float] | None = None
        self._archive_error = ""
        self._status_warning = RecurringWarning("status not written", "status written again")
        self._again: asyncio.Task[int] | None = None
        seen = CaptureProgress(snapshot_seq=tail.snapshot_seq)
        self.keeper = BookAuditor(log.venue)
        self.capture = Capture(exchange, log, recorder, clock, tail, plan.history_hours, seen, self.keeper)
        maker = TickMaker(plan.interval_ns, plan.snapshot_interval_ns, max(tail.last_boundary_ns, clock.now_ns()))
        self.ticker = Ticker(exchange, recorder, clock, maker, self.capture, plan.snapshot_limit)

    async def run(self, stop: asyncio.Event) -> None:
        """
        Record until `stop` is set, then write everything out.

        Raises:
            UnknownSymbol: the venue does not list the symbol.
            EventLogError: this process may not write any more.
        """
        tasks = [asyncio.create_task(self.recorder.run(), name="recorder")]
        stopping = asyncio.create_task(stop.wait())
        try:
            await self.recorder.put([self._session("started"), *self.capture.settled()])
            tasks.append(asyncio.create_task(self._instrument_then_record(), name="record"))
            tasks.append(asyncio.create_task(self._report(), name="report"))
            done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
        finally:
            stopping.cancel()
            await self._shut_down(tasks[0], tasks[1:])

    async def lost(self, lost: LostRange) -> None:
        """What a reader needs first is on record again, and the lost trades are asked for; see `Capture.lost`."""
        again = [self._session("started")] + ([self._instrument_fact] if self._instrument_fact else [])
        self._again = asyncio.create_task(self.recorder.put(again))
        await self.capture.lost(lost)

    def status(self) -> dict[str, Any]:
        """What `--status` shows."""
        trades, why = self._assessment()
        return {
            "market": str(self.log.name.market),
            "connected": self.exchange.open_connections > 0,
            "trades": trades,
            "trades_reason": why,
            "last_seq": self.recorder.writer.stored_seq,
            "last_tick": self.ticker.last_tick,
            "counts": dict(sorted(self.recorder.counts.items())),
            "waiting_trades": self.capture.trades.waiting,
            "waiting_diffs": self.capture.diffs.waiting,
            "duplicates": self.capture.trades.duplicates + self.capture.diffs.duplicates,
            "missed_diffs": self.capture.diffs.missed,
            "conflicting_diffs": self.capture.diffs.conflicts,
            "book": self.keeper.status(),
            "venue": self.exchange.health(),
            "clock": self._clock_offset,
            "server_away": self.recorder.waiting_for_server,
            "waiting_on_disk": self.recorder.spill.unread if self.recorder.spill is not None else 0,
            "reading_stopped": self.recorder.spill_error,
            "server_losses": self.recorder.writer.losses,
            "archive_error": self._archive_error,
            **self._about(),
            "written_at": iso(self.clock.now_ns()),
        }

    def _assessment(self) -> tuple[TradesState, str]:
        """The state of the log's trades, and why they are not live; what waits for the server is not in the log."""
        trades, why = self.capture.assessment()
        if trades == "live" and self.recorder.waiting_for_server:
            return "catching_up", f"the log's server takes nothing: {self.recorder.waiting:,} facts wait for it"
        return trades, why

    async def _instrument_then_record(self) -> None:
        await self._instrument()
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
            group.create_task(self.ticker.snapshots_at_once(self.keeper))

    async def _instrument(self) -> None:
        """The grid and state of the symbol, before anything else is recorded."""
        while True:
            try:
                fact = await self.exchange.instrument()
                self._grid, self._instrument_fact = self.exchange.grid_of(fact), fact
                await self.recorder.put([fact])
                return
            except UnknownSymbol:
                raise
            except ExchangeError as error:
                _log.warning("exchangeInfo not available, trying again", reason=str(error))
                await asyncio.sleep(_RETRY_S)

    async def _watch_grid(self) -> None:
        """A new instrument fact whenever grid or state changed."""
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
                await self.recorder.put([fact])

    async def _watch_clock(self) -> None:
        """How far the venue's clock is from ours goes on record; nothing is corrected with it."""
        while True:
            try:
                fact = await self.exchange.clock_offset()
            except ExchangeError as error:
                _log.warning("the venue's clock not measured", reason=str(error))
                await asyncio.sleep(_CLOCK_RETRY_S)
                continue
            found = msgspec.json.decode(fact.data, type=ClockOffset)
            self._clock_offset = {
                "offset_ms": round(found.offset_ns / 1e6, 3), "uncertainty_ms": round(found.uncertainty_ns / 1e6, 3),
            }  # fmt: skip
            far = abs(found.offset_ns) > _LARGEST_OFFSET_NS
            if far:
                _log.warning("the venue's clock is far from ours; check this machine's", **self._clock_offset)
            self.capture.clock_offset_ns = found.offset_ns
            await self.recorder.put([fact])
            await self._until_measured_again(_CLOCK_RETRY_S if far else _CLOCK_S)

    async def _until_measured_again(self, pause_s: float) -> None:
        """A pause that ends early where something new speaks of clocks that were set meanwhile."""
        loop = asyncio.get_running_loop()
        until = loop.time() + pause_s
        doubted = self.capture.doubts_clocks
        await asyncio.sleep(_CLOCK_LEAST_S)
        while loop.time() < until and self.capture.doubts_clocks == doubted:
            await asyncio.sleep(1.0)

    async def _archive(self) -> None:
        """Parquet every few minutes, and closed days merged."""
        pause_s = self.plan.archive_after_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self.plan.archive_every_s
            try:
                done = await self._in_archiver(self.archiver.archive, self._ending.is_set)
                merged = await self._in_archiver(self.archiver.compact, self.clock.now_ns())
                _log.info("archived", entries=done, segments_merged=merged)
                self._archive_error = ""
            except (StoreUnavailable, StoreFull) as error:
                self._archive_error = str(error)
                _log.warning("not archived, trying again later", reason=str(error))
            except EventLogError as error:  # the archive is broken, the stream is not: recording goes on
                self._archive_error = str(error)
                _log.error("the archive needs a person; recording goes on into the stream", reason=str(error))

    async def _in_archiver(self, do: Callable[[_Argument], int], argument: _Argument) -> int:
        """In the archiver's thread. What began there is waited for even when cancelled: it writes under our lock."""
        turn = threading.Lock()  # taken by the job as it begins, or by who does not want it any more

        def begin() -> int:
            return do(argument) if turn.acquire(blocking=False) else 0

        job = asyncio.get_running_loop().run_in_executor(self._archiving, begin)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            self._ending.set()
            if turn.acquire(blocking=False):
                job.cancel()  # it waits behind another market's
            else:
                with contextlib.suppress(Exception):  # whom it would have told is gone
                    await job
            raise

    async def _report(self) -> None:
        """The status file, twice a second, and never two at once."""
        loop = asyncio.get_running_loop()
        while True:
            await to_its_end(loop.run_in_executor(None, self._write_status, self.status()))
            await asyncio.sleep(_STATUS_S)

    def _write_status(self, fields: dict[str, Any]) -> None:
        """It is for looking at: a status that cannot be written stops nothing."""
        try:
            status.write(self.log.cold.folder, fields)
        except EventLogError as error:
            self._status_warning.occurs(str(error))
        else:
            self._status_warning.ends()

    def _session(self, event: Any) -> Fact:
        settings = self.plan.settings if event == "started" else ""
        return Session(event, "", code_digest(), settings).fact(SESSION, self.clock.now_ns())

    async def _shut_down(self, writing: "asyncio.Task[None]", working: Sequence["asyncio.Task[Any]"]) -> None:
        """Stop the sources, store what is queued, archive it; each within its time."""
        loop = asyncio.get_running_loop()
        stored_by = loop.time() + _SHUTDOWN_DRAIN_S  # sources that wait for the server take of it
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        drained = False
        if not writing.done():
            with contextlib.suppress(TimeoutError):  # what is not stored now is asked for again at the next start
                async with asyncio.timeout_at(max(stored_by, loop.time() + _MIN_DRAIN_S)):
                    await self.recorder.put([*self.capture.left(), self._session("stopped")])
                    await self.recorder.stored()
                    drained = True
            writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        if drained:
            await self._archive_once_more()
        self.recorder.close()
        self._write_status(self.status() | {"connected": False, "trades": "down"})

    async def _archive_once_more(self) -> None:
        deadline = self.clock.now_ns() + int(_SHUTDOWN_ARCHIVE_S * SECOND_NS)
        try:
            async with asyncio.timeout(2 * _SHUTDOWN_ARCHIVE_S):
                await self._in_archiver(self.archiver.archive, lambda: self.clock.now_ns() > deadline)
        except (EventLogError, TimeoutError) as error:
            _log.warning("not archived at the end; the stream keeps it for the next start", reason=str(error))
