"""
All markets that settings record, from the server of their logs to the last one closed.
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
from market.printable import one_line, reasons
from market.timestamps import SECOND_NS
from runtime.analysis_config import analysis_config
from runtime.daemon import status
from runtime.daemon.log_server import LogServer
from runtime.daemon.server_watch import ServerWatch
from runtime.loop import drive
from runtime.open_log import mapper_for, quantity_decimals
from runtime.settings.settings import Settings

_FEWEST_FACTS = 100  # a queue of less is none

_log = structlog.get_logger()


class Venue(Protocol):
    """Where markets are recorded from."""

    def exchange_of(self, market: Market, cold: ColdLog, hot: HotLog) -> Exchange:
        """What records a market into its log."""

    def event_time_ns(self, data: bytes) -> int | None:
        """When it sent a message, None where it does not say."""

    async def expect_symbol(self, market: Market, storage: Path, connect: Callable[[], Any]) -> None:
        """Ask whether it knows a market that has no log yet; raises UnknownSymbol where it does not."""


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
        venue: knows all of them.

    Raises:
        UnknownSymbol: the venue does not know a market that has no log yet. EventLogError, ExchangeError: a market
            could not be recorded to the end; several are raised as a group, after all have ended.
    """
    storage, connect = settings.redis.storage_dir, server.connect
    await unless(stop, (venue.expect_symbol(market, storage, connect) for market in markets))
    if stop.is_set():
        return
    watch = ServerWatch(connect)
    store = Store(storage, connect, server.revive)
    recordings: list[MarketRecording] = []
    views = {market: _views(settings, market, connect) for market in markets if settings.data_collector.views}
    try:
        for place, market in enumerate(markets):
            about = partial(_about, storage, market, views.get(market), watch)
            plan, meet = plan_of(settings, place / len(markets)), partial(venue.exchange_of, market)
            limits, sent_ns = limits_of(settings), venue.event_time_ns
            recordings.append(MarketRecording(market, store, meet, plan, limits, WallClock(), sent_ns, about))
        await run_all(settings, recordings, tuple(views.values()), watch, stop)
    finally:
        for each in recordings:
            await close(each)


def _about(storage: Path, market: Market, views: ViewPublisher | None, watch: ServerWatch) -> dict[str, Any]:
    """What the status of a market says beside what its recorder knows."""
    return {
        **(views.status() if views is not None else {}),
        "last_analysis": status.last_analysis(storage, market),
        "server": watch.status(),
    }


async def close(recording: MarketRecording) -> None:
    """Close a recording; where that fails it is logged."""
    try:
        await recording.close()
    except Exception:  # the others are to be closed, too
        _log.exception("closing failed", market=str(recording.market))


async def run_all(
    settings: Settings,
    recordings: Sequence[MarketRecording],
    views: Sequence[ViewPublisher],
    watch: ServerWatch,
    stop: asyncio.Event,
) -> None:
    """All markets until told to stop; one that cannot go on ends alone, and its error is raised at the end."""
    _log.info("collector starts", name=settings.app.name, environment=settings.app.environment)
    for each in views:
        each.start()
    sources = {each.folder: each.measured for each in recordings}
    metrics = settings.metrics
    beside = [
        asyncio.create_task(publish(sources, metrics.host, metrics.port, allowed_hosts=metrics.allowed_hosts)),
        asyncio.create_task(summarise([each.measured for each in recordings])),
        asyncio.create_task(watch.run()),
    ]
    try:
        results = await asyncio.gather(*(until_stopped(each, stop) for each in recordings), return_exceptions=True)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        for each in views:
            each.end(0.5)
    errors = [result for result in results if result is not None]
    if errors:
        raise errors[0] if len(errors) == 1 else BaseExceptionGroup("markets not recorded to the end", errors)


async def until_stopped(recording: MarketRecording, stop: asyncio.Event) -> None:
    """Record a market; why it ended too early is logged before it is raised."""
    try:
        await recording.run(stop)
    except Exception as error:
        for reason in reasons(error):
            bug = None if isinstance(reason, KnownError) else reason
            _log.error("this market is not recorded any more", reason=one_line(reason), exc_info=bug)
        raise


async def unless(stop: asyncio.Event, work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All of it at once; left undone when one fails, which is raised, or when told to stop."""

    async def do() -> None:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)

    doing, stopping = asyncio.create_task(do()), asyncio.create_task(stop.wait())
    await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
    doing.cancel()
    stopping.cancel()
    failed, _ = await asyncio.gather(doing, stopping, return_exceptions=True)
    if isinstance(failed, Exception):
        raise failed


def limits_of(settings: Settings) -> Limits:
    """What each market may keep waiting: its part of what all of them may."""
    limit, markets = settings.data_collector.backpressure, len(settings.binance.recorded_symbols)
    room = QueueLimits(max(_FEWEST_FACTS, limit.queue_facts // markets), limit.queue_megabytes * 1_000_000 // markets)
    return Limits(room, limit.spill_megabytes * 1_000_000 // markets)


def plan_of(settings: Settings, turn: float) -> Plan:
    """What to record of a market, whose turn to be archived comes so much of the pause earlier than the last one's."""
    recorded, snapshot = settings.data_collector, settings.data_collector.depth_snapshot
    return Plan(
        interval_ns=settings.analyzer.analysis.interval_seconds * SECOND_NS,
        snapshot_interval_ns=snapshot.update_interval_seconds * SECOND_NS,
        snapshot_limit=snapshot.limit,
        history_hours=recorded.order_flow.history_hours,
        archive_every_s=recorded.archive.every_seconds,
        archive_after_s=recorded.archive.every_seconds * (1 - turn),
        archive_keep=recorded.archive.keep_entries,
        settings=settings.without_secrets(),
    )


def _views(settings: Settings, market: Market, connect: Callable[[], Any]) -> ViewPublisher:
    """Who folds a market's log as the analyzer does and publishes what the folds hold."""

    def log_of(cold: ColdLog, hot: HotLog) -> Log:
        return Log(cold, hot, mapper_for(market, quantity_decimals(cold, hot)).decoders)

    minutes = settings.data_collector.order_flow.window_size_minutes
    plan = ViewPlan(analysis_config(settings, market.symbol).windows, minutes, settings.redis.trade_files)
    return ViewPublisher(market, settings.redis.storage_dir, plan, log_of, connect, drive, WallClock())
