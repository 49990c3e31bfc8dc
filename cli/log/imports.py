"""
`liquidity log import`: imports recorded files into a log.
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
from eventlog.transfer.importing import Importer, ImportSummary
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import Archive
from exchanges.binance.recordings.recording import append_recording
from runtime.open_log import mapper_for

Bring = Callable[[Importer, Path, Callable[[int], None]], ImportSummary]

app = typer.Typer(help="Import files into a log, each fact once.", no_args_is_help=True)


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

    def bring(importer: Importer, path: Path, on_read: Callable[[int], None]) -> ImportSummary:
        archive = Archive(path, symbol, on_read)
        return replace(import_trades(importer, str(path), archive), notes=archive.notes())

    _bring(files, source, as_json, bring, 2)


@app.command("recording")
def import_recording(
    files: Annotated[list[Path], typer.Argument(help="lines `<receive time> <message>`; plain, gzip or zip")],
    market: MarketOption = None,
    storage: StorageOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import recordings of stream messages and depth snapshots; times in s, ms, µs or ns."""
    _bring(files, log_source(market, storage, None, config), as_json, append_recording, 3)


def _bring(files: Sequence[Path], source: LogSource, as_json: bool, bring: Bring, readings: int) -> None:
    """Import the files one after the other; those before a refused one stay imported."""
    done: list[dict[str, Any]] = []
    try:
        with (
            closing(_importer(source)) as importer,
            console.progress("importing", _bytes_to_read(files, readings)) as advance,
        ):
            for path in files:
                result = bring(importer, path, advance)
                done.append({"file": str(path), **asdict(result)})
                if not as_json:
                    _print_result(path, result)
    finally:
        if as_json and done:
            console.print_json(done)


def _bytes_to_read(files: Sequence[Path], readings: int) -> int:
    """The number of bytes to read: each file several times, since it is checked before it is written."""
    return sum(readings * path.stat().st_size for path in files if path.is_file())


def _importer(source: LogSource) -> Importer:
    name = LogName("events", source.market)
    mapper_for(name.market)
    return Importer(ColdLog(source.storage, name), WallClock())


def _print_result(path: Path, result: ImportSummary) -> None:
    added = f"{_format_count(result.added, 'entry', 'entries')} added, {_format_count(result.ticks, 'tick', 'ticks')}"
    counts = {
        "were there already": result.known,
        "contradict facts with the same ids, recorded as quarantined": result.conflicts,
        "cannot be parsed, quarantined": result.quarantined,
    }
    parts = [added if result.added else "nothing added"]
    parts += [f"{count:,} {label}" for label, count in counts.items() if count]
    for label, count in {"of other streams": result.skipped, "of other symbols": result.others}.items():
        parts += [f"{_format_count(count, 'message', 'messages')} {label} skipped"] if count else []
    parts += [f"{_format_count(result.holes, 'gap', 'gaps')} recorded"] if result.holes else []
    console.show(f"{path.name}: {', '.join(parts)}")
    for note in result.notes:
        console.show(f"  {note}")


def _format_count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
