"""
`python -m eventlog`: prove a log, bring files in, hand data out, watch it, merge its files.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

import console
from console import JsonOption, MarketOption, RedisOption, StorageOption
from eventlog import export as exports
from eventlog.batch import Rows
from eventlog.certificate_commands import certify_day, compare
from eventlog.check import Report
from eventlog.check import check as prove
from eventlog.clock import WallClock
from eventlog.cold import ColdLog
from eventlog.errors import EventLogError
from eventlog.importing import Imported, Importer
from eventlog.kinds import MARKET_KINDS, SCHEMAS
from eventlog.log import Log
from eventlog.names import LogName
from eventlog.writer import StorageLock
from exchanges.binance.archive import read_agg_trades
from exchanges.binance.raw_messages import lines
from exchanges.binance.recording import bring_in
from exchanges.errors import ExchangeError
from exchanges.logs import mapper_for, open_log, quantity_decimals
from market.timestamps import MINUTE_NS
from projections import minute_view
from projections.minute_buckets import COLUMNS, MinuteBuckets

app = console.application(__doc__ or "")
imports = typer.Typer(help="Bring recorded files into a log, each fact once.", no_args_is_help=True)
app.add_typer(imports, name="import")

MINUTE_BUCKETS = "minute_buckets"
TRADE_FILES = "trade_files"
RAW_NDJSON = "raw_ndjson"
_LONGEST_WINDOW = 10_000_000  # minutes: every minute of a log stays


class Form(StrEnum):
    """What an export is written as."""

    csv = "csv"
    json = "json"
    parquet = "parquet"


@app.command()
def check(
    market: MarketOption,
    storage: StorageOption,
    redis: RedisOption = None,
    day: Annotated[str | None, typer.Option(help="certify this UTC day of the archive: 2026-01-05")] = None,
    against: Annotated[Path | None, typer.Option(help="a certificate: has anything of its day changed?")] = None,
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="open gaps that are named do not fail")] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute what the log claims: seqs and trade ids without a hole, files as they were written."""
    if day is not None or against is not None:
        with open_log(storage, console.market_of(market), url=redis) as log:
            fine = compare(log, against, day, as_json) if against else certify_day(log, day or "", as_json, allow_gaps)
        raise typer.Exit(0 if fine else 1)
    with (
        open_log(storage, console.market_of(market), url=redis) as log,
        console.progress("checking", None) as advance,
    ):
        report = prove(log, on_progress=advance)
    if as_json:
        console.print_json(report.as_json())
    else:
        _print_report(report)
    if not (report.complete or (allow_gaps and report.sound)):
        raise typer.Exit(1)


@imports.command("binance-aggtrades")
def import_agg_trades(
    files: Annotated[list[Path], typer.Argument(help="Binance archive files: zip or CSV")],
    market: MarketOption,
    storage: StorageOption,
) -> None:
    """Import aggTrades archives (zip or CSV, with or without header, ms or µs)."""
    with _importer(market, storage) as importer, console.progress("importing", len(files)) as advance:
        for path in files:
            trades = read_agg_trades(path, quantity_decimals(importer.cold, None))
            _say(path, importer.agg_trades(str(path), trades))
            advance(1)


@imports.command("recording")
def import_recording(
    files: Annotated[list[Path], typer.Argument(help="`<receive time, ns> <message>` a line, plain or gzip")],
    market: MarketOption,
    storage: StorageOption,
) -> None:
    """Import recordings of stream messages and depth snapshots."""
    mapper = mapper_for(console.market_of(market))
    with _importer(market, storage) as importer, console.progress("importing", len(files)) as advance:
        for path in files:
            _say(path, bring_in(importer, path, mapper))
            advance(1)


@app.command("export")
def export_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="the file, or for trade_files the folder, to write")],
    market: MarketOption,
    storage: StorageOption,
    kind: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(MARKET_KINDS)}, {MINUTE_BUCKETS}, {TRADE_FILES} (a JSON a minute), "
            f"or {RAW_NDJSON} (the venue's messages)"
        ),
    ] = "agg_trade",
    form: Annotated[
        Form, typer.Option("--format", help="csv, json (a line a row) or parquet (raw integers)")
    ] = Form.csv,
    redis: RedisOption = None,
) -> None:
    """Write everything of one kind to a file."""
    with (
        open_log(storage, console.market_of(market), url=redis) as log,
        console.progress("exporting", None) as advance,
    ):
        if kind == TRADE_FILES:
            count = sum(1 for _ in exports.minute_files(_minute_views(log), output))
            print(f"{count:,} files in {output}")
            return
        if kind == RAW_NDJSON:
            raw = lines(log, log.name.market.symbol, quantity_decimals(log.cold, log.hot))
            print(f"{exports.write_lines(raw, output):,} messages in {output}")
            return
        if kind not in (*MARKET_KINDS, MINUTE_BUCKETS):
            raise console.Failure(
                f"unknown kind {kind!r}; kinds: {', '.join((*MARKET_KINDS, MINUTE_BUCKETS, TRADE_FILES, RAW_NDJSON))}"
            )
        tables = _bucket_tables(log) if kind == MINUTE_BUCKETS else _kind_tables(log, kind, advance)
        rows = exports.write(tables, output, form.value, quantity_decimals(log.cold, log.hot))
    print(f"{rows:,} rows of {kind} in {output}")


@app.command()
def tail(
    market: MarketOption,
    storage: StorageOption,
    redis: RedisOption = None,
    count: Annotated[int, typer.Option("-n", help="how many of the last entries", min=1)] = 10,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="go on as entries come")] = False,
) -> None:
    """Print the last entries of a log, a line each."""
    with open_log(storage, console.market_of(market), url=redis) as log, suppress(BrokenPipeError):
        last, decimals = log.last_seq(), quantity_decimals(log.cold, log.hot)
        for batch in log.read(max(0, last - count), last):
            _print_rows(batch.rows, decimals)
        if follow:
            if log.hot is None:
                raise console.Failure("nothing writes to this log; --follow needs a recorder's server")
            for batch in log.follow(last, lambda: False):
                _print_rows(batch.rows, decimals)


@app.command()
def compact(market: MarketOption, storage: StorageOption) -> None:
    """Merge the segments of each closed UTC day into one."""
    name = LogName("events", console.market_of(market))
    cold = ColdLog(storage, name)
    cold.refresh()
    lock = StorageLock(cold.folder, name.key)
    try:
        started = time.monotonic()
        gone = cold.compact(WallClock().now_ns())
    finally:
        lock.release()
    print(f"{gone} segments merged away in {time.monotonic() - started:.1f} s; {len(cold.catalogue.segments)} remain")


class _importer:  # noqa: N801 - used as a context manager
    def __init__(self, market: str, storage: Path) -> None:
        name = LogName("events", console.market_of(market))
        mapper_for(name.market)
        self._importer = Importer(ColdLog(storage, name), WallClock())

    def __enter__(self) -> Importer:
        return self._importer

    def __exit__(self, *_: object) -> None:
        self._importer.close()


def _say(path: Path, done: Imported) -> None:
    if done.added == 0:
        print(f"{path.name}: nothing added, all {done.known:,} entries were there already")
        return
    parts = [f"{done.added:,} entries added", f"{done.ticks:,} ticks"]
    parts += [f"{done.known:,} were there already"] if done.known else []
    parts += [f"{done.skipped:,} messages of other streams passed over"] if done.skipped else []
    parts += [f"{done.quarantined:,} quarantined"] if done.quarantined else []
    parts += [f"{done.holes:,} gaps on record"] if done.holes else []
    print(f"{path.name}: {', '.join(parts)}")


def _print_report(report: Report) -> None:
    word = "complete" if report.complete else "NOT complete"
    print(f"{report.log}: {word}")
    print(f"  entries  {report.entries:,}, seq {report.first_seq} to {report.last_seq}")
    print(f"  trades   {report.trades:,}, agg ids {report.first_agg_id} to {report.last_agg_id}")
    print("  kinds    " + ", ".join(f"{k} {n:,}" for k, n in sorted(report.kinds.items())))
    problems: dict[str, Sequence[Any]] = {
        "missing seqs no gap names": report.unnamed_seqs,
        "missing agg ids no gap names": report.unnamed_agg_ids,
        "open gaps": [f"{g['what']} {g['first']}-{g['last']} ({g['cause']})" for g in report.open_gaps],
        "given up": [f"{g['what']} {g['first']}-{g['last']} ({g['cause']})" for g in report.given_up_gaps],
        "trade ids out of chain at agg ids": report.broken_chain,
        "damaged files": report.damaged,
    }
    for what, found in problems.items():
        if found:
            shown = ", ".join(str(f) for f in found[:5]) + (" …" if len(found) > 5 else "")
            print(f"  {what}: {len(found)}: {shown}")
    if report.duplicates:
        print(f"  duplicates: {report.duplicates}")
    if report.quarantined:
        print(f"  quarantined: {report.quarantined}")
    if report.waiting_bytes:
        print(f"  waiting  {report.waiting_bytes:,} bytes on disk, not counted here; the collector stores them")


def _kind_tables(log: Log, kind: str, on_progress: Callable[[int, int], None]) -> Iterator[pa.Table]:
    last_seq = log.last_seq()
    yield SCHEMAS[kind].empty_table()  # a log without this kind still gives a file with its columns
    for batch in log.read(kinds=[kind]):
        on_progress(batch.last_seq - batch.first_seq + 1, last_seq)
        if kind in batch.rows:
            rows = batch.rows[kind]
            yield rows.columns.table.slice(rows.start, len(rows))


def _all_minutes(log: Log) -> MinuteBuckets:
    buckets = MinuteBuckets(_LONGEST_WINDOW)
    newest = 0
    for batch in log.read(kinds=["agg_trade"], columns={"agg_trade": COLUMNS}):
        buckets.apply(batch)
        if "agg_trade" in batch.rows:
            newest = max(newest, int(batch.rows["agg_trade"]["trade_time_ns"].max()))
    buckets.close(newest - newest % MINUTE_NS + MINUTE_NS)
    return buckets


def _bucket_tables(log: Log) -> Iterator[pa.Table]:
    for minute_ns, minute in _all_minutes(log).minutes():
        yield minute_view.table(minute_ns, minute)


def _minute_views(log: Log) -> Iterator[tuple[int, dict[str, object]]]:
    decimals = quantity_decimals(log.cold, log.hot)
    for minute_ns, minute in _all_minutes(log).minutes():
        yield minute_ns, minute_view.view(minute_ns, minute, decimals)


def _print_rows(rows: Mapping[str, Rows], decimals: int) -> None:
    tables = [(kind, exports.readable(r.columns.table.slice(r.start, len(r)), decimals)) for kind, r in rows.items()]
    lines: list[tuple[int, str]] = []
    for kind, table in tables:
        for row in table.to_pylist():
            seq, recv = row.pop("seq"), row.pop("recv")
            shown = {k: (v if len(str(v)) <= 60 else str(v)[:57] + "...") for k, v in row.items() if v is not None}
            lines.append((seq, f"{seq:>10} {recv} {kind:<11} " + " ".join(f"{k}={v}" for k, v in shown.items())))
    for _, line in sorted(lines):
        print(line, flush=True)


if __name__ == "__main__":
    console.run(app, (EventLogError, ExchangeError))
