"""
The collector: records markets into their logs until it is told to stop.

`python agent_data_collector.py --config config/development.yaml`
"""

from cli import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import structlog
import typer

from cli import console
from cli.options import JsonOption
from collector.service import record
from eventlog.clock import WallClock
from eventlog.errors import EventLogError
from exchanges.errors import ExchangeError
from market.compiled import load_compiler
from market.instrument import Market
from market.printable import one_line
from runtime.analysis_config import analysis_config
from runtime.binance_venue import BinanceVenue
from runtime.daemon import logging_setup, status
from runtime.daemon.file_limit import raise_limit
from runtime.daemon.log_server import log_server
from runtime.daemon.memory import use_one_allocator
from runtime.daemon.stopping import StopSignal
from runtime.settings.settings import Settings, load

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_log = structlog.get_logger()


@app.command()
def main(
    config: Annotated[Path, typer.Option("--config", help="settings file")] = Path("config/development.yaml"),
    show_status: Annotated[
        bool, typer.Option("--status", help="show the running collector's status and exit; exit code 1 if none runs")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Record markets: every trade, the book every minute, every book update. Ctrl+C stops it; nothing is lost."""
    settings = load(config)
    markets = [Market("binance", symbol) for symbol in settings.binance.recorded_symbols]
    if show_status:
        storage = settings.redis.storage_dir
        statuses = {str(market): status.collector_status(storage, market) for market in markets}
        console.print_statuses(statuses, as_json)
        for note in filter(None, (status.age_note(fields, WallClock().now_ns()) for fields in statuses.values())):
            typer.echo(note, err=True)
        raise typer.Exit(0 if all(fields["running"] for fields in statuses.values()) else 1)
    venue = BinanceVenue(settings, WallClock())
    for market in markets:
        analysis_config(settings, market.symbol)  # reports invalid settings of the views before recording begins
    logging_setup.set_up(settings.app.logs_dir, settings.app.log_level, settings.app.logs_keep_days)
    raise_limit()
    load_compiler()
    use_one_allocator()
    stop = StopSignal()
    try:
        asyncio.run(_record(settings, markets, venue, stop))
    except (EventLogError, ExchangeError) as error:
        if not stop.requested.is_set():
            raise
        _log.warning("ended before it had begun", reason=one_line(error))


async def _record(settings: Settings, markets: Sequence[Market], venue: BinanceVenue, signal: StopSignal) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signal.call(lambda: loop.call_soon_threadsafe(stop.set))
    with log_server(settings.redis.server_url, settings.redis.storage_dir, signal) as server:
        await record(settings, markets, venue, server, stop)


if __name__ == "__main__":
    console.run(app)
