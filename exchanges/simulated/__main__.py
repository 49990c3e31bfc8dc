"""
`python -m exchanges.simulated serve`: the local exchange as a process.
"""

import asyncio
import signal
from typing import Annotated

import typer

from exchanges.simulated.errors import SimulationError
from exchanges.simulated.parameters import MarketParameters
from exchanges.simulated.server import SimulatedExchange
from market.errors import BadNumber
from market.fixed_point import parse_e8

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
    try:
        parameters = MarketParameters(
            symbol=symbol, start_price_e8=parse_e8(price), trades_per_second=trades_per_second
        )
        exchange = SimulatedExchange(parameters, seed, history_hours=history_hours, speed=speed)
        asyncio.run(_serve(exchange, host, port))
    except (SimulationError, BadNumber) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


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
    app()
