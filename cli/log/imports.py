"""
`liquidity log import`: files that others recorded, brought into a log.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import console
from cli.options import ConfigOption, JsonOption, LogSource, MarketOption, StorageOption, log_source
from eventlog.clock import WallClock
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.transfer.importing import Imported, Importer
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import Archive
from exchanges.binance.recordings.recording import append_recording
from runtime.open_log import mapper_for

Bring = Callable[[Importer, Path, Callable[[int], None]], Imported]

app = typer.Typer(help="Bring recorded files into a log, each fact once.", no_args_is_help=True)


@app.command("binance-aggtrades")
def import_agg_trades(
    files: Annotated[list[Path], typer.Argument(help="Binance archive files: zip, gzip or CSV")],
    market: MarketOption = None,
    storage: StorageOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import aggTrades archives (with or without header, ms or µs), each trade once."""
    source = log_source(market, storage, None, config)
    symbol = source.market.symbol

    def bring(importer: Importer, path: Path, on_read: Callable[[int], None]) -> Imported:
        archive = Archive(path, symbol, on_read)
        return replace(import_trades(importer, str(path), archive), notes=archive.notes())

    _bring(files, source, as_json, bring, 2)


@app.command("recording")
def import_recording(
    files: Annotated[list[Path], typer.Argument(help="`<receive time> <message>` a line; plain, gzip or zip")],
    market: MarketOption = None,
    storage: StorageOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import recordings of stream messages and depth snapshots; times in s, ms, µs or ns."""
    _bring(files, log_source(market, storage, None, config), as_json, append_recording, 3)


def _bring(files: Sequence[Path], source: LogSource, as_json: bool, bring: Bring, readings: int) -> None:
    """Bring in one file after the other; those before one that is refused stay."""
    done: list[dict[str, Any]] = []
    try:
        with (
            closing(_importer(source)) as importer,
            console.progress("importing", _to_read(files, readings)) as advance,
        ):
            for path in files:
                found = bring(importer, path, advance)
                done.append({"file": str(path), **asdict(found)})
                if not as_json:
                    _say(path, found)
    finally:
        if as_json and done:
            console.print_json(done)


def _to_read(files: Sequence[Path], readings: int) -> int:
    """How many bytes will be read: each file several times, to know it before anything of it is written."""
    return sum(readings * path.stat().st_size for path in files if path.is_file())


def _importer(source: LogSource) -> Importer:
    name = LogName("events", source.market)
    mapper_for(name.market)
    return Importer(ColdLog(source.storage, name), WallClock())


def _say(path: Path, done: Imported) -> None:
    added = f"{_counted(done.added, 'entry', 'entries')} added, {_counted(done.ticks, 'tick', 'ticks')}"
    counted = {
        "were there already": done.known,
        "contradict what their ids stand for, on record as quarantined": done.conflicts,
        "cannot be read, quarantined": done.quarantined,
    }
    parts = [added if done.added else "nothing added"]
    parts += [f"{count:,} {what}" for what, count in counted.items() if count]
    for what, count in {"of other streams": done.skipped, "of other symbols": done.others}.items():
        parts += [f"{_counted(count, 'message', 'messages')} {what} passed over"] if count else []
    parts += [f"{_counted(done.holes, 'gap', 'gaps')} on record"] if done.holes else []
    console.show(f"{path.name}: {', '.join(parts)}")
    for note in done.notes:
        console.show(f"  {note}")


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
