"""
DuckDB views over a market's Parquet files and over finished runs; the files come from the catalogue, never from a glob.

Prices and quantities are integer counts of 1e-8 (`price_e8`), times nanoseconds UTC (`recv_ns`), as stored. Trades
also carry columns for reading: `price` as DOUBLE, `quantity` as exact DECIMAL, `traded_at` as TIMESTAMP, `aggressor`.
Snapshots keep their levels as steps in units of their own grid, as on disk. What is still in the stream is not here.
"""

from pathlib import Path

import duckdb

from eventlog.certificate import CERTIFICATES, load
from eventlog.cold import ColdLog
from eventlog.names import LogName
from market.instrument import Market

_TRADES = """
    seq, agg_id, recv_lag_ns + trade_time_ns AS recv_ns, trade_time_ns, price_e8, quantity_e8,
    first_trade_id, last_trade_id, buyer_is_maker, source, extra,
    make_timestamp((trade_time_ns // 1000)::BIGINT) AS traded_at,
    price_e8 / 1e8 AS price, quantity_e8::DECIMAL(20, 0) * 0.00000001::DECIMAL(9, 8) AS quantity,
    CASE WHEN buyer_is_maker THEN 'sell' ELSE 'buy' END AS aggressor
"""


def connect(storage: Path, market: Market, runs: Path | None = None) -> duckdb.DuckDBPyConnection:
    """
    A connection with a view for each kind of a market's log (`agg_trade`, `tick`, `snapshot`, …), of its decision log
    (`analysis`, `recommendation`, …), and of runs (`run_scores`, `run_episodes`, `run_orders`, `run_fills`,
    `run_recommendations`). `unproven` (day, what, from_ns, to_ns) holds the ranges of trade or arrival time that the
    certificates beside the log could not prove; it is empty where no day was certified.

    Entries that are still in the stream are not archived yet and not seen here.
    """
    connection = duckdb.connect()
    for stream in ("events", "decisions"):
        cold = ColdLog(storage, LogName(stream, market))
        if cold.exists():
            _views_of(connection, cold)
            if stream == "events":
                _view_of_doubt(connection, cold)
    if runs is not None:
        _views_of_runs(connection, runs)
    return connection


def _views_of(connection: duckdb.DuckDBPyConnection, cold: ColdLog) -> None:
    files: dict[str, list[str]] = {}
    for segment in cold.catalogue.segments:
        for file in segment.files:
            files.setdefault(file.kind, []).append(str(cold.path_of(file)))
    for kind, paths in files.items():
        columns = _TRADES if kind == "agg_trade" else "*"
        _create(connection, kind, columns, paths)


def _view_of_doubt(connection: duckdb.DuckDBPyConnection, cold: ColdLog) -> None:
    """`unproven`: what the certificates beside the log could not prove, a range a row."""
    certificates = [load(path) for path in sorted(cold.folder.glob(CERTIFICATES))]
    rows = [
        (certificate.day, what, start, end)
        for certificate in certificates
        for what, ranges in (("trades", certificate.unproven_trades), ("depth", certificate.unproven_depth))
        for start, end in ranges
    ]
    connection.execute("CREATE TABLE unproven (day VARCHAR, what VARCHAR, from_ns BIGINT, to_ns BIGINT)").fetchall()
    if rows:
        connection.executemany("INSERT INTO unproven VALUES (?, ?, ?, ?)", rows)


def _views_of_runs(connection: duckdb.DuckDBPyConnection, runs: Path) -> None:
    for name in ("scores", "episodes", "orders", "fills", "recommendations"):
        paths = sorted(str(p) for p in runs.glob(f"*/{name}.parquet") if not p.parent.name.startswith("."))
        if paths:
            _create(connection, f"run_{name}", "parse_path(filename)[-2] AS run_id, * EXCLUDE (filename)", paths, True)


def _create(
    connection: duckdb.DuckDBPyConnection, name: str, columns: str, paths: list[str], filename: bool = False
) -> None:
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    options = ", filename = true" if filename else ""
    connection.execute(f"CREATE VIEW {name} AS SELECT {columns} FROM read_parquet([{listed}]{options})").fetchall()
