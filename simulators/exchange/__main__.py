"""
`python -m simulators.exchange`: serves the local exchange, or records days of it straight into a log.
"""

from cli import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()

import asyncio
import signal
from dataclasses import fields
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from cli import console
from cli.options import time_of
from eventlog.clock import WallClock
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.transfer.importing import Importer
from market.fixed_point import parse_e8
from market.instrument import Market
from market.timestamps import MINUTE_NS, floor_to
from simulators.exchange.calibration.page import (
    build_lines,
    format_lines,
    format_markdown,
    measure_simulated,
    rows_lost,
)
from simulators.exchange.errors import ParameterError, ScriptError
from simulators.exchange.faults.faults import describe_faults
from simulators.exchange.faults.script import Script, parse
from simulators.exchange.market.flow.mechanisms import Mechanisms
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.playback.record import record
from simulators.exchange.playback.recorded import RecordedExchange
from simulators.exchange.server import SimulatedExchange

# Times real time; the market alone cannot be made faster than _FASTEST_MARKET, files can.
_SLOWEST, _FASTEST, _FASTEST_MARKET = 0.01, 10_000, 100
REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Where real data are looked for, beside the project."""
_EPILOG = "\b\nFaults for a script: name, place, effect, [parameter=default]\n" + describe_faults()

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, epilog=_EPILOG
)


def _list_faults(requested: bool) -> None:
    if requested:
        console.show(describe_faults())
        raise typer.Exit


FaultsOption = Annotated[
    bool, typer.Option("--faults", callback=_list_faults, is_eager=True, help="List the faults and exit.")
]


@app.callback()
def main(faults: FaultsOption = False) -> None:
    """A local exchange with Binance spot's REST and WebSocket API, and faults on request."""


@app.command(epilog=_EPILOG)
def serve(
    symbol: Annotated[
        str, typer.Option(help="The symbol, or several with commas between them; faults apply to the first.")
    ] = "BTCFDUSD",
    host: Annotated[str, typer.Option(help="The address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 for any free one.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all trades and books.")] = 7,
    history_hours: Annotated[float, typer.Option(min=0, max=1_000, help="Hours of trades before the start.")] = 72.0,
    speed: Annotated[str, typer.Option(help="Market seconds per second; max: as fast as clients read.")] = "1",
    price: Annotated[str, typer.Option(help="The price at the start.")] = "100000",
    trades_per_second: Annotated[float, typer.Option(help="AggTrades per second, on average.")] = 3.0,
    script: Annotated[Path | None, typer.Option(help="A JSON file of rules: which faults happen when.")] = None,
    recording: Annotated[
        list[Path] | None,
        typer.Option(help="Play this recording when a client connects; repeat the option to play several in order."),
    ] = None,
    rebuild_books: Annotated[
        bool,
        typer.Option(
            "--rebuild-books",
            help="With --recording: rebuild the book from diffs for depth.",
        ),
    ] = False,
    faults: FaultsOption = False,
) -> None:
    """Serve a simulated market or a recording until interrupted."""
    rules, pace = _load_script(script, seed), _parse_speed(speed)
    exchange: SimulatedExchange | RecordedExchange
    if recording:
        exchange = RecordedExchange(recording, pace, rules, rebuild_books, seed=seed)
        asyncio.run(_serve(exchange, f"recorded {exchange.symbol}", host, port))
        return
    if pace is None or pace > _FASTEST_MARKET:
        raise ParameterError(f"a market trades at a speed up to {_FASTEST_MARKET}; max is for --recording")
    symbols = tuple(dict.fromkeys(name.strip() for name in symbol.split(",")))
    parameters = [
        MarketParameters(symbol=name, start_price_e8=parse_e8(price), trades_per_second=trades_per_second)
        for name in symbols
    ]
    exchange = SimulatedExchange(parameters, seed, history_hours=history_hours, speed=pace, script=rules)
    asyncio.run(_serve(exchange, f"simulated {symbol}", host, port))


@app.command("calibration")
def show_calibration(
    folder: Annotated[Path, typer.Option("--real", help="The folder of real data.", envvar="REAL_DATA_DIR")] = REAL,
    hours: Annotated[float, typer.Option(min=1, max=48, help="Hours of each simulated market.")] = 12.0,
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Number of simulated markets.")] = 12,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first; it was fitted below 63.")] = 71,
    output: Annotated[Path | None, typer.Option(help="Write the page to this file, too, as Markdown.")] = None,
    without: Annotated[
        bool,
        typer.Option("--without", help="Instead: which rows turn red without each mechanism; exit code 1 for none."),
    ] = False,
) -> None:
    """Compare the simulated market with recorded ones; exit code 1 where a statistic is outside its band."""
    markets = range(first_seed, first_seed + seeds)
    if without:
        raise typer.Exit(0 if _show_removals(markets, hours) else 1)
    lines = build_lines(measure_simulated(markets, hours), folder)
    for text in format_lines(lines):
        console.show(text)
    if output is not None:
        output.write_text("\n".join(format_markdown(lines)) + "\n")
    raise typer.Exit(0 if all(line.passes for line in lines) else 1)


def _show_removals(seeds: range, hours: float) -> bool:
    with_all, complete = measure_simulated(seeds, hours), True
    for field in fields(Mechanisms):
        lost = rows_lost(field.name, with_all, seeds, hours)
        complete = complete and bool(lost)
        rows = "; ".join(f"{row.name}: {before:.3g} → {after:.3g}" for row, before, after in lost)
        console.show(f"{field.name}: {rows or 'no row'}")
    return complete


@app.command("record")
def record_days(
    market: Annotated[str, typer.Option("--market", help="venue:SYMBOL, e.g. binance:BTCFDUSD")],
    storage: Annotated[Path, typer.Option("--storage", help="the folder that holds all logs")],
    start: Annotated[str, typer.Option("--from", help="The first day (UTC).")] = "2026-01-05",
    days: Annotated[float, typer.Option(min=1 / 24, max=366, help="Number of days; rounded to whole hours.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all trades and books.")] = 7,
    price: Annotated[str, typer.Option(help="The price at the start.")] = "100000",
    trades_per_second: Annotated[float, typer.Option(help="AggTrades per second, on average.")] = 3.0,
    diffs: Annotated[bool, typer.Option("--diffs", help="Record the 100 ms book updates, too.")] = False,
) -> None:
    """Record days of a simulated market straight into a new log, on virtual time."""
    target = Market.parse(market)
    parameters = MarketParameters(
        symbol=target.symbol, start_price_e8=parse_e8(price), trades_per_second=trades_per_second
    )
    hours = max(1, round(days * 24))
    first_ns = floor_to(time_of(start, 0), MINUTE_NS)
    importer = Importer(ColdLog(storage, LogName("events", target)), WallClock())
    try:
        with console.progress("recording", None) as advance:
            trades, ticks = record(importer, parameters, seed, first_ns, hours, lambda n: advance(n, hours * 60), diffs)
    finally:
        importer.close()
    console.show(f"{trades:,} trades, {ticks:,} books and ticks of {target} in {storage}")


def _load_script(file: Path | None, seed: int) -> Script:
    if file is None:
        return Script()
    try:
        return parse(file.read_bytes(), seed)
    except OSError as error:
        raise ScriptError(f"cannot read the script {file}: {error.strerror}; give a JSON file of rules") from error


def _parse_speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        pace = float(text)
    except ValueError:
        pace = 0.0
    if not _SLOWEST <= pace <= _FASTEST:
        raise ParameterError(f"--speed is a number from {_SLOWEST} to {_FASTEST}, or max, not {text!r}")
    return pace


async def _serve(exchange: SimulatedExchange | RecordedExchange, name: str, host: str, port: int) -> None:
    loop, interrupt = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(interrupt.set))
    await exchange.start(host, port)
    console.show(f"{name} at {exchange.url} and {exchange.websocket_url}", flush=True)
    waits = [asyncio.create_task(interrupt.wait()), asyncio.create_task(_wait(exchange))]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if isinstance(exchange, RecordedExchange) and exchange.finished.is_set():
        await interrupt.wait()
    for wait in waits:
        wait.cancel()
    await exchange.stop()


async def _wait(exchange: SimulatedExchange | RecordedExchange) -> None:
    if not isinstance(exchange, RecordedExchange):
        await exchange.wait()
        return
    await exchange.hub.wait_for_client()
    start = monotonic()
    await exchange.wait()
    if exchange.finished.is_set():
        duration_s = monotonic() - start
        console.show(
            f"the recording has ended: {exchange.line_count:,} lines in {duration_s:.1f} s; interrupt to stop",
            flush=True,
        )


if __name__ == "__main__":
    console.run(app)
