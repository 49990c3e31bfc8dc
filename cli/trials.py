"""
`liquidity trials`: models on recorded days: two setups compared, or one tested for robustness.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from agents.rules import RulesAnalyst
from cli import console
from cli.asking import (
    ConcurrencyOption,
    OutOption,
    RepeatsOption,
    WorkersOption,
    YesOption,
    memory_notes,
    model_setup,
    ticks_of,
)
from cli.consent import progress_bar, spend_policy
from cli.options import (
    ConfigOption,
    FromOption,
    JsonOption,
    LogSource,
    MarketOption,
    RedisOption,
    StorageOption,
    ToOption,
    log_source,
)
from eventlog.clock import WallClock
from replay.decisions import Ticks
from replay.errors import NothingToReplay
from replay.notes.in_sample import in_sample_notes
from replay.plain_json import to_json_value
from replay.scoring.outcomes import HORIZONS_S
from replay.scoring.rules import rules_of
from replay.trials.ab import minute_ticks
from replay.trials.asking import SpendPolicy, get_answers
from replay.trials.changes import NO_CHANGE, MarketChange
from replay.trials.counterfactual import live_ticks
from replay.trials.experiment import ExperimentConfig, experiment_lines, run_experiment
from replay.trials.minute_scores import scores_of
from replay.trials.probe import Decisions, market_changes, probe_lines, select_every_nth, share_lines
from replay.trials.probe import probe as probed
from runtime.analysis_config import analysis_config
from runtime.analysts import MODEL
from runtime.model_config import prompts_of, questions_of
from runtime.settings.settings import Settings, load

_NOTHING_TO_FOLLOW = "There is no decision to compare with: fix the cause, or choose another time range"
_SHIFTS = (-1, 1)  # ticks by which prices are moved: a decision must not hang on one


def ab(
    market: MarketOption = None,
    storage: StorageOption = None,
    prompts: Annotated[
        tuple[str, str] | None, typer.Option("--prompts", help="two prompt variants, or folders of prompts")
    ] = None,
    config_a: Annotated[
        Path | None, typer.Option("--config-a", help="settings file of side A, to vary more than prompts")
    ] = None,
    config_b: Annotated[Path | None, typer.Option("--config-b", help="settings file of side B")] = None,
    start: FromOption = None,
    to: ToOption = None,
    repeats: RepeatsOption = 1,
    horizons: Annotated[
        str, typer.Option(help="values of orders to compare: seconds after a fill")
    ] = "10,60,300,900,3600",
    concurrency: ConcurrencyOption = 8,
    yes: YesOption = False,
    workers: WorkersOption = 1,
    out: OutOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a model in two ways about the same recorded minutes, and compare the scores minute by minute."""
    source = log_source(market, storage, redis, config)
    one, two = _sides(prompts, source.settings, config_a, config_b)
    ticks = minute_ticks(ticks_of(source, start, to))
    if len(ticks) == 0:
        raise NothingToReplay("no tick of that time range is on a whole minute, and only whole minutes are paired")
    rules = rules_of(one.scoring, analysis_config(one, source.market.symbol).parameters)
    experiment_config = ExperimentConfig(rules, repeats, scores_of(_horizons(horizons)), workers)
    notes = [note for side in (one, two) for note in (*memory_notes(side, ticks), *_in_sample(source, side, ticks))]
    notes = list(dict.fromkeys(notes))
    _print_notes(notes)
    policy = spend_policy(yes, concurrency, 2)
    runs_dir = source.runs_dir(out)
    setups = (model_setup(source, one, runs_dir), model_setup(source, two, runs_dir))
    result = run_experiment(*setups, ticks, experiment_config, policy, WallClock(), progress_bar("scoring"))
    if as_json:
        console.print_json(to_json_value(result.as_json() | {"notes": notes}))
        return
    for line in experiment_lines(result):
        console.show(line)


def probe(
    market: MarketOption = None,
    storage: StorageOption = None,
    start: FromOption = None,
    to: ToOption = None,
    every_n: Annotated[int, typer.Option("--every", min=1, help="use every n-th tick")] = 10,
    analyst: Annotated[str, typer.Option(help=f"who decides: rules or {MODEL}")] = "rules",
    concurrency: ConcurrencyOption = 8,
    yes: YesOption = False,
    out: OutOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Robustness test: does the decision follow when prices are shifted, symbol and dates changed, bids and asks swapped?
    """
    if analyst not in ("rules", MODEL):
        raise console.Failure(f"unknown analyst {analyst!r}; known here: rules, {MODEL}")
    source = log_source(market, storage, redis, config)
    settings, runs_dir = source.settings or Settings(), source.runs_dir(out)
    with source.events() as log:
        candidates = select_every_nth(ticks_of(source, start, to), every_n)
        ticks = live_ticks(log, candidates)
        views = model_setup(source, settings, runs_dir).views(log, ticks)
        first = next((v for v in views if v.reference_e8 is not None), None)
    if first is None or first.reference_e8 is None:
        raise NothingToReplay(
            f"trades are live with a price at none of the {len(candidates)} ticks used (--every {every_n}), so there "
            "is none to shift; --every 1 uses all ticks of the time range"
        )
    notes = memory_notes(settings, ticks) if analyst == MODEL else []
    _print_notes(notes)
    shifts = market_changes(first.reference_e8, first.tick_size_e8, _SHIFTS)
    policy = spend_policy(yes, concurrency, len(shifts) + 2)
    decide = partial(_decisions, source, settings, runs_dir, ticks, analyst, policy)
    rows = probed(decide, shifts, first.tick_size_e8, analyst == MODEL)
    for line in share_lines(rows):
        typer.echo(line, err=True)
    if as_json:
        console.print_json(
            to_json_value({"analyst": analyst, "changes": [row.as_json() for row in rows], "notes": notes})
        )
        return
    for line in probe_lines(rows):
        console.show(line)


def _in_sample(source: LogSource, settings: Settings, ticks: Ticks) -> list[str]:
    config = analysis_config(settings, source.market.symbol)
    return in_sample_notes(config, str(source.market), int(ticks.boundary_ns[0]), int(ticks.boundary_ns[-1]))


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {console.visible(note)}", err=True)


def _decisions(
    source: LogSource,
    settings: Settings,
    out: Path,
    ticks: Ticks,
    analyst: str,
    policy: SpendPolicy,
    change: MarketChange,
    repeat: int,
) -> Decisions:
    setup = model_setup(source, settings, out, change)
    parameters = setup.config.parameters
    if analyst == MODEL:
        answers = get_answers(setup, ticks, repeat + 1, policy, WallClock())
        if change == NO_CHANGE:
            repeats = range(repeat, repeat + 1)
            answers.totals(repeats).share.expect_any(answers.complaint(repeats), _NOTHING_TO_FOLLOW)
        decider = answers.make_analyst(repeat, setup.questions)(parameters)
    else:
        decider = RulesAnalyst(parameters)
    with source.events() as log:
        return {view.as_of_seq: decider.decide(view) for view in setup.views(log, ticks)}


def _sides(
    prompts: tuple[str, str] | None, base: Settings | None, config_a: Path | None, config_b: Path | None
) -> tuple[Settings, Settings]:
    if (config_a is None) != (config_b is None):
        raise console.Failure("--config-a and --config-b belong together; give both, or --config and --prompts")
    if prompts is None and config_a is None:
        raise console.Failure("nothing to compare; give two variants with --prompts A B, or --config-a and --config-b")
    settings_pair = [load(path) if path else base or Settings() for path in (config_a, config_b)]
    if prompts is not None:
        settings_pair = [_with_prompts(settings, name) for settings, name in zip(settings_pair, prompts, strict=True)]
    for settings in settings_pair:
        prompts_of(questions_of(settings.analyzer.deepseek))  # both must be readable before anything is asked
    return settings_pair[0], settings_pair[1]


def _with_prompts(settings: Settings, variant: str) -> Settings:
    model_settings = settings.analyzer.deepseek.model_copy(update={"prompts": variant})
    analyzer = settings.analyzer.model_copy(update={"deepseek": model_settings})
    return settings.model_copy(update={"analyzer": analyzer})


def _horizons(text: str) -> list[int]:
    names = text.replace(" ", "").split(",")
    if not set(names) <= {str(h) for h in HORIZONS_S}:
        choices = ", ".join(str(h) for h in HORIZONS_S)
        raise console.Failure(
            f"--horizons {text!r}: known are {choices} seconds; give some of them, separated by commas"
        )
    return [int(h) for h in names]


app = console.application(__doc__ or "")
for _command in (ab, probe):
    app.command()(_command)
