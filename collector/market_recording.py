"""
One market's recording, from its log on disk to the recorder that fills it: opens and closes them in order.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars

from collector.fact_queue import FactQueue
from collector.market_recorder import MarketRecorder, Plan
from collector.metrics.metrics import Meter, measure_market
from collector.queue_limits import QueueLimits
from collector.sequencing.log_tail import LogTail, read_tail
from eventlog.clock import Clock
from eventlog.errors import EventLogError, StoreFull, StoreUnavailable
from eventlog.names import LogName
from eventlog.spill.recovery import catch_up
from eventlog.spill.spill import Spill, read_spill_seq
from eventlog.store.archiver import Archiver
from eventlog.store.cold import ColdLog
from eventlog.store.decision_log import max_market_seq
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from eventlog.store.writer import LogWriter, LostRange
from exchanges.port import Exchange
from market.instrument import Market
from runtime.daemon import status

_RETRY_S = 0.5  # before what failed is tried again

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Store:
    """
    Where logs are stored.

    Attributes:
        folder: of all logs.
        connect: opens a new connection to the server.
        revive: called when the server does not answer.
        archiving: the one thread that archives all logs: glibc keeps freed memory per thread, so a thread per log would
            keep the memory that archiving needs many times.
    """

    folder: Path
    connect: Callable[[], Any]
    revive: Callable[[], None]
    archiving: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="archiver"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of what waits for the server, in memory (`queue`) and then on disk (`spill_bytes`)."""

    queue: QueueLimits
    spill_bytes: int


class MarketRecording:
    """
    Records one market.

    Args:
        market: to record.
        store: of its log.
        exchange_of: opens the exchange's market, for an existing or empty log.
        plan: what to record and how often.
        limits: of what waits for the server.
        clock: stamps our own facts.
        event_time_ns: when the exchange sent a message, None where it does not say.
        extra_status: further fields of the status.

    Raises:
        EventLogError: the log cannot be written by this process.
        NotProvable: the exchange lacks what a complete recording is proven by.
    """

    def __init__(
        self,
        market: Market,
        store: Store,
        exchange_of: Callable[[ColdLog, HotLog], Exchange],
        plan: Plan,
        limits: Limits,
        clock: Clock,
        event_time_ns: Callable[[bytes], int | None],
        extra_status: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.market = market
        self.store = store
        self.plan = plan
        self.clock = clock
        self.cold = ColdLog(store.folder, LogName("events", market))
        self.writer = LogWriter(self.cold, HotLog(store.connect(), self.cold.name), clock, self._seqs_in_use())
        if self.writer.startup_loss is not None:
            lost_range = self.writer.startup_loss
            _log.error(
                "the server had lost entries", market=str(market), first_seq=lost_range.first, last_seq=lost_range.last
            )
        try:
            self._spill = Spill(self.cold.folder, limits.spill_bytes)
            self.exchange = exchange_of(self.cold, self.writer.hot)
            self.exchange.capabilities.expect_provable(str(market))
        except BaseException:
            self.writer.close()
            raise
        self._meter = Meter(clock, event_time_ns)
        self._queue_limits = limits.queue
        self._extra_status = extra_status
        self._recorder: MarketRecorder | None = None
        self._closed = False

    @property
    def folder(self) -> Path:
        """Folder of the log."""
        return self.cold.folder

    async def run(self, stop: asyncio.Event) -> None:
        """
        Store what an earlier run left in the spill file, then record until told to stop, and close.

        Raises:
            UnknownSymbol: the exchange does not list the symbol.
            EventLogError: this process may not write any more.
        """
        bind_contextvars(market=str(self.market))
        log = self._log_for_reading()
        try:
            tail = await self._read_tail(log, stop)
            if tail is None:
                return
            queue = FactQueue(
                self.writer, self.store.revive, self._recover_lost, self._spill, self._queue_limits, self._meter
            )
            archiver = Archiver(self._log_for_reading(), self.writer, self.plan.archive_keep)
            self._recorder = MarketRecorder(
                self.plan,
                self.exchange,
                log,
                tail,
                queue,
                archiver,
                self.clock,
                self.store.archiving,
                self._extra_status,
            )
            _log.info("recording", next_seq=self.writer.last_seq + 1)
            await self._recorder.run(stop)
        finally:
            _log.info("stopped", last_seq=self.writer.last_seq)
            await self.close()

    async def close(self) -> None:
        """Close log and exchange, whether it ran or not."""
        if not self._closed:
            self._closed = True
            await self.exchange.close()
            self.writer.close()

    def measure(self) -> dict[str, Any] | None:
        """See `collector.metrics.metrics.measure_market`; None before recording begins and after it ended."""
        if self._recorder is None or self._closed:
            return None
        return measure_market(str(self.market), self._meter, self._recorder.queue, self.clock)

    async def _read_tail(self, log: Log, stop: asyncio.Event) -> LogTail | None:
        """The end of the log once everything spilled is stored; None where it was told to stop before."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            try:
                return await loop.run_in_executor(None, self._try_catch_up, log, stop.is_set)
            except (StoreUnavailable, StoreFull) as error:
                _log.warning("recording cannot begin yet, trying again", reason=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RETRY_S)
            with suppress(EventLogError):  # the next attempt tries again
                await loop.run_in_executor(None, self.store.revive)
        return None

    def _try_catch_up(self, log: Log, is_cancelled: Callable[[], bool]) -> LogTail | None:
        catch_up(self._spill, self.writer, log, self.clock, is_cancelled)
        return None if self._spill.is_open else read_tail(log)

    async def _recover_lost(self, lost_range: LostRange) -> None:
        if self._recorder is not None:
            await self._recorder.recover_lost(lost_range)

    def _log_for_reading(self) -> Log:
        """The log with a connection of its own."""
        name = self.cold.name
        return Log(ColdLog(self.store.folder, name), HotLog(self.store.connect(), name), self.exchange.decoders)

    def _seqs_in_use(self) -> list[int]:
        """The highest seqs that decisions, status or spill file refer to: none of them may be assigned again."""
        name = LogName("decisions", self.market)
        decisions = Log(ColdLog(self.store.folder, name), HotLog(self.store.connect(), name), {})
        status_seq = status.read_fields(self.cold.folder).get("last_seq", 0)
        return [
            max_market_seq(decisions),
            status_seq if type(status_seq) is int else 0,
            read_spill_seq(self.cold.folder),
        ]
