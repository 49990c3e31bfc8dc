"""
Snapshots and ticks at their boundaries.
"""

import asyncio

import structlog

from collector.fact_queue import FactQueue
from collector.sequencing.book_auditor import BookAuditor
from collector.sequencing.capture import Capture
from collector.sequencing.diff_sequencer import Ready
from collector.sequencing.tick_maker import SNAPSHOT_TIMEOUT_NS, TickMaker
from eventlog.clock import Clock
from eventlog.facts.capture import GAP, Gap, TradesState
from eventlog.facts.entry import Fact
from eventlog.facts.market import SNAPSHOT
from exchanges.errors import ExchangeError
from exchanges.port import Exchange
from market.timestamps import iso

_POLL_S = 0.02  # how often the clock is read for the minute's end: bounds a tick's delay

_log = structlog.get_logger()


class Ticker:
    """
    Fetches the book at each boundary and logs the tick once it has come, or will not come.

    Args:
        exchange: that books are fetched from.
        queue: appends facts to the log.
        clock: the time of boundaries.
        maker: decides when ticks are due.
        capture: tells the state of the log's trades, and audits the book.
        limit: levels per side of a snapshot.

    Attributes:
        last_tick: boundary of the last tick as ISO time, empty before the first.
    """

    def __init__(
        self, exchange: Exchange, queue: FactQueue, clock: Clock, maker: TickMaker, capture: Capture, limit: int
    ) -> None:
        self.last_tick = ""
        self._state: TradesState | None = None
        self._exchange = exchange
        self._queue = queue
        self._clock = clock
        self._maker = maker
        self._capture = capture
        self._limit = limit

    async def run(self) -> None:
        """Log ticks until cancelled."""
        progress = self._capture.progress
        async with asyncio.TaskGroup() as snapshots:
            while True:
                boundary = self._maker.next_boundary_ns
                await self._sleep_until(boundary)
                if boundary % self._maker.snapshot_interval_ns == 0:
                    snapshots.create_task(self._take_snapshot(boundary))
                while (due := self._maker.due_boundary(self._clock.now_ns())) is None:
                    await asyncio.sleep(_POLL_S)
                next_id = self._capture.trades.watermark
                progress.snapshot_seq = self._queue.snapshot_seq or progress.snapshot_seq
                progress.last_agg_id = next_id - 1 if next_id is not None else None
                state = self._note_state()
                tick = self._maker.make_tick(due, self._clock.now_ns(), state, progress)
                await self._queue.put([tick])
                self.last_tick = iso(due)
                _log.debug("tick", boundary=self.last_tick, trades=state, last_agg_id=progress.last_agg_id)

    def _note_state(self) -> TradesState:
        """The state of the trades; a change is written to the program's log."""
        state, reason = self._capture.assessment()
        if state != self._state:
            if state == "live":
                _log.info("caught up: trades are live")
            else:
                _log.warning("trades are not live", state=state, reason=reason)
        self._state = state
        return state

    async def _take_snapshot(self, boundary_ns: int) -> None:
        """Record the book of a boundary; a failure is logged as a gap that cannot be filled."""
        try:
            async with asyncio.timeout(SNAPSHOT_TIMEOUT_NS / 1e9):
                fact = await self._exchange.snapshot(self._limit)
        except (TimeoutError, ExchangeError) as error:
            cause = type(error).__name__.lower().removesuffix("error")
            _log.warning("no snapshot", boundary=iso(boundary_ns), reason=str(error) or "no answer in time")
            gap = Gap("snapshot", boundary_ns, boundary_ns, cause, "given_up")
            await self._queue.put([gap.fact(GAP, self._clock.now_ns())])
        else:
            await self._record_snapshot(fact)
        self._maker.note_snapshot(boundary_ns)

    async def take_needed_snapshots(self, auditor: BookAuditor) -> None:
        """Until cancelled: record a snapshot whenever the auditor needs one before the next boundary."""
        while True:
            await auditor.snapshot_needed.wait()
            if pause_ns := auditor.pause_ns(self._clock.now_ns()):
                await asyncio.sleep(min(pause_ns / 1e9, 1.0))
                continue
            auditor.note_request(self._clock.now_ns())
            try:
                async with asyncio.timeout(SNAPSHOT_TIMEOUT_NS / 1e9):
                    fact = await self._exchange.snapshot(self._limit)
            except (TimeoutError, ExchangeError) as error:
                _log.warning("no snapshot for the book", reason=str(error) or "no answer in time")
            else:
                await self._record_snapshot(fact)

    async def _record_snapshot(self, fact: Fact) -> None:
        ticket = await self._queue.put(self._capture.add_audits([Ready(fact)]))
        await self._queue.wait_stored(ticket)  # the tick names its seq
        if fact.kind == SNAPSHOT:
            self._capture.progress.last_snapshot_recv_ns = fact.recv_ns
            self._capture.progress.last_depth_recv_ns = fact.recv_ns

    async def _sleep_until(self, time_ns: int) -> None:
        while (remaining_ns := time_ns - self._clock.now_ns()) > 0:
            await asyncio.sleep(min(remaining_ns / 1e9, 1.0))
