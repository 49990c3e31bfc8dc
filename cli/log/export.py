"""
`liquidity log export`: the content of a log as a file for other programs.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer

from cli import console
from cli.options import ConfigOption, JsonOption, MarketOption, RedisOption, StorageOption, log_source
from eventlog.facts.kind import EVENTS
from eventlog.facts.market import AGG_TRADE
from eventlog.facts.registry import SCHEMAS, kinds_of
from eventlog.store.log import Log
from eventlog.transfer import export as exports
from exchanges.binance.raw_messages import export_lines
from market.errors import BadNumber
from market.fixed_point import parse_e8
from market.timestamps import MINUTE_NS
from projections.trades import minute_bars, minute_view
from projections.trades.minute_bars import MinuteBars
from projections.trades.minute_buckets import COLUMNS, Minute, MinuteBuckets
from runtime.open_log import quantity_decimals

MINUTE_BARS = "minute_bars"
MINUTE_BUCKETS = "minute_buckets"
TRADE_FILES = "trade_files"
RAW_NDJSON = "raw_ndjson"

_MAX_WINDOW = 10_000_000  # minutes: longer than any log
_FACTS = kinds_of(EVENTS)
_KINDS = (*_FACTS, MINUTE_BARS, MINUTE_BUCKETS, TRADE_FILES, RAW_NDJSON)
_LEVELLED = (MINUTE_BUCKETS, TRADE_FILES)

Progress = Callable[[int, int], None]


class Form(StrEnum):
    """The file format of an export."""

    csv = "csv"
    json = "json"
    parquet = "parquet"


def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="the file to write; for trade_files a folder")],
    market: MarketOption = None,
    storage: StorageOption = None,
    kind: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(_FACTS)}; {MINUTE_BARS} (OHLC, volumes, trades and VWAP: a row for every minute "
            "that had a trade or was live without one, none for a minute about which nothing is known), "
            f"{MINUTE_BUCKETS} (one row per price level), {TRADE_FILES} (one JSON file per minute), or {RAW_NDJSON} "
            "(the venue's messages)"
        ),
    ] = AGG_TRADE,
    form: Annotated[
        Form, typer.Option("--format", help="csv, json (one line per row) or parquet (raw integers)")
    ] = Form.csv,
    level: Annotated[
        str | None,
        typer.Option(
            help=f"width of a price level of {MINUTE_BUCKETS} and {TRADE_FILES}, in quote coins; default: as in the "
            "views, if no width is set"
        ),
    ] = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all facts of one kind, or data computed from them, to a file."""
    if kind not in _KINDS:
        raise console.Failure(f"unknown kind {kind!r}; kinds: {', '.join(_KINDS)}")
    if level is not None and kind not in _LEVELLED:
        raise console.Failure(f"--level is for {' and '.join(_LEVELLED)}; omit it, or choose another --kind")
    level_e8 = None if level is None else _level_of(level)
    console.expect_no_log(output)
    with (
        log_source(market, storage, redis, config).events() as log,
        console.progress("exporting", None) as advance,
    ):
        count = _write(log, kind, form, output, level_e8, advance)
    if as_json:
        console.print_json({"kind": kind, "count": count, "output": str(output)})
        return
    noun = {TRADE_FILES: "files", RAW_NDJSON: "messages"}.get(kind, f"rows of {kind}")
    console.show(f"{count:,} {noun} in {output}")


def _level_of(text: str) -> int:
    try:
        return parse_e8(text)
    except BadNumber as error:
        raise console.Failure(f"--level: {error}") from error


def _write(log: Log, kind: str, form: Form, output: Path, level_e8: int | None, advance: Progress) -> int:
    decimals = quantity_decimals(log.cold, log.hot)
    if kind == RAW_NDJSON:
        return exports.write_lines(export_lines(log, log.name.market.symbol, decimals), output)
    if kind == TRADE_FILES:
        return sum(1 for _ in exports.write_minute_files(_minute_views(log, level_e8, decimals, advance), output))
    if kind == MINUTE_BUCKETS:
        tables = _bucket_tables(log, level_e8, advance)
    else:
        tables = _bar_tables(log, advance) if kind == MINUTE_BARS else _kind_tables(log, kind, advance)
    return exports.write(tables, output, form.value, decimals)


def _kind_tables(log: Log, kind: str, advance: Progress) -> Iterator[pa.Table]:
    last_seq = log.last_seq()
    yield SCHEMAS[kind].empty_table()  # a log without this kind still gives a file with its columns
    for batch in log.read(kinds=[kind]):
        advance(batch.last_seq - batch.first_seq + 1, last_seq)
        if kind in batch.rows:
            rows = batch.rows[kind]
            yield rows.table()


def _all_minutes(log: Log, level_e8: int | None, advance: Progress) -> MinuteBuckets:
    buckets = MinuteBuckets(_MAX_WINDOW) if level_e8 is None else MinuteBuckets(_MAX_WINDOW, level_e8)
    newest, last_seq = 0, log.last_seq()
    for batch in log.read(kinds=[AGG_TRADE], columns={AGG_TRADE: COLUMNS}):
        advance(batch.last_seq - batch.first_seq + 1, last_seq)
        buckets.apply(batch)
        if AGG_TRADE in batch.rows:
            newest = max(newest, int(batch.rows[AGG_TRADE]["trade_time_ns"].max()))
    buckets.close(newest - newest % MINUTE_NS + MINUTE_NS)
    return buckets


def _bucket_tables(log: Log, level_e8: int | None, advance: Progress) -> Iterator[pa.Table]:
    none = np.empty(0, np.int64)
    yield minute_view.to_level_table(0, Minute(none, none, none, none, none))  # a log without trades gives its columns
    for minute_ns, minute in _all_minutes(log, level_e8, advance).minutes():
        yield minute_view.to_level_table(minute_ns, minute)


def _minute_views(
    log: Log, level_e8: int | None, decimals: int, advance: Progress
) -> Iterator[tuple[int, dict[str, Any]]]:
    for minute_ns, minute in _all_minutes(log, level_e8, advance).minutes():
        yield minute_ns, minute_view.to_json(minute_ns, minute, decimals)


def _bar_tables(log: Log, advance: Progress) -> Iterator[pa.Table]:
    bars, last_seq = MinuteBars(), log.last_seq()
    for batch in log.read(kinds=list(minute_bars.COLUMNS), columns=minute_bars.COLUMNS):
        advance(batch.last_seq - batch.first_seq + 1, last_seq)
        bars.apply(batch)
    yield from bars.tables()
