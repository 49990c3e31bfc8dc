"""
`liquidity verify` and `liquidity transcript`: compare the decision log with a replay; print a conversation.
"""

from pathlib import Path
from typing import Annotated

import typer

from cli import console
from cli.options import ALL_NS, ConfigOption, JsonOption, MarketOption, RedisOption, StorageOption, log_source, time_of
from replay.plain_json import to_json_value
from replay.verify.tool_check import ToolVerdict, check_tools
from replay.verify.transcripts import transcript_at
from replay.verify.verify import Verdict, verify_log

_MAX_DIFFERENCES = 5  # shown, the others are counted


def verify(
    market: MarketOption = None,
    storage: StorageOption = None,
    tools: Annotated[
        bool,
        typer.Option("--verify-tools", help="only compare the data shown to models; list each decision that differs"),
    ] = False,
    redis: RedisOption = None,
    config: ConfigOption = None,
    fitted_file: Annotated[
        Path | None,
        typer.Option("--fitted", help="file of fitted coefficients, for older logs that hold only its name"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Analyse every tick of the decision log again and compare it with what was analysed live, byte for byte."""
    source = log_source(market, storage, redis, config)
    verdict: Verdict | ToolVerdict
    with (
        source.events() as log,
        source.decisions() as decisions,
        console.progress("verifying", None) as advance,
    ):
        check = check_tools if tools else verify_log
        verdict = check(log, decisions, source.market.symbol, advance, fitted_file)
    if as_json:
        console.print_json(to_json_value(verdict.as_json()))
    elif isinstance(verdict, ToolVerdict):
        _print_tools(verdict)
    else:
        _print_verdict(verdict)
    if not verdict.identical:
        raise typer.Exit(1)


def transcript(
    market: MarketOption = None,
    storage: StorageOption = None,
    moment: Annotated[
        str | None, typer.Option("--at", help="a time, e.g. 2024-01-01T12:00 (UTC); the last conversation up to it")
    ] = None,
    full: Annotated[bool, typer.Option("--whole", help="do not truncate long messages")] = False,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="the file to write instead, Markdown")] = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
) -> None:
    """Print the conversation with a model about one tick, as the decision log holds it."""
    source = log_source(market, storage, redis, config)
    with source.decisions() as decisions:
        text = "\n\n".join(transcript_at(decisions, time_of(moment, ALL_NS[1]), full))
    if out is None:
        console.show(text)
        return
    with console.writing(out):
        out.write_text(text + "\n", encoding="utf-8")
    console.show(out)


def _print_verdict(verdict: Verdict) -> None:
    for note in verdict.notes:
        console.show(note)
    console.show(f"{verdict.equal} of {verdict.total} analyses identical")
    for difference in verdict.differences[:_MAX_DIFFERENCES]:
        console.show(f"first difference at {difference['as_of']} (seq {difference['seq']}): {difference['field']}: "
              f"live {difference['live']}, replay {difference['replay']}")  # fmt: skip


def _print_tools(verdict: ToolVerdict) -> None:
    console.show(f"{verdict.equal} of {verdict.decisions} decisions were shown the same data as would be shown now")
    for change in verdict.touched:
        console.show(f"{change['as_of']} (seq {change['seq']}): {', '.join(change['tools'])}: {change['field']}: "
              f"shown {change['live']}, now {change['replay']}")  # fmt: skip
