"""
`python -m exchanges.simulated`: the local exchange as a process, or days of it straight into a log.
"""

import asyncio
import signal
from typing import Annotated

import typer

import console
from eventlog.clock import WallClock
from eventlog.cold import ColdLog
from eventlog.errors import EventLogError
from eventlog.importing import Importer
from eventlog.names import LogName
from exchanges.simulated.errors import SimulationError
from exchanges.simulated.parameters import MarketParameters
from exchanges.simulated.record import record
from exchanges.simulated.server import SimulatedExchange
from market.fixed_point import parse_e8
from market.timestamps import MINUTE_NS, floor_to

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def simulated() -> None:
    """A local exchange that speaks Binance spot's own REST and WebSocket."""


@app.command()
def serve(
    symbol: Annotated[str, typer.Option(help="The one symbol that is traded.")] = "BTCFDUSD",
    host: Annotated[str, typer.Option(help="The address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 takes any free one.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Decides everything that is traded.")] = 7,
    history_hours: Annotated[float, typer.Option(min=0, max=1_000, help="Hours of trades before the start.")] = 72.0,
    speed: Annotated[float, typer.Option(min=0.01, max=100, help="Market seconds in a second.")] = 1.0,
    price: Annotated[str, typer.Option(help="The price at the start.")] = "100000",
    trades_per_second: Annotated[float, typer.Option(help="AggTrades a second, on average.")] = 3.0,
) -> None:
    """Trade until interrupted."""
    parameters = MarketParameters(symbol=symbol, start_price_e8=parse_e8(price), trades_per_second=trades_per_second)
    exchange = SimulatedExchange(parameters, seed, history_hours=history_hours, speed=speed)
    asyncio.run(_serve(exchange, host, port))


@app.command("record")
def record_days(
    market: console.MarketOption,
    storage: console.StorageOption,
    start: Annotated[str, typer.Option("--from", help="The first day (UTC).")] = "2026-01-05",
    days: Annotated[float, typer.Option(min=1 / 24, max=366, help="How many days; parts are whole hours.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides everything that is traded.")] = 7,
    price: Annotated[str, typer.Option(help="The price at the start.")] = "100000",
    trades_per_second: Annotated[float, typer.Option(help="AggTrades a second, on average.")] = 3.0,
    diffs: Annotated[bool, typer.Option("--diffs", help="Write the 100 ms book updates too.")] = False,
) -> None:
    """Write days of market straight into a new log, on virtual time."""
    named = console.market_of(market)
    parameters = MarketParameters(
        symbol=named.symbol, start_price_e8=parse_e8(price), trades_per_second=trades_per_second
    )
    hours = max(1, round(days * 24))
    first_ns = floor_to(console.time_of(start, 0), MINUTE_NS)
    importer = Importer(ColdLog(storage, LogName("events", named)), WallClock())
    try:
        with console.progress("recording", None) as advance:
            trades, ticks = record(importer, parameters, seed, first_ns, hours, lambda n: advance(n, hours * 60), diffs)
    finally:
        importer.close()
    print(f"{trades:,} trades, {ticks:,} books and ticks of {named} in {storage}")


async def _serve(exchange: SimulatedExchange, host: str, port: int) -> None:
    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(interrupted.set))
    await exchange.start(host, port)
    print(f"simulated {exchange.parameters.symbol} at {exchange.url} and {exchange.websocket_url}", flush=True)
    waits = [asyncio.create_task(interrupted.wait()), asyncio.create_task(exchange.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await exchange.stop()


if __name__ == "__main__":
    console.run(app, (SimulationError, EventLogError))
