"""
`liquidity signals` and `liquidity fit`: the signals of a log beside their controls, and probabilities fitted on logs.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from analysis.fitted import Logistic
from cli import console
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
from market.instrument import Market
from replay.decisions import ticks_between
from replay.errors import NothingToReplay
from replay.notes.in_sample import in_sample_notes
from replay.notes.quiet import quiet_notes
from replay.plain_json import to_json_value
from replay.scoring.rules import rules_of
from replay.signals.fitting import TrainingSet, build_training_set, fit_models
from replay.signals.signal_record import flow_r2, record_signals
from replay.signals.signal_scores import load_price_path, score_random_levels, score_signals
from replay.signals.signal_table import compare_with_targets, signal_lines
from runtime.analysis_config import analysis_config
from runtime.open_log import open_log
from runtime.settings.settings import Settings, load


def signals(
    market: MarketOption = None,
    storage: StorageOption = None,
    start: FromOption = None,
    to: ToOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score every signal and its control. VPIN and Kyle's λ have no direction; MLOFI is scored as a sum."""
    source = log_source(market, storage, redis, config)
    settings = source.settings or Settings()
    analysis = analysis_config(settings, source.market.symbol)
    rules = rules_of(settings.scoring, analysis.parameters)
    with source.events() as log:
        ticks = ticks_between(log, time_of(start, ALL_NS[0]), end_of(to))
        if len(ticks) == 0:
            raise NothingToReplay(f"{log.name} holds no tick in that time range")
        with console.progress("looking", len(ticks)) as advance:
            samples = record_signals(log, ticks, analysis, rules.publish_delay_ms * 1_000_000, advance)
        path = load_price_path(log, ticks)
    scores, chance_rates, r2 = (
        score_signals(path, samples, rules),
        score_random_levels(path, samples, rules),
        flow_r2(samples),
    )
    first_ns, last_ns = int(ticks.boundary_ns[0]), int(ticks.boundary_ns[-1])
    notes = in_sample_notes(analysis, str(source.market), first_ns, last_ns)
    notes += quiet_notes(path.minutes, ticks.boundary_ns[1:])  # the path begins with the first tick
    if as_json:
        figures = [asdict(score) | {"targets": compare_with_targets(score)} for score in scores]
        rate_rows = [asdict(rate) for rate in chance_rates]
        fields = {"notes": notes, "scores": figures, "random_levels": rate_rows, "book_flow": r2}
        console.print_json(to_json_value(fields))
    else:
        for note in notes:
            console.show(f"note: {note}")
        for line in signal_lines(scores, chance_rates, r2):
            console.show(line)


def fit(
    logs: Annotated[list[str], typer.Argument(help="logs to fit on, each MARKET@DIR, e.g. binance:BTCUSDT@data")],
    out: Annotated[Path, typer.Option("-o", "--output", help="the file to write, for analyzer.analysis.fitted_file")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the probability that a wall is pulled and that a touched zone holds, on whole logs, offline."""
    settings = load(config) if config else Settings()
    sources = [_log_of(text) for text in logs]
    models = fit_models(_learn_from(settings, sources, None))
    pull = models["pull"]
    if isinstance(pull, Logistic):  # a zone's score, which its confidence depends on, depends on it
        models["confidence"] = fit_models(_learn_from(settings, sources, pull))["confidence"]
    if not as_json:
        for name, model in models.items():
            console.show(f"{name}: {model if isinstance(model, str) else _describe(model, name)}")
    usable = {name: model for name, model in models.items() if isinstance(model, Logistic)}
    if usable:
        with console.writing(out):
            out.write_bytes(msgspec.json.format(msgspec.json.encode(usable), indent=2) + b"\n")
    if as_json:
        fields = {name: {"reason": m} if isinstance(m, str) else asdict(m) for name, m in models.items()}
        console.print_json(to_json_value({"fitted": fields, "file": str(out) if usable else None}))
    elif usable:
        console.show(out)
    if not usable:
        raise console.Failure("nothing could be fitted; use longer logs")


def _describe(model: Logistic, name: str) -> str:
    """A fit as a line: its outcomes, and for zones' probabilities whether they told zones apart on later days."""
    text = f"{model.samples:,} outcomes of {model.fit}"
    if name != "confidence":
        return text
    judged = model.resolution
    if judged is None:
        return f"{text}; not judged on later days, which needs two days and ten outcomes of each kind: a {model.word}"
    interval = "no interval" if judged.low is None else f"{judged.low:+.4f} … {judged.high:+.4f}"
    return (
        f"{text}; resolution {judged.mean:+.4f} ({interval}) of {judged.outcomes:,} outcomes of {judged.judged_on},"
        f" fitted on {judged.fitted_on}: a {model.word}"
    )


def _log_of(text: str) -> tuple[Market, Path]:
    market, separator, folder = text.partition("@")
    if not separator or not folder:
        raise console.Failure(f"{text!r} is not MARKET@DIR, e.g. binance:BTCUSDT@data")
    return Market.parse(market), Path(folder)


def _learn_from(settings: Settings, sources: Sequence[tuple[Market, Path]], pull: Logistic | None) -> list[TrainingSet]:
    """The training set of each log, under a pull probability; None for the default one."""
    training_sets = []
    for market, folder in sources:
        analysis = analysis_config(settings, market.symbol)
        if pull is not None:
            analysis = replace(analysis, parameters=replace(analysis.parameters, pull=pull))
        with open_log(folder, market) as log, console.progress(f"learning from {market}", None) as advance:
            training_sets.append(
                build_training_set(log, analysis, rules_of(settings.scoring, analysis.parameters), advance)
            )
    return training_sets
