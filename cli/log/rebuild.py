"""
`liquidity log rebuild-catalogue`: restores the lost or damaged catalogue of a market's log.
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
from eventlog.server.data_folder import holds_data
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.store import hot as hots
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.transfer.rebuilding import RebuiltCatalogue, rebuild_catalogue
from runtime.open_log import mapper_for

_MAX_NAMES = 3  # shown, the others are counted


def rebuild(
    market: MarketOption = None,
    storage: StorageOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    incomplete_start: Annotated[
        bool,
        typer.Option("--incomplete-start", help="accept the loss of entries before the first complete files"),
    ] = False,
    incomplete_end: Annotated[
        bool,
        typer.Option("--incomplete-end", help="accept the loss of entries after the last complete files"),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """
    Rebuild the lost or damaged catalogues of a market's log and decision log from their files.

    All files are read. An intact catalogue stays unchanged; files that are not needed are moved to aside/, never
    deleted; if entries are missing, nothing is changed.
    """
    source = log_source(market, storage, redis, config)
    market_name, folder = source.market, source.storage
    mapper_for(market_name)
    logs = [ColdLog(folder, LogName(stream, market_name)) for stream in STREAMS]
    logs = [cold for cold in logs if cold.folder.is_dir()]
    if not logs:
        raise LogNotFound(f"no log of {market_name} in {folder}; check --market and --storage")
    reports: list[dict[str, Any]] = []
    errors: list[EventLogError] = []
    for cold in logs:
        try:
            with console.progress(f"reading {cold.name}", None) as advance:
                server_id = _server_id(cold, source.redis)
                result = rebuild_catalogue(cold, WallClock(), server_id, incomplete_start, incomplete_end, advance)
        except EventLogError as error:
            errors.append(error)
            continue
        reports.append(_report(cold, result))
        if not as_json:
            _print(cold, result)
    if as_json:
        console.print_json(reports)
    if reports:
        errors = [error for error in errors if not isinstance(error, LogNotFound)]  # a stream that was never written
    if errors:
        raise ExceptionGroup("not rebuilt", errors)


def _server_id(cold: ColdLog, url: str | None) -> str | None:
    """The log id that the log's server holds; None where the log's own files hold it, or there is no server."""
    if (cold.folder / RESERVED_FILE).exists():
        return None
    server = EmbeddedServer(cold.storage)
    if url is not None:
        client = hots.connect(url=url)
    elif holds_data(cold.storage):
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


def _report(cold: ColdLog, result: RebuiltCatalogue | None) -> dict[str, Any]:
    catalogue = cold.catalogue
    first = catalogue.segments[0].first_seq if catalogue.segments else None
    return {
        "log": str(cold.name),
        "rebuilt": result is not None,
        "segments": len(catalogue.segments),
        "entries": sum(file.rows for segment in catalogue.segments for file in segment.files),
        "first_seq": first,
        "last_seq": catalogue.last_seq or None,
        "aside": [str(path) for path in result.moved_files] if result else [],
        "contradicted": [list(span) for span in result.conflicting_ranges] if result else [],
    }


def _print(cold: ColdLog, result: RebuiltCatalogue | None) -> None:
    if result is None:
        console.show(f"{cold.name}: its catalogue is intact; nothing was done")
        return
    segments = result.catalogue.segments
    span = f", seq {segments[0].first_seq} to {segments[-1].last_seq}" if segments else ""
    console.show(f"{cold.name}: catalogue rebuilt: {len(segments):,} segments, {result.entries:,} entries{span}")
    if result.moved_files:
        files = result.moved_files
        console.show(f"  moved to {files[0].parent}: {len(files):,} files: {_names(files)}")
    for first, last in result.conflicting_ranges:
        console.show(f"  seq {first} to {last} in them differed from the files that were kept")


def _names(paths: tuple[Path, ...]) -> str:
    return ", ".join(path.name for path in paths[:_MAX_NAMES]) + (" …" if len(paths) > _MAX_NAMES else "")
