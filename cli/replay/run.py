"""
`liquidity replay run`: recorded days through the same analysis as live, with scores of every recommendation.
"""

import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cli import console
from cli.asking import ConcurrencyOption, OutOption, RepeatsOption, WorkersOption, YesOption
from cli.consent import spend_policy
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
from cli.replay.finished import compare, print_run, report, run_to_json
from eventlog.clock import WallClock
from replay.errors import NothingDecided
from replay.runs.own_zones import NAME as OWN_ZONES
from replay.runs.own_zones import read_own_zones
from replay.runs.run import Request, Result
from replay.runs.run import run as replay
from replay.scoring.rules import rules_of
from runtime.analysis_config import analysis_config
from runtime.settings.settings import Settings

# Python's own 700 is for programs with many circles; a tick makes none, and looking for them takes 3 % of a day.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def run(
    market: MarketOption = None,
    storage: StorageOption = None,
    start: FromOption = None,
    to: ToOption = None,
    analyst: Annotated[
        str, typer.Option(help="who decides: rules, recorded (a model's live answers) or deepseek")
    ] = "rules",
    zones: Annotated[
        Path | None,
        typer.Option(
            help="a file of your own zones in place of an analyst: CSV or Parquet, as_of_seq, side, low, high, weight"
        ),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines",
            help="score what anyone could advise as well: mirrored, an hour old, POCs, walls, market makers' quotes",
        ),
    ] = False,
    repeats: RepeatsOption = 1,
    concurrency: ConcurrencyOption = 8,
    yes: YesOption = False,
    workers: WorkersOption = 1,
    out: OutOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a time range of a log, score every recommendation, write a run folder with a report."""
    source = log_source(market, storage, redis, config)
    settings, runs_dir = source.settings or Settings(), source.runs_dir(out)
    analysis = analysis_config(settings, source.market.symbol)
    rules = rules_of(settings.scoring, analysis.parameters)
    request = Request(str(source.market), time_of(start, ALL_NS[0]), end_of(to), analysis, rules, baselines=baselines)
    if zones is None:
        requests = requests_of(request, analyst, source, runs_dir, repeats, spend_policy(yes, concurrency))
    elif analyst != "rules" or repeats != 1:
        raise console.Failure("--zones takes the place of an analyst; leave out --analyst and --repeats")
    else:
        requests = [replace(request, analyst=OWN_ZONES, own_zones=read_own_zones(zones))]
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    decisions = source.decisions if source.has_decisions else None
    results: list[Result] = []
    failures: list[NothingDecided | None] = []
    for item in requests:
        with console.progress("replaying", None) as advance:
            try:
                results.append(replay(source.events, item, runs_dir, workers, WallClock(), advance, decisions))
                failures.append(None)
            except NothingDecided as error:
                if error.result is None:
                    raise
                results.append(error.result)
                failures.append(error)
    _print_results(results, failures, as_json)


def _print_results(results: Sequence[Result], failures: Sequence[NothingDecided | None], as_json: bool) -> None:
    """Print the result of each repeat; without figures where the model decided nothing."""
    errors = [error for error in failures if error is not None]
    if as_json:
        documents = [run_to_json(r, None if e is None else str(e)) for r, e in zip(results, failures, strict=True)]
        console.print_json(documents[0] if len(documents) == 1 else documents)
    else:
        for result, error in zip(results, failures, strict=True):
            if error is None:
                print_run(result)
    if errors:
        raise ExceptionGroup("the model decided nothing", errors)
    if any(result.differing_files for result in results):
        raise typer.Exit(1)


app = console.application("Replay recorded days through the analysis, score every recommendation, compare runs.")
for _command in (run, compare, report):
    app.command()(_command)
