"""
One scenario played: the whole collector of a market against the simulated exchange, from its start to its last word.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.market_recorder import Plan
from collector.market_recording import Limits, MarketRecording, Store
from collector.queue_limits import QueueLimits
from eventlog.clock import Clock
from eventlog.errors import StoreFull, StoreUnavailable
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from exchanges.binance.exchange import BinanceExchange
from exchanges.binance.feed.stream import BinanceStream
from exchanges.binance.limits import AddressLimits
from exchanges.binance.raw_messages import event_time_ns
from exchanges.binance.rest import BinanceRest
from market.instrument import Market
from market.timestamps import SECOND_NS
from runtime.open_log import mapper_for, quantity_decimals
from simulators.exchange.faults.script import Script, parse
from simulators.exchange.server import SimulatedExchange
from tests.soak.drawn import Scenario
from tests.soak.log_server import Line

HISTORY_HOURS = 0.1
IN_FLIGHT_S = 2

_CALM_S = 3


@dataclass
class Play:
    """
    A scenario and where it is played.

    Attributes:
        folder: where the log lies. line: the way to the log's server.
        on_the_way: how many diffs may be between exchange and collector. longest_end_s, longest_recovery_s: how
            long it may take to end, and after the last fault until all is well.
        wrong: what was seen to be wrong while it ran. struck: which faults struck, as often as they did.
        recovered_s: how long it took after the last fault.
        stopped_at: the newest update id it could know whenever the collector was told to stop.
        marks: at every second after the last fault, the newest agg id and update id there were.
    """

    scenario: Scenario
    folder: Path
    line: Line
    clock: Clock
    exchange: SimulatedExchange
    on_the_way: int = 0
    longest_end_s: float = 5.0
    longest_recovery_s: float = 900.0
    wrong: list[str] = field(default_factory=list)
    recording: MarketRecording | None = None
    recovered_s: float = 0.0
    marks: list[tuple[int, int]] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    stopped_at: list[int] = field(default_factory=list)

    @property
    def market(self) -> Market:
        """What is recorded."""
        return Market("binance", self.scenario.parameters.symbol)

    @classmethod
    def of(cls, scenario: Scenario, folder: Path, line: Line, clock: Clock, **more: float) -> "Play":
        """A stage with a new exchange."""
        exchange = SimulatedExchange(
            scenario.parameters, scenario.seed, clock, HISTORY_HOURS, scenario.speed,
            script=parse(json.dumps(scenario.rules), scenario.seed),
        )  # fmt: skip
        return cls(scenario, folder, line, clock, exchange, **more)  # type: ignore[arg-type]

    async def run(self) -> None:
        """Record while there are faults, then until the collector says that all is well, then end it in order."""
        await self.exchange.start()
        try:
            troubling = asyncio.create_task(self._make_trouble())
            if self.scenario.restart_s is not None:
                await self._record(self.scenario.restart_s)
                await asyncio.sleep(self.scenario.away_s)
                await self._record(self.scenario.lasts_s - self.scenario.restart_s, troubling)
            else:
                await self._record(self.scenario.lasts_s, troubling)
        finally:
            await self.exchange.stop()

    async def _record(self, seconds: float, last: "asyncio.Task[None] | None" = None) -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        recording = asyncio.create_task(self._keep_recording(stop))
        await asyncio.wait([recording], timeout=seconds)
        if last is not None:
            await self._heal(last)
            await self._recover(recording)
        since = loop.time()
        self.stopped_at.append(self._taken())
        stop.set()
        await recording
        took = loop.time() - since
        if took > self.longest_end_s:
            self.wrong.append(f"took {took:.1f} s to end")

    async def _keep_recording(self, stop: asyncio.Event) -> None:
        """As whoever keeps a daemon running does: when the log's server was away at its start, start again."""
        while not stop.is_set():
            try:
                self.recording = self._recording()
                await self.recording.run(stop)
                return
            except (StoreUnavailable, StoreFull):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 2.0)
            except Exception as error:
                self.wrong.append(f"ended with {type(error).__name__}: {error}")
                return

    def _recording(self) -> MarketRecording:
        drawn = self.scenario

        def exchange_of(cold: ColdLog, hot: HotLog) -> BinanceExchange:
            limits, name = AddressLimits(3000), drawn.parameters.symbol
            mapper = mapper_for(self.market, quantity_decimals(cold, hot))
            rest = BinanceRest(self.exchange.url, name, 10.0, 3000, self.clock, limits)
            streams = [f"{name.lower()}@aggTrade", f"{name.lower()}@depth@100ms"]
            stream = BinanceStream(self.exchange.websocket_url, streams, self.clock, limits=limits)
            return BinanceExchange(rest, stream, mapper)

        plan = Plan(
            interval_ns=drawn.interval_s * SECOND_NS,
            snapshot_interval_ns=drawn.interval_s * SECOND_NS,
            snapshot_limit=drawn.snapshot_limit,
            history_hours=1,
            archive_every_s=drawn.archive_every_s,
            archive_after_s=drawn.archive_every_s,
            archive_keep=drawn.archive_keep,
            settings="{}",
        )
        store = Store(self.folder, self.line.connect, lambda: None)
        limits = Limits(QueueLimits(drawn.queue_facts), drawn.spill_bytes)
        return MarketRecording(self.market, store, exchange_of, plan, limits, self.clock, event_time_ns)

    async def _make_trouble(self) -> None:
        since = asyncio.get_running_loop().time()
        for trouble in sorted(self.scenario.troubles, key=lambda t: t.at_s):
            await asyncio.sleep(max(0.0, since + trouble.at_s - asyncio.get_running_loop().time()))
            self.line.trouble = trouble.kind
            await asyncio.sleep(trouble.seconds)
            self.line.trouble = None

    async def _heal(self, troubling: "asyncio.Task[None]") -> None:
        """From here on nothing new goes wrong; what is broken stays so until somebody notices."""
        troubling.cancel()
        await asyncio.gather(troubling, return_exceptions=True)
        self.line.trouble = None
        self.struck = [trigger.fault for trigger in self.exchange.conditions.script.triggers]
        self.exchange.conditions.script = Script()

    async def _recover(self, recording: "asyncio.Task[None]") -> None:
        loop = asyncio.get_running_loop()
        since, calm = loop.time(), 0
        while calm < _CALM_S and not recording.done():
            self.marks.append(self._mark())
            lacking = self._lacking()
            calm = 0 if lacking else calm + 1
            if loop.time() - since > self.longest_recovery_s:
                self.wrong.append(f"not recovered in {self.longest_recovery_s:.0f} s: {', '.join(lacking)}")
                return
            await asyncio.sleep(1.0)
        self.recovered_s = loop.time() - since

    def _lacking(self) -> list[str]:
        """What keeps the collector from being up to date."""
        collector: Any = self.recording._recorder if self.recording is not None else None
        if collector is None or len(self.marks) <= IN_FLIGHT_S:
            return ["not recording"]
        agg_id, update_id = self.must_know
        said, trades, diffs = (
            collector.status(),
            collector.capture.trades,
            collector.capture.diffs,
        )
        behind = {
            "not connected": not said["connected"],
            f"trades are {said['trades']}": said["trades"] != "live",
            f"{said['waiting_trades']} trades wait": said["waiting_trades"] > 0,
            f"{said['waiting_on_disk']} facts wait on disk": said["waiting_on_disk"] > 0,
            "spill still there": collector.queue.spill.is_open,
            "the server is away": said["server_away"],
            f"trades end before {trades.next_id}, not behind {agg_id}": (trades.next_id or 0) <= agg_id,
            f"diffs end at {diffs.last_update_id}, not {update_id}": (diffs.last_update_id or 0) < update_id,
        }
        return [what for what, is_so in behind.items() if is_so]

    @property
    def must_know(self) -> tuple[int, int]:
        """Agg id and update id that the collector must have by now."""
        return self.marks[-1 - IN_FLIGHT_S] if len(self.marks) > IN_FLIGHT_S else (0, 0)

    def _taken(self) -> int:
        """The newest update id that the collector had a chance to take; none while memory and disk are both full."""
        collector: Any = self.recording._recorder if self.recording is not None else None
        if collector is not None and collector.status()["reading_stopped"]:
            return collector.capture.diffs.last_update_id or 0
        held = self.exchange.hub.diffs.records[: -self.on_the_way or None]
        return held[-1].last if held else 0

    def _mark(self) -> tuple[int, int]:
        """The newest agg id and update id that anybody could have."""
        exchange = self.exchange
        assert exchange.venue is not None
        agg_id = exchange.conditions.agg_ids.to_public(exchange.venue.ledger.next_agg_id - 1)
        while agg_id in exchange.conditions.hidden_agg_ids:
            agg_id -= 1
        held = exchange.hub.diffs.records
        return agg_id, held[-1].last if held else 0
