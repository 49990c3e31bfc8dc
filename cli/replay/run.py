"""
`liquidity replay run`: recorded days through the very same analysis, every recommendation scored.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli import console
from cli.asking import ConcurrencyOption, RepeatsOption, WorkersOption, YesOption
from cli.consent import patience
from cli.options import (
    ALL_NS,
    ConfigOption,
    FromOption,
    JsonOption,
    MarketOption,
    RedisOption,
    StorageOption,
    ToOption,
    end_of,
    log_source,
    time_of,
)
from cli.replay.answers import requests_of
from cli.replay.finished import compare, json_of, print_run, report
from eventlog.clock import WallClock
from replay.errors import NothingDecided
from replay.runs.run import Request, Result
from replay.runs.run import run as replay
from replay.scoring.rules import rules_of
from runtime.analysis_config import analysis_config
from runtime.settings.settings import Settings


def run(
    market: MarketOption = None,
    storage: StorageOption = None,
    start: FromOption = None,
    to: ToOption = None,
    analyst: Annotated[str, typer.Option(help="who decides: rules, recorded or deepseek")] = "rules",
    repeats: RepeatsOption = 1,
    concurrency: ConcurrencyOption = 8,
    yes: YesOption = False,
    workers: WorkersOption = 1,
    out: Annotated[Path, typer.Option("--out", help="the folder of all runs")] = Path("runs"),
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a stretch of log, score every recommendation, write the run folder and its report."""
    source = log_source(market, storage, redis, config)
    settings = source.settings or Settings()
    sight = analysis_config(settings, source.market.symbol)
    rules = rules_of(settings.scoring, sight.parameters)
    request = Request(str(source.market), time_of(start, ALL_NS[0]), end_of(to), sight, rules)
    requests = requests_of(request, analyst, source, out, repeats, patience(yes, concurrency))
    decisions = source.decisions if source.has_decisions else None
    results: list[Result] = []
    undecided: list[NothingDecided | None] = []
    for each in requests:
        with console.progress("replaying", None) as advance:
            try:
                results.append(replay(source.events, each, out, workers, WallClock(), advance, decisions))
                undecided.append(None)
            except NothingDecided as error:
                if error.result is None:
                    raise
                results.append(error.result)
                undecided.append(error)
    _tell(results, undecided, as_json)


def _tell(results: Sequence[Result], undecided: Sequence[NothingDecided | None], as_json: bool) -> None:
    """What each repeat came to; a screen is shown no figures of one at which the model decided nothing."""
    errors = [error for error in undecided if error is not None]
    if as_json:
        told = [json_of(r, None if e is None else str(e)) for r, e in zip(results, undecided, strict=True)]
        console.print_json(told[0] if len(told) == 1 else told)
    else:
        for result, error in zip(results, undecided, strict=True):
            if error is None:
                print_run(result)
    if errors:
        raise ExceptionGroup("the model decided nothing", errors)
    if any(result.again for result in results):
        raise typer.Exit(1)


app = console.application("Run recorded days through the analysis, score every recommendation, compare runs.")
for _command in (run, compare, report):
    app.command()(_command)
