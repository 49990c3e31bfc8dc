"""
DuckDB views over a market's Parquet files and over finished runs; the files come from the catalogue, never from a glob.

Each kind has a view with its columns, also where nothing of it was recorded. Entries still in the stream are not
included. Files are checked against their digests; see `research.sources`.
"""

import atexit
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakSet

import duckdb
import numpy as np
import pyarrow as pa
from duckdb.func import PythonUDFType

from eventlog.errors import EventLogError, LogBroken, LogNotFound
from eventlog.facts.registry import KINDS, STREAMS, kinds_of
from eventlog.names import LogName
from eventlog.proof.certificate import CERTIFICATES, load
from eventlog.store.cold import ColdLog
from market.fixed_point import DECIMALS
from market.instrument import Market
from research import derived
from research.columns import UNSTEP, select_nothing, select_readable, select_stored, with_later_columns
from research.errors import ResearchError
from research.sources import INTACT_FILES, LogFiles, RunFiles, Source, Sources
from runtime.open_log import mapper_for, quantity_decimals

RUN_TABLES = ("scores", "episodes", "orders", "fills", "recommendations")

_open: WeakSet[duckdb.DuckDBPyConnection] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Close all connections: one that is open when Python ends writes warnings to stderr."""
    for connection in list(_open):
        connection.close()


def connect(storage: Path, market: Market, runs: Path | None = None) -> duckdb.DuckDBPyConnection:
    """
    Open a connection with a view for each kind of a market's log and of its decision log, and for runs.

    Views: `agg_trade`, `tick`, `snapshot`, `diff`, …; `minute_bars`, `book_levels` and `diffs` over them; `analysis`,
    `recommendation`, …; `run_scores`, `run_episodes`, `run_orders`, `run_fills` and `run_recommendations` where runs
    are named. `unproven` (day, what, from_ns, to_ns) holds the ranges of trade or arrival time that the certificates
    beside the log could not prove; it is empty where no day was certified.

    Entries that are still in the stream are not archived yet and not included.

    Args:
        storage: the folder of all logs.
        market: whose logs.
        runs: the folder of all runs; None for no views of runs.

    Raises:
        LogNotFound: the storage holds neither log. LogBroken: a catalogue is lost, or what it needs is damaged.
        duckdb.Error: in a query, also where a file of a view that it names is not as it was written.
    """
    return open_views(storage, market, runs)[0]


def open_views(storage: Path, market: Market, runs: Path | None = None) -> tuple[duckdb.DuckDBPyConnection, Sources]:
    """
    As `connect`, with the sources behind the views, which hold why a file was refused.

    Args:
        storage: the folder of all logs.
        market: whose logs.
        runs: the folder of all runs; None for no views of runs.
    """
    mapper_for(market)
    logs = _logs(storage, market)
    connection = duckdb.connect()
    _open.add(connection)
    try:
        # times do not depend on the machine's zone; a mistyped name must not download an extension
        connection.execute("SET TimeZone = 'UTC'; SET autoinstall_known_extensions = false").fetchall()
        sources = Sources()
        sources.serve(connection)
        _serve_unstep(connection)
        with sources.defining():
            _create_all(connection, sources, logs, runs)
    except BaseException:
        connection.close()
        raise
    return connection, sources


def _create_all(
    connection: duckdb.DuckDBPyConnection, sources: Sources, logs: Mapping[str, ColdLog], runs: Path | None
) -> None:
    decimals = quantity_decimals(logs["events"], None) if "events" in logs else DECIMALS
    if not 0 <= decimals <= DECIMALS:
        raise LogBroken(
            f"{logs['events'].name}: an instrument says that quantities keep {decimals} decimals; 0 to 8 fit"
        )
    for stream in STREAMS:
        files = LogFiles(logs[stream]) if stream in logs else None
        for kind in kinds_of(stream):
            _create_kind(connection, sources, kind, files.kind(kind) if files else None, decimals)
    _create(connection, "minute_bars", derived.minute_bars(decimals))
    _create(connection, "book_levels", derived.book_levels(decimals))
    _create(connection, "diffs", derived.diffs(decimals))
    _create_unproven(connection, logs.get("events"))
    if runs is not None:
        _create_runs(connection, sources, runs)


def _logs(storage: Path, market: Market) -> dict[str, ColdLog]:
    logs: dict[str, ColdLog] = {}
    missing: LogNotFound | None = None
    storage = storage.absolute()  # files are read in later queries, when the working directory may differ
    for stream in STREAMS:
        cold = ColdLog(storage, LogName(stream, market))
        try:
            cold.refresh()
            logs[stream] = cold
        except LogNotFound as error:
            missing = missing or error
    if not logs and missing is not None:
        raise missing
    return logs


def _create_kind(
    connection: duckdb.DuckDBPyConnection, sources: Sources, kind: str, source: Source | None, decimals: int
) -> None:
    if source is None:
        _create(connection, kind, select_readable(kind, select_nothing(kind), decimals))
        return
    files = (
        f"read_parquet({INTACT_FILES}('{kind}'), hive_partitioning = false, union_by_name = {KINDS[kind].version > 1})"
    )
    query = select_stored(kind, files if KINDS[kind].version == 1 else with_later_columns(kind, files))
    damaged_query = select_readable(kind, select_nothing(kind, f"read_blob({INTACT_FILES}('{kind}'))"), decimals)
    _create_of_files(connection, sources, kind, source, select_readable(kind, query, decimals), damaged_query)


def _create_of_files(
    connection: duckdb.DuckDBPyConnection,
    sources: Sources,
    view: str,
    source: Source,
    query: str,
    damaged_query: str,
) -> None:
    """
    Create a view over files.

    Args:
        damaged_query: for a view over damaged files: it checks them without reading them, so that the view can be
            created, and fails with the reason when it is queried.
    """
    sources.add(view, source)
    try:
        _create(connection, view, query)
    except duckdb.Error as error:
        try:
            source.intact_paths()
        except Exception:  # raised again by a query of this view
            sources.add(view, _Unreadable(source))
            _create(connection, view, damaged_query)
            return
        if isinstance(sources.failure, EventLogError):
            raise sources.failure from error
        reason = str(error).split("\n")[0]
        raise ResearchError(f"the files of {view} are as they were written, but no such table: {reason}") from error


class _Unreadable:
    """Files of which at least one was damaged; see `Source`."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def paths(self) -> list[Path]:
        """Any existing file: the view is defined, its files are not read."""
        return [Path(__file__)]

    def intact_paths(self) -> list[Path]:
        """See `Source`; a file that was repaired since needs a new connection, as its columns are not known here."""
        self._source.intact_paths()
        raise LogBroken("files were damaged when this connection was made; connect again")


def _create_runs(connection: duckdb.DuckDBPyConnection, sources: Sources, runs: Path) -> None:
    for table in RUN_TABLES:
        view = f"run_{table}"
        source = RunFiles(runs, table)
        if source.paths():
            options = "hive_partitioning = false, union_by_name = true, filename = true"
            files = f"read_parquet({INTACT_FILES}('{view}'), {options})"
            query = f"SELECT parse_path(filename)[-2] AS run_id, * EXCLUDE (filename) FROM {files}"
            damaged_query = f"SELECT '' AS run_id FROM read_blob({INTACT_FILES}('{view}'))"
            _create_of_files(connection, sources, view, source, query, damaged_query)


def _create_unproven(connection: duckdb.DuckDBPyConnection, cold: ColdLog | None) -> None:
    """Create `unproven`: the ranges that the certificates beside the log could not prove, one per row."""
    rows = []
    for path in sorted(cold.folder.glob(CERTIFICATES)) if cold is not None else ():
        if path.is_symlink() or not path.is_file():
            raise LogBroken(f"{path} is no plain file; remove it")
        certificate = load(path)
        if cold is not None and certificate.log != cold.name.key:
            raise LogBroken(f"{path} is of {certificate.log[:80]}, not of {cold.name}; move it away")
        for what, ranges in (("trades", certificate.unproven_trades), ("depth", certificate.unproven_depth)):
            rows += [(certificate.day, what, start, end) for start, end in ranges]
    table = pa.table(
        {
            "day": pa.array([row[0] for row in rows], pa.string()),
            "what": pa.array([row[1] for row in rows], pa.string()),
            "from_ns": pa.array([row[2] for row in rows], pa.int64()),
            "to_ns": pa.array([row[3] for row in rows], pa.int64()),
        }
    )
    connection.register("_unproven", table)
    connection.execute("CREATE TABLE unproven AS SELECT * FROM _unproven").fetchall()
    connection.unregister("_unproven")


def _create(connection: duckdb.DuckDBPyConnection, view: str, query: str) -> None:
    connection.execute(f"CREATE VIEW {view} AS {query}").fetchall()


def _serve_unstep(connection: duckdb.DuckDBPyConnection) -> None:
    connection.create_function(UNSTEP, _unstep, ["BIGINT[]", "BIGINT"], "BIGINT[]", type=PythonUDFType.ARROW)


def _unstep(steps: Any, units: Any) -> pa.Array:
    """Prices of lists of levels, of the steps between them in units of a list's own grid."""
    lists = steps.combine_chunks() if isinstance(steps, pa.ChunkedArray) else steps
    if lists.values.null_count:
        raise ValueError("a level is null")
    unit = np.asarray(units.to_numpy(zero_copy_only=False) if isinstance(units, pa.Array) else units, np.int64)
    offsets = lists.offsets.to_numpy().astype(np.int64)
    values = np.asarray(lists.values.to_numpy(zero_copy_only=False), np.int64)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    sums = np.concatenate(([0], np.cumsum(values)))
    lengths = np.diff(offsets)
    prices = (sums[1:] - np.repeat(sums[offsets[:-1]], lengths)) * np.repeat(unit, lengths)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(prices))
