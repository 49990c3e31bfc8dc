"""
`liquidity log`: verify a log, import and export data, show new entries, merge files, rebuild the catalogue.
"""

from cli import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()

import time
from pathlib import Path
from typing import Annotated

import typer

from cli import console
from cli.log import imports
from cli.log.certificate import certify_day, compare
from cli.log.export import export
from cli.log.rebuild import rebuild
from cli.log.tail import tail
from cli.options import ConfigOption, JsonOption, MarketOption, RedisOption, StorageOption, log_source
from eventlog.clock import WallClock
from eventlog.names import LogName
from eventlog.proof.check import Report
from eventlog.proof.check import check as prove
from eventlog.store.cold import ColdLog
from eventlog.store.writer import StorageLock

app = console.application(__doc__ or "")
app.add_typer(imports.app, name="import")
app.command("export")(export)
app.command("tail")(tail)
app.command("rebuild-catalogue")(rebuild)


@app.command()
def check(
    market: MarketOption = None,
    storage: StorageOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    day: Annotated[str | None, typer.Option(help="certify this UTC day of the archive, e.g. 2026-01-05")] = None,
    against: Annotated[
        Path | None, typer.Option(help="a certificate; report whether its day has changed since")
    ] = None,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="exit 0 even if data is missing, as long as gaps are recorded")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Verify the log: no missing sequence numbers or trade ids, file digests match."""
    if day is not None or against is not None:
        with log_source(market, storage, redis, config).events() as log:
            is_sound = (
                compare(log, against, day, as_json) if against else certify_day(log, day or "", as_json, allow_gaps)
            )
        raise typer.Exit(0 if is_sound else 1)
    with (
        log_source(market, storage, redis, config).events() as log,
        console.progress("checking", None) as advance,
    ):
        report = prove(log, on_progress=advance)
    if as_json:
        console.print_json(report.as_json())
    else:
        _print_report(report)
    if not (report.complete or (allow_gaps and report.sound)):
        raise typer.Exit(1)


@app.command()
def compact(
    market: MarketOption = None,
    storage: StorageOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Merge the archive's files of each closed UTC day."""
    source = log_source(market, storage, None, config)
    name = LogName("events", source.market)
    cold = ColdLog(source.storage, name)
    cold.refresh()
    lock = StorageLock(cold)
    try:
        start_s = time.monotonic()
        merged_count = cold.compact(WallClock().now_ns())
    finally:
        lock.release()
    seconds, remaining = round(time.monotonic() - start_s, 1), len(cold.catalogue.segments)
    if as_json:
        console.print_json({"log": str(name), "merged_away": merged_count, "segments": remaining, "seconds": seconds})
    else:
        console.show(f"{merged_count} segments merged away in {seconds} s; {remaining} remain")


def _span(first: int | None, last: int | None) -> str:
    return "none" if first is None else f"{first} to {last}"


def _print_report(report: Report) -> None:
    word = "complete" if report.complete else "NOT complete"
    console.show(f"{report.log}: {word}")
    console.show(f"  entries  {report.entries:,}, seq {_span(report.first_seq, report.last_seq)}")
    console.show(f"  trades   {report.trades:,}, agg ids {_span(report.first_agg_id, report.last_agg_id)}")
    console.show("  kinds    " + ", ".join(f"{k} {n:,}" for k, n in sorted(report.kinds.items())))
    if report.trades_complete and not report.complete:
        console.show("  every trade is there; what is missing is not a trade:")
    for reason in report.reasons:
        console.show(f"  {reason}")
    if report.quarantined:
        console.show(f"  quarantined: {report.quarantined}")
    if report.unlisted:
        console.show(f"  {len(report.unlisted):,} files are not in the catalogue; the next write moves them to aside/")
    if report.waiting_bytes:
        console.show(f"  waiting  {report.waiting_bytes:,} bytes on disk, not counted here; the collector stores them")


if __name__ == "__main__":
    console.run(app)
