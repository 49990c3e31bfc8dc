"""
`python -m replay`: run recorded days through the analysis, prove live and replay equal, compare runs.
"""

from cli import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli import console
from cli.consent import patience
from cli.console import JsonOption, MarketOption, RedisOption, StorageOption
from cli.replay.pictures import ALL_NS, ConfigOption, FromOption, ToOption, end_of, fit, picture, signals
from cli.replay.records import transcript, verify
from cli.replay.runs import compare, json_of, print_run, report
from cli.trials import ConcurrencyOption, Place, RepeatsOption, YesOption, ab, probe, requests_of
from eventlog.clock import WallClock
from replay.errors import NothingDecided
from replay.runs.run import Request, Result
from replay.runs.run import run as replay
from replay.scoring.rules import rules_of
from runtime.analysis_config import sight_of
from runtime.settings.settings import Settings, load

app = console.application(__doc__ or "")


@app.command()
def run(
    market: MarketOption,
    storage: StorageOption,
    start: FromOption = None,
    to: ToOption = None,
    analyst: Annotated[str, typer.Option(help="who decides: rules, recorded or deepseek")] = "rules",
    repeats: RepeatsOption = 1,
    concurrency: ConcurrencyOption = 8,
    yes: YesOption = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="processes that share the ticks")] = 1,
    out: Annotated[Path, typer.Option("--out", help="the folder of all runs")] = Path("runs"),
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a stretch of log, score every recommendation, write the run folder and its report."""
    chosen = load(config) if config else None
    settings = chosen or Settings()
    named = console.market_of(market)
    sight = sight_of(settings, named.symbol)
    request = Request(
        str(named), console.time_of(start, ALL_NS[0]), end_of(to), sight, rules_of(settings.scoring, sight.parameters)
    )
    place = Place(named, storage, redis, out)
    requests = requests_of(request, analyst, place, chosen, repeats, patience(yes, concurrency))
    results: list[Result] = []
    undecided: list[NothingDecided | None] = []
    for each in requests:
        with console.progress("replaying", None) as advance:
            try:
                results.append(replay(place.events, each, out, workers, WallClock(), advance, place.decisions))
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


for _command in (compare, report, picture, fit, signals, verify, transcript, ab, probe):
    app.command()(_command)


if __name__ == "__main__":
    console.run(app)
