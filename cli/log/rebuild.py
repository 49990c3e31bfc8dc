"""
`liquidity log rebuild-catalogue`: the way back where the catalogue of a market's log is lost or damaged.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import console
from cli.options import ConfigOption, JsonOption, MarketOption, RedisOption, StorageOption, log_source
from eventlog.clock import WallClock
from eventlog.errors import EventLogError, LogNotFound
from eventlog.facts.registry import STREAMS
from eventlog.names import RESERVED_FILE, LogName
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.store import hot as hots
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.transfer.rebuilding import RebuiltCatalogue, rebuild_catalogue
from runtime.open_log import mapper_for

_SHOWN = 3


def rebuild(
    market: MarketOption = None,
    storage: StorageOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    incomplete_start: Annotated[
        bool,
        typer.Option("--incomplete-start", help="what came before the first whole files is lost; do without it"),
    ] = False,
    incomplete_end: Annotated[
        bool,
        typer.Option(
            "--incomplete-end", help="what lies behind the last whole files is what a crash left; put it aside"
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """
    Make the lost or damaged catalogue of a market's log, and of its decisions, anew from the files.

    Every file is read. A catalogue that is sound is left as it is; files that are not needed are moved aside, never
    removed; where entries are missing, nothing is changed.
    """
    source = log_source(market, storage, redis, config)
    chosen, folder = source.market, source.storage
    mapper_for(chosen)
    logs = [ColdLog(folder, LogName(stream, chosen)) for stream in STREAMS]
    logs = [cold for cold in logs if cold.folder.is_dir()]
    if not logs:
        raise LogNotFound(f"no log of {chosen} in {folder}; check --market and --storage")
    reports: list[dict[str, Any]] = []
    errors: list[EventLogError] = []
    for cold in logs:
        try:
            with console.progress(f"reading {cold.name}", None) as advance:
                server_id = _server_id(cold, source.redis)
                done = rebuild_catalogue(cold, WallClock(), server_id, incomplete_start, incomplete_end, advance)
        except EventLogError as error:
            errors.append(error)
            continue
        reports.append(_report(cold, done))
        if not as_json:
            _print(cold, done)
    if as_json:
        console.print_json(reports)
    if reports:
        errors = [error for error in errors if not isinstance(error, LogNotFound)]  # a stream that nobody ever wrote
    if errors:
        raise ExceptionGroup("not rebuilt", errors)


def _server_id(cold: ColdLog, url: str | None) -> str | None:
    """The log id that the log's server holds; None where the log's own files hold it, or there is no server."""
    if (cold.folder / RESERVED_FILE).exists():
        return None
    server = EmbeddedServer(cold.storage)
    if url is not None:
        client = hots.connect(url=url)
    elif server.holds_data():
        client = server.hold()
    else:
        return None
    try:
        return HotLog(client, cold.name).log_id()
    finally:
        if url is None:
            server.release(client)
        else:
            client.close()


def _report(cold: ColdLog, done: RebuiltCatalogue | None) -> dict[str, Any]:
    catalogue = cold.catalogue
    first = catalogue.segments[0].first_seq if catalogue.segments else None
    return {
        "log": str(cold.name),
        "rebuilt": done is not None,
        "segments": len(catalogue.segments),
        "entries": sum(file.rows for segment in catalogue.segments for file in segment.files),
        "first_seq": first,
        "last_seq": catalogue.last_seq or None,
        "aside": [str(path) for path in done.moved_files] if done else [],
        "contradicted": [list(each) for each in done.conflicting_ranges] if done else [],
    }


def _print(cold: ColdLog, done: RebuiltCatalogue | None) -> None:
    if done is None:
        console.show(f"{cold.name}: its catalogue is sound; nothing was done")
        return
    segments = done.catalogue.segments
    span = f", seq {segments[0].first_seq} to {segments[-1].last_seq}" if segments else ""
    console.show(f"{cold.name}: catalogue rebuilt: {len(segments):,} segments, {done.entries:,} entries{span}")
    if done.moved_files:
        files = done.moved_files
        console.show(f"  moved aside, to {files[0].parent}: {len(files):,} files: {_names(files)}")
    for first, last in done.conflicting_ranges:
        console.show(f"  seq {first} to {last} among them held other entries than the files that were chosen")


def _names(paths: tuple[Path, ...]) -> str:
    return ", ".join(path.name for path in paths[:_SHOWN]) + (" …" if len(paths) > _SHOWN else "")
