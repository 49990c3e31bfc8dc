"""
The collector: records markets into their logs until it is told to stop.

`python agent_data_collector.py --config config/development.yaml`
"""

from cli import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from cli import console
from cli.console import JsonOption
from collector.collector import Plan
from collector.market_recording import Limits, MarketRecording, Store
from collector.metrics import publish
from collector.room import Room
from collector.summaries import summarise
from collector.view_publisher import ViewPlan, ViewPublisher
from eventlog.clock import WallClock
from eventlog.cold import ColdLog
from eventlog.connections import Connections
from eventlog.embedded_server import EmbeddedServer
from eventlog.errors import EventLogError
from eventlog.hot import HotLog
from eventlog.log import Log
from eventlog.names import LogName
from exchanges.binance.exchange import BinanceExchange
from exchanges.binance.limits import AddressLimits
from exchanges.binance.raw_messages import event_time_ns
from exchanges.binance.rest import BinanceRest, depth_weight
from exchanges.binance.stream import BinanceStream
from exchanges.errors import ExchangeError, UnknownSymbol
from market.instrument import Market
from market.timestamps import SECOND_NS
from runtime.analysis_config import sight_of
from runtime.daemon import logging_setup, status
from runtime.daemon.file_limit import raise_limit
from runtime.daemon.memory import use_one_allocator
from runtime.daemon.server_watch import ServerWatch
from runtime.daemon.stopping import StopSignal
from runtime.loop import drive
from runtime.open_log import mapper_for, quantity_decimals
from runtime.settings.settings import Settings, SettingsError, load

_KNOWN = (EventLogError, ExchangeError, SettingsError)
_RESERVED = 0.8  # of the weight a minute, at most, for books; the rest is for everything else
_LONGEST_QUERY = 8_000  # what Binance reads of an address that names all streams
_FEWEST_FACTS = 100  # a queue of less is none
_RELEASE_S = 1.5  # for the log's server to end, where this was the last process
_CUT_AFTER_S = 2.0  # of the time to end in: by then the log's server has answered, or does not

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_log = structlog.get_logger()


@app.command()
def main(
    config: Annotated[Path, typer.Option("--config", help="settings file")] = Path("config/development.yaml"),
    show_status: Annotated[
        bool, typer.Option("--status", help="say what the running collector does, and end; exit code 1 where none runs")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Record markets: every trade, the book every minute, every book update. Ctrl+C ends it, nothing lost."""
    settings = load(config)
    markets = [Market("binance", symbol) for symbol in settings.binance.recorded]
    if show_status:
        storage = settings.redis.storage_dir
        said = {str(market): status.of_collector(storage, market) for market in markets}
        console.print_statuses(said, as_json)
        for note in filter(None, (status.note_on_age(each, WallClock().now_ns()) for each in said.values())):
            typer.echo(note, err=True)
        raise typer.Exit(0 if all(each["running"] for each in said.values()) else 1)
    weight = _weight_of_books(settings)
    _expect_short_query(settings)
    for market in markets:
        sight_of(settings, market.symbol)  # what the views cannot use is said before anything is recorded
    logging_setup.set_up(settings.app.logs_dir, settings.app.log_level, settings.app.logs_keep_days)
    raise_limit()
    use_one_allocator()
    stop = StopSignal()
    try:
        asyncio.run(_record(settings, markets, weight, stop))
    except (EventLogError, ExchangeError) as error:
        if not stop.requested.is_set():
            raise
        _log.warning("ended before it had begun", reason=console.one_line(error))


def _weight_of_books(settings: Settings) -> int:
    """What the books of all markets cost at most in one minute: all ask at once, and one that comes late is a gap."""
    book, venue = settings.data_collector.depth_snapshot, settings.binance
    most = int(_RESERVED * venue.weight_per_minute)
    weight = len(venue.recorded) * depth_weight(book.limit) * math.ceil(60 / book.update_interval_seconds)
    if weight > most:
        raise SettingsError(
            f"data_collector.depth_snapshot: {len(venue.recorded)} books of {book.limit} levels every "
            f"{book.update_interval_seconds} s cost a weight of {weight:,} in one minute, of {most:,} there are (80 % "
            "of binance.weight_per_minute); record fewer markets, fewer levels or, down to once a minute, less often"
        )
    return weight


def _expect_short_query(settings: Settings) -> None:
    symbols = settings.binance.recorded
    lengths = [len(f"streams={'/'.join(_streams(settings, symbols[: n + 1]))}") for n in range(len(symbols))]
    too_many = sum(length > _LONGEST_QUERY for length in lengths)
    if too_many:
        raise SettingsError(
            f"binance.symbols: {len(symbols)} markets are {too_many} too many for one connection: their "
            f"streams make an address of {lengths[-1]:,} characters, of {_LONGEST_QUERY:,} Binance reads; name fewer, "
            "and the others in the settings of a second collector with another redis.storage_dir"
        )


async def _record(settings: Settings, markets: Sequence[Market], weight: int, signal: StopSignal) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signal.call(lambda: loop.call_soon_threadsafe(stop.set))
    server = EmbeddedServer(settings.redis.storage_dir) if settings.redis.server_url is None else None
    keeper = server.ensure(signal.requested.is_set) if server is not None else None
    try:
        connections = server.connections if server is not None else Connections(url=settings.redis.server_url)
        signal.call_after(_CUT_AFTER_S, connections.cut)
        await _with_server(settings, markets, weight, connections, _reviver(server, signal), stop)
    finally:
        if server is not None and keeper is not None:
            server.release(keeper, min(signal.left_s(), _RELEASE_S))


def _reviver(server: EmbeddedServer | None, signal: StopSignal) -> Callable[[], None]:
    """What brings a server of our own back; nobody waits for it once the process is told to end."""
    return (lambda: None) if server is None else (lambda: server.ensure(signal.requested.is_set).close())


async def _with_server(
    settings: Settings,
    markets: Sequence[Market],
    weight: int,
    connections: Connections,
    revive: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    clock, venue, connect = WallClock(), settings.binance, connections.connect
    limits = AddressLimits(venue.weight_per_minute, weight)
    streams, proxy = _streams(settings, venue.recorded), settings.proxy_for(venue.websocket_url)
    stream = BinanceStream(venue.websocket_url, streams, clock, limits=limits, proxy=proxy)

    def rest_of(market: Market) -> BinanceRest:
        proxy = settings.proxy_for(venue.rest_url)
        return BinanceRest(
            venue.rest_url, market.symbol, venue.timeout, venue.weight_per_minute, clock, limits, proxy=proxy
        )

    def exchange_of(market: Market, cold: ColdLog, hot: HotLog) -> BinanceExchange:
        return BinanceExchange(rest_of(market), stream, mapper_for(market, quantity_decimals(cold, hot)))

    storage = settings.redis.storage_dir
    await _unless(stop, (_expect_symbol(storage, market, connect, rest_of(market)) for market in markets))
    if stop.is_set():
        return
    watch = ServerWatch(connect)
    store = Store(storage, connect, revive)
    recordings: list[MarketRecording] = []
    views = {market: _views(settings, market, connect) for market in markets if settings.data_collector.views}
    try:
        for place, market in enumerate(markets):
            about = partial(_about, storage, market, views.get(market), watch)
            plan, meet = _plan(settings, place / len(markets)), partial(exchange_of, market)
            recordings.append(
                MarketRecording(market, store, meet, plan, _limits(settings), clock, event_time_ns, about)
            )
        await _run(settings, recordings, tuple(views.values()), watch, stop)
    finally:
        for each in recordings:
            await _close(each)


def _about(storage: Path, market: Market, views: ViewPublisher | None, watch: ServerWatch) -> dict[str, Any]:
    """What the status of a market says beside what its recorder knows."""
    return {
        **(views.status() if views is not None else {}),
        "last_analysis": status.last_analysis(storage, market),
        "server": watch.status(),
    }


async def _close(recording: MarketRecording) -> None:
    try:
        await recording.close()
    except Exception:  # the others are to be closed, too
        _log.exception("closing failed", market=str(recording.market))


async def _run(
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
        results = await asyncio.gather(*(_until_stopped(each, stop) for each in recordings), return_exceptions=True)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        for each in views:
            each.end(0.5)
    errors = [result for result in results if result is not None]
    if errors:
        raise errors[0] if len(errors) == 1 else BaseExceptionGroup("markets not recorded to the end", errors)


async def _until_stopped(recording: MarketRecording, stop: asyncio.Event) -> None:
    try:
        await recording.run(stop)
    except Exception as error:
        for reason in console.reasons(error):
            bug = None if isinstance(reason, _KNOWN) else reason
            _log.error("this market is not recorded any more", reason=console.one_line(reason), exc_info=bug)
        raise


def _streams(settings: Settings, symbols: Sequence[str]) -> list[str]:
    kinds = ("aggTrade", "depth@100ms") if settings.data_collector.depth_diff else ("aggTrade",)
    return [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in kinds]


async def _unless(stop: asyncio.Event, work: Iterable[Coroutine[Any, Any, None]]) -> None:
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


async def _expect_symbol(storage: Path, market: Market, connect: Callable[[], Any], rest: BinanceRest) -> None:
    """Before a log is created for it, ask whether the venue knows the symbol; no answer is no objection."""
    try:
        name = LogName("events", market)
        if not ColdLog(storage, name).exists():
            await asyncio.to_thread(lambda: HotLog(connect(), name).log_id())  # no server: told first
            await rest.instrument()
    except UnknownSymbol:
        raise
    except ExchangeError as error:
        _log.warning("exchangeInfo not available yet", market=str(market), reason=str(error))
    finally:
        await rest.close()


def _limits(settings: Settings) -> Limits:
    """What each market may keep waiting: its part of what all of them may."""
    limit, markets = settings.data_collector.backpressure, len(settings.binance.recorded)
    room = Room(max(_FEWEST_FACTS, limit.queue_facts // markets), limit.queue_megabytes * 1_000_000 // markets)
    return Limits(room, limit.spill_megabytes * 1_000_000 // markets)


def _plan(settings: Settings, turn: float) -> Plan:
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
    plan = ViewPlan(sight_of(settings, market.symbol).windows, minutes, settings.redis.trade_files)
    return ViewPublisher(market, settings.redis.storage_dir, plan, log_of, connect, drive, WallClock())


if __name__ == "__main__":
    console.run(app, _KNOWN)
