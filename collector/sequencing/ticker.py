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

_POLL_S = 0.02

_log = structlog.get_logger()


class Ticker:
    """Asks for the book at each boundary and appends the tick when it has come, or will not come."""

    def __init__(
        self, exchange: Exchange, recorder: FactQueue, clock: Clock, maker: TickMaker, capture: Capture, limit: int
    ) -> None:
        self.last_tick = ""
        self._trades: TradesState | None = None
        self._exchange = exchange
        self._recorder = recorder
        self._clock = clock
        self._maker = maker
        self._capture = capture
        self._limit = limit

    async def run(self) -> None:
        """Tick for ever."""
        seen = self._capture.seen
        async with asyncio.TaskGroup() as snapshots:
            while True:
                boundary = self._maker.next_boundary_ns
                await self._sleep_until(boundary)
                if boundary % self._maker.snapshot_interval_ns == 0:
                    snapshots.create_task(self._snapshot(boundary))
                while (due := self._maker.due(self._clock.now_ns())) is None:
                    await asyncio.sleep(_POLL_S)
                next_id = self._capture.trades.settled_before
                seen.snapshot_seq = self._recorder.snapshot_seq or seen.snapshot_seq
                seen.last_agg_id = next_id - 1 if next_id is not None else None
                trades = self._assess()
                tick = self._maker.make(due, self._clock.now_ns(), trades, seen)
                await self._recorder.put([tick])
                self.last_tick = iso(due)
                _log.debug("tick", boundary=self.last_tick, trades=trades, last_agg_id=seen.last_agg_id)

    def _assess(self) -> TradesState:
        """The state of the trades; a person is told when it changes."""
        state, why = self._capture.assessment()
        if state != self._trades:
            if state == "live":
                _log.info("caught up: trades are live")
            else:
                _log.warning("trades are not live", state=state, reason=why)
        self._trades = state
        return state

    async def _snapshot(self, boundary_ns: int) -> None:
        """The book of a boundary; a failure goes on record, nothing can bring it back."""
        try:
            async with asyncio.timeout(SNAPSHOT_TIMEOUT_NS / 1e9):
                fact = await self._exchange.snapshot(self._limit)
        except (TimeoutError, ExchangeError) as error:
            cause = type(error).__name__.lower().removesuffix("error")
            _log.warning("no snapshot", boundary=iso(boundary_ns), reason=str(error) or "no answer in time")
            gap = Gap("snapshot", boundary_ns, boundary_ns, cause, "given_up")
            await self._recorder.put([gap.fact(GAP, self._clock.now_ns())])
        else:
            await self._record(fact)
        self._maker.snapshot_done(boundary_ns)

    async def snapshots_at_once(self, keeper: BookAuditor) -> None:
        """For ever: a book that lost its way, or was found wrong, does not wait for the next boundary."""
        while True:
            await keeper.wanted.wait()
            if pause_ns := keeper.pause_ns(self._clock.now_ns()):
                await asyncio.sleep(min(pause_ns / 1e9, 1.0))
                continue
            keeper.asked_at(self._clock.now_ns())
            try:
                async with asyncio.timeout(SNAPSHOT_TIMEOUT_NS / 1e9):
                    fact = await self._exchange.snapshot(self._limit)
            except (TimeoutError, ExchangeError) as error:
                _log.warning("no snapshot for the book", reason=str(error) or "no answer in time")
            else:
                await self._record(fact)

    async def _record(self, fact: Fact) -> None:
        ticket = await self._recorder.put(self._capture.kept([Ready(fact)]))
        await self._recorder.stored(ticket)  # the tick names its seq
        if fact.kind == SNAPSHOT:
            self._capture.seen.last_snapshot_recv_ns = fact.recv_ns
            self._capture.seen.last_depth_recv_ns = fact.recv_ns

    async def _sleep_until(self, time_ns: int) -> None:
        while (left := time_ns - self._clock.now_ns()) > 0:
            await asyncio.sleep(min(left / 1e9, 1.0))
