"""
All markets that the settings record, from opening their logs to closing the last one.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import structlog

from collector.market_recorder import Plan
from collector.market_recording import Limits, MarketRecording, Store
from collector.metrics.metrics import publish
from collector.metrics.summaries import summarise
from collector.queue_limits import QueueLimits
from collector.views.view_publisher import ViewPlan, ViewPublisher
from eventlog.clock import WallClock
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from exchanges.port import Exchange
from market.errors import KnownError
from market.instrument import Market
from market.printable import flatten_errors, one_line
from market.timestamps import SECOND_NS
from runtime.analysis_config import analysis_config
from runtime.daemon import status
from runtime.daemon.log_server import LogServer
from runtime.daemon.server_watch import ServerWatch
from runtime.loop import drive
from runtime.open_log import mapper_for, quantity_decimals
from runtime.settings.settings import Settings

_MIN_FACTS = 100  # of a market's queue, however many markets share the limit

_log = structlog.get_logger()


class Venue(Protocol):
    """The exchange that markets are recorded from."""

    def exchange_of(self, market: Market, cold: ColdLog, hot: HotLog) -> Exchange:
        """
        Open a market of the exchange.

        Args:
            market: one of this exchange.
            cold, hot: its log, which may be empty.
        """

    def event_time_ns(self, data: bytes) -> int | None:
        """When it sent a message (ns), None where it does not say."""

    async def expect_symbol(self, market: Market, storage: Path, connect: Callable[[], Any]) -> None:
        """
        Ask the exchange whether it knows a market, unless the market has a log already.

        Args:
            market: to ask for.
            storage: folder of all logs.
            connect: opens a connection to the logs' server.

        Raises:
            UnknownSymbol: it does not.
        """


async def record(
    settings: Settings,
    markets: Sequence[Market],
    venue: Venue,
    server: LogServer,
    stop: asyncio.Event,
) -> None:
    """
    Record markets until told to stop.

    Args:
        settings: of the collector.
        markets: all of one exchange.
        venue: that exchange.
        server: of the logs.
        stop: set to end recording.

    Raises:
        UnknownSymbol: the exchange does not know a market that has no log yet. EventLogError, ExchangeError: a market
            could not be recorded to the end; several are raised as a group, after all have ended.
    """
    storage, connect = settings.redis.storage_dir, server.connect
    await run_unless_stopped(stop, (venue.expect_symbol(market, storage, connect) for market in markets))
    if stop.is_set():
        return
    watch = ServerWatch(connect)
    store = Store(storage, connect, server.revive)
    recordings: list[MarketRecording] = []
    views = {market: _build_publisher(settings, market, connect) for market in markets if settings.data_collector.views}
    try:
        for index, market in enumerate(markets):
            extra_status = partial(_status_fields, storage, market, views.get(market), watch)
            plan, exchange_of = build_plan(settings, index / len(markets)), partial(venue.exchange_of, market)
            limits, event_time_ns = build_limits(settings), venue.event_time_ns
            recordings.append(
                MarketRecording(market, store, exchange_of, plan, limits, WallClock(), event_time_ns, extra_status)
            )
        await run_all(settings, recordings, tuple(views.values()), watch, stop)
    finally:
        for recording in recordings:
            await close(recording)


def _status_fields(storage: Path, market: Market, views: ViewPublisher | None, watch: ServerWatch) -> dict[str, Any]:
    """The status fields of a market that its recorder does not know."""
    return {
        **(views.status() if views is not None else {}),
        "last_analysis": status.last_analysis(storage, market),
        "server": watch.status(),
    }


async def close(recording: MarketRecording) -> None:
    """Close a recording; an error is only logged."""
    try:
        await recording.close()
    except Exception:  # the others have to be closed too
        _log.exception("closing failed", market=str(recording.market))


async def run_all(
    settings: Settings,
    recordings: Sequence[MarketRecording],
    views: Sequence[ViewPublisher],
    watch: ServerWatch,
    stop: asyncio.Event,
) -> None:
    """
    Record all markets until told to stop; one that cannot go on ends alone.

    Args:
        settings: of the collector.
        recordings: one per market, opened.
        views: publishers of their views, none where these are off.
        watch: of the logs' server.
        stop: set to end recording.

    Raises:
        EventLogError, ExchangeError: of a market that ended early, after all have ended; several as a group.
    """
    _log.info("collector starts", name=settings.app.name, environment=settings.app.environment)
    for publisher in views:
        publisher.start()
    sources = {recording.folder: recording.measure for recording in recordings}
    metrics = settings.metrics
    background = [
        asyncio.create_task(publish(sources, metrics.host, metrics.port, allowed_hosts=metrics.allowed_hosts)),
        asyncio.create_task(summarise([recording.measure for recording in recordings])),
        asyncio.create_task(watch.run()),
    ]
    try:
        results = await asyncio.gather(
            *(record_until_stopped(recording, stop) for recording in recordings), return_exceptions=True
        )
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        for publisher in views:
            publisher.end(0.5)
    errors = [result for result in results if result is not None]
    if errors:
        raise errors[0] if len(errors) == 1 else BaseExceptionGroup("markets not recorded to the end", errors)


async def record_until_stopped(recording: MarketRecording, stop: asyncio.Event) -> None:
    """Record a market until told to stop; an error is logged before it is raised."""
    try:
        await recording.run(stop)
    except Exception as error:
        for reason in flatten_errors(error):
            bug = None if isinstance(reason, KnownError) else reason
            _log.error("this market is not recorded any more", reason=one_line(reason), exc_info=bug)
        raise


async def run_unless_stopped(stop: asyncio.Event, coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines concurrently; cancel them when told to stop, or when one fails, whose error is raised."""

    async def do() -> None:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)

    running, stopping = asyncio.create_task(do()), asyncio.create_task(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    stopping.cancel()
    failure, _ = await asyncio.gather(running, stopping, return_exceptions=True)
    if isinstance(failure, Exception):
        raise failure


def build_limits(settings: Settings) -> Limits:
    """Limits of one market's queue and spill file: its share of what the settings allow to all."""
    limit, markets = settings.data_collector.backpressure, len(settings.binance.recorded_symbols)
    queue = QueueLimits(max(_MIN_FACTS, limit.queue_facts // markets), limit.queue_megabytes * 1_000_000 // markets)
    return Limits(queue, limit.spill_megabytes * 1_000_000 // markets)


def build_plan(settings: Settings, turn: float) -> Plan:
    """What to record of a market; its first archiving comes earlier by `turn` (0 to 1) of the pause between two."""
    collector, snapshot = settings.data_collector, settings.data_collector.depth_snapshot
    return Plan(
        interval_ns=settings.analyzer.analysis.interval_seconds * SECOND_NS,
        snapshot_interval_ns=snapshot.update_interval_seconds * SECOND_NS,
        snapshot_limit=snapshot.limit,
        history_hours=collector.order_flow.history_hours,
        archive_every_s=collector.archive.every_seconds,
        archive_after_s=collector.archive.every_seconds * (1 - turn),
        archive_keep=collector.archive.keep_entries,
        settings=settings.without_secrets(),
    )


def _build_publisher(settings: Settings, market: Market, connect: Callable[[], Any]) -> ViewPublisher:
    """A publisher that folds a market's log as the analyzer does and writes its views."""

    def log_of(cold: ColdLog, hot: HotLog) -> Log:
        return Log(cold, hot, mapper_for(market, quantity_decimals(cold, hot)).decoders)

    minutes = settings.data_collector.order_flow.window_size_minutes
    plan = ViewPlan(analysis_config(settings, market.symbol).windows, minutes, settings.redis.trade_files)
    return ViewPublisher(market, settings.redis.storage_dir, plan, log_of, connect, drive, WallClock())
