"""
The collector: records one market into its log until it is told to stop.

`python agent_data_collector.py --config config/development.yaml`
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

import console
import logging_setup
from collector import status
from collector.archiver import Archiver
from collector.catch_up import catch_up
from collector.collector import Collector, Plan
from collector.metrics import Meter, measured, publish
from collector.recorder import Recorder
from collector.room import Room
from collector.spill import Spill, named_seq
from collector.views import Views
from console import JsonOption
from eventlog import hot as hots
from eventlog.clock import WallClock
from eventlog.cold import ColdLog
from eventlog.decision_log import last_named_seq
from eventlog.embedded_server import EmbeddedServer
from eventlog.errors import EventLogError
from eventlog.facts import AGG_TRADE
from eventlog.hot import HotLog
from eventlog.log import Log
from eventlog.names import LogName
from eventlog.writer import LogWriter, Lost
from exchanges.binance.exchange import BinanceExchange
from exchanges.binance.limits import AddressLimits
from exchanges.binance.raw_messages import event_time_ns
from exchanges.binance.rest import BinanceRest
from exchanges.binance.stream import BinanceStream
from exchanges.errors import ExchangeError, UnknownSymbol
from exchanges.logs import mapper_for, quantity_decimals
from market.instrument import Market
from market.timestamps import SECOND_NS
from projections.state import KINDS, READS, MarketState, TickEntry
from replay.drive import drive
from replay.sight import sight_of
from settings import Settings, SettingsError, load

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_log = structlog.get_logger()


@app.command()
def main(
    config: Annotated[Path, typer.Option("--config", help="settings file")] = Path("config/development.yaml"),
    show_status: Annotated[bool, typer.Option("--status", help="say what the running collector does, and end")] = False,
    as_json: JsonOption = False,
) -> None:
    """Record a market: every trade, the book every minute, every book update. Ctrl+C ends it, nothing lost."""
    settings = load(config)
    market = Market.parse(settings.market)
    if show_status:
        console.print_status(status.read(LogName("events", market).folder(settings.redis.storage_dir)), as_json)
        return
    sight_of(settings, market.symbol)  # what the views cannot use is said before anything is recorded
    logging_setup.set_up(settings.app.logs_dir, settings.app.log_level)
    asyncio.run(_record(settings, market))


async def _record(settings: Settings, market: Market) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    server = EmbeddedServer(settings.redis.storage_dir) if settings.redis.server_url is None else None
    keeper = server.ensure() if server is not None else None
    try:
        await _with_server(settings, market, server, stop)
    finally:
        if server is not None and keeper is not None:
            server.release(keeper)


async def _with_server(settings: Settings, market: Market, server: EmbeddedServer | None, stop: asyncio.Event) -> None:
    storage, clock, name = settings.redis.storage_dir, WallClock(), LogName("events", market)

    def connect() -> Any:
        url = settings.redis.server_url
        return hots.connect(url=url) if url else hots.connect(unix_socket=str(server.socket) if server else None)

    venue = settings.binance
    limits = AddressLimits(venue.weight_per_minute)
    rest = BinanceRest(venue.rest_url, market.symbol, venue.timeout, venue.weight_per_minute, clock, limits)
    cold = ColdLog(storage, name)
    if not cold.exists():
        HotLog(connect(), name).log_id()  # a server that is not there is told first
        await _expect_symbol(rest)
    said = status.read(cold.folder).get("last_seq", 0)
    used = [_named_by_decisions(storage, market, connect), said, named_seq(cold.folder)]
    writer = LogWriter(cold, HotLog(connect(), name), clock, used)
    if writer.lost is not None:
        _log.error("the server had lost entries", first_seq=writer.lost.first, last_seq=writer.lost.last)
    mapper = mapper_for(market, quantity_decimals(cold, writer.hot))
    log = Log(ColdLog(storage, name), HotLog(connect(), name), mapper.decoders)
    limit = settings.data_collector.backpressure
    spill = Spill(cold.folder, limit.spill_megabytes * 1_000_000)
    await asyncio.get_running_loop().run_in_executor(None, catch_up, spill, writer, log, clock, stop.is_set)
    if spill.is_open:  # told to stop before everything was stored
        writer.close()
        return
    streams = [f"{market.symbol.lower()}@aggTrade"]
    streams += [f"{market.symbol.lower()}@depth@100ms"] if settings.data_collector.depth_diff else []
    stream = BinanceStream(venue.websocket_url, streams, clock, limits=limits)
    exchange = BinanceExchange(rest, stream, mapper)
    told: list[Collector] = []

    async def on_lost(lost: Lost) -> None:
        await told[0].lost(lost)

    revive = (lambda: None) if server is None else (lambda: server.ensure().close())
    meter = Meter(clock, event_time_ns)
    recorder = Recorder(writer, revive, on_lost, spill, Room(limit.queue_facts, limit.queue_megabytes), meter)
    archive_log = Log(ColdLog(storage, name), HotLog(connect(), name), mapper.decoders)
    archiver = Archiver(archive_log, writer, settings.data_collector.archive.keep_entries)
    collector = Collector(_plan(settings), exchange, log, recorder, archiver, clock)
    told.append(collector)
    ended = threading.Event()
    views = threading.Thread(target=_publish_views, args=(settings, market, connect, ended), name="views", daemon=True)
    views.start()
    _log.info("recording", market=str(market), next_seq=writer.last_seq + 1, storage=str(storage))
    sources = {cold.folder: lambda: measured(str(market), meter, recorder, clock)}
    measuring = asyncio.create_task(publish(sources, settings.metrics.host, settings.metrics.port))
    try:
        await collector.run(stop)
    finally:
        measuring.cancel()
        ended.set()
        views.join(0.5)
        writer.close()
        _log.info("stopped", last_seq=writer.last_seq)


async def _expect_symbol(rest: BinanceRest) -> None:
    """Before a log is created for it, ask whether the venue knows the symbol; no answer is no objection."""
    try:
        await rest.instrument()
    except UnknownSymbol:
        await rest.close()
        raise
    except ExchangeError as error:
        _log.warning("exchangeInfo not available yet", reason=str(error))


def _plan(settings: Settings) -> Plan:
    recorded, snapshot = settings.data_collector, settings.data_collector.depth_snapshot
    return Plan(
        interval_ns=settings.analyzer.analysis.interval_seconds * SECOND_NS,
        snapshot_interval_ns=snapshot.update_interval_seconds * SECOND_NS,
        snapshot_limit=snapshot.limit,
        history_hours=recorded.order_flow.history_hours,
        archive_every_s=recorded.archive.every_seconds,
        settings=settings.without_secrets(),
    )


def _named_by_decisions(storage: Path, market: Market, connect: Callable[[], Any]) -> int:
    name = LogName("decisions", market)
    return last_named_seq(Log(ColdLog(storage, name), HotLog(connect(), name), {}))


def _publish_views(settings: Settings, market: Market, connect: Callable[[], Any], ended: threading.Event) -> None:
    """Fold the log as the analyzer does and publish what the folds hold."""
    clock, name = WallClock(), LogName("events", market)
    try:
        mapper = mapper_for(market)
        log = Log(ColdLog(settings.redis.storage_dir, name), HotLog(connect(), name), mapper.decoders)
        mapper.quantity_decimals = quantity_decimals(log.cold, log.hot)
        windows = sight_of(settings, market.symbol).windows
        after = log.seq_before(clock.now_ns() - windows.warmup_ns)
        views = Views(connect, market, settings.data_collector.order_flow.window_size_minutes, clock)
        known = log.last_seq()

        def on_tick(tick: TickEntry, state: MarketState) -> None:
            if tick.seq > known:
                views.publish(tick, state)

        batches = log.follow(after, ended.is_set, KINDS, READS)
        drive(batches, MarketState(windows), on_tick)
    except Exception:
        _log.exception("views ended; recording goes on without them", kind=AGG_TRADE)


if __name__ == "__main__":
    console.run(app, (EventLogError, ExchangeError, SettingsError))
