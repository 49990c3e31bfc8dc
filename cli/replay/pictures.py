"""
What is seen in a log, as commands: a picture of a tick, every signal beside its control, and what a log teaches.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from analysis.fitted import Logistic
from cli import console
from cli.console import JsonOption, MarketOption, RedisOption, StorageOption
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from market.instrument import Market
from market.timestamps import DAY_NS, iso
from replay.decisions import ticks_between
from replay.errors import NothingToReplay
from replay.pictures.picture import draw
from replay.pictures.scene import scene_at, tick_at
from replay.plain_json import plain
from replay.scoring.quiet import quiet_notes
from replay.scoring.rules import rules_of
from replay.signals.fitting import Learned, fitted, learn
from replay.signals.signal_record import flow_r2, gather
from replay.signals.signal_scores import path_after, random_levels, score_signals
from replay.signals.signal_table import against_targets, signal_lines
from replay.verify.origin import Origin, origin_at
from replay.verify.verify import sight_of_session
from runtime.analysis_config import Sight, sight_of
from runtime.open_log import open_log
from runtime.settings.settings import Settings, load

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="settings file; without one the defaults analyse and score")
]
FromOption = Annotated[str | None, typer.Option("--from", help="first moment, e.g. 2024-01-01 (UTC)")]
ToOption = Annotated[str | None, typer.Option("--to", help="last moment; a date means its end")]

ALL_NS = (0, 2**62)
"""From before the first tick of any log to after the last."""


def end_of(to: str | None) -> int:
    """The moment that --to names, the end of a day where it names a date alone."""
    is_date = to is not None and not set(to.strip()) & set("Tt :")
    return min(console.time_of(to, ALL_NS[1]) + (DAY_NS if is_date else 0), ALL_NS[1])


def picture(
    market: MarketOption,
    storage: StorageOption,
    at: Annotated[str, typer.Option("--at", help="a moment, e.g. 2024-01-01T12:00 (UTC); the last tick up to it")],
    out: Annotated[Path, typer.Option("-o", "--output", help="the file to write: .png or .svg")],
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Draw what was known at a tick: the books of the last hour, price, profile, walls with their lives, and the zones
    that were published; where the market has no decision log, those of the rules.
    """
    if out.suffix.lower() not in (".png", ".svg"):
        raise console.Failure(f"{out} must end in .png or .svg")
    named, until = console.market_of(market), console.time_of(at, ALL_NS[1])
    with open_log(storage, named, "events", redis) as log:
        seq, _ = tick_at(log, until)
        origin = None
        if ColdLog(storage, LogName("decisions", named)).exists():
            with open_log(storage, named, "decisions", redis) as decisions:
                origin = origin_at(decisions, seq)
        scene = scene_at(log, until, _sight_for(config, named, origin), origin)
    with console.writing(out):
        draw(scene, out)
    if as_json:
        zones = None if scene.advice is None else json.loads(scene.advice.render())["zones"]
        told = {"picture": str(out), "as_of": iso(scene.as_of_ns), "as_of_seq": seq, "origin": scene.origin}
        console.print_json(plain(told | {"zones": zones}))
    else:
        typer.echo(f"note: {scene.origin}", err=True)
        console.show(out)


def _sight_for(config: Path | None, market: Market, origin: Origin | None) -> Sight:
    """What a tick is looked at with: the settings named, those it was analysed under, or the defaults."""
    if config is None and origin is not None and origin.session is not None:
        return sight_of_session(origin.session, market.symbol, None)
    return sight_of(load(config) if config else Settings(), market.symbol)


def signals(
    market: MarketOption,
    storage: StorageOption,
    start: FromOption = None,
    to: ToOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every signal beside its control, and how sure. VPIN and Kyle's λ name no direction; MLOFI is judged as a sum."""
    named = console.market_of(market)
    settings = load(config) if config else Settings()
    sight = sight_of(settings, named.symbol)
    rules = rules_of(settings.scoring, sight.parameters)
    with open_log(storage, named, "events", redis) as log:
        ticks = ticks_between(log, console.time_of(start, ALL_NS[0]), end_of(to))
        if len(ticks) == 0:
            raise NothingToReplay(f"{log.name} holds no tick in that stretch")
        with console.progress("looking", len(ticks)) as advance:
            seen = gather(log, ticks, sight, rules.publish_delay_ms * 1_000_000, advance)
        path = path_after(log, ticks)
    scores, chance, explained = score_signals(path, seen, rules), random_levels(path, seen, rules), flow_r2(seen)
    notes = quiet_notes(path, ticks.boundary_ns[1:])  # the path begins with the first tick
    if as_json:
        figures = [asdict(score) | {"targets": against_targets(score)} for score in scores]
        rates = [asdict(each) for each in chance]
        told = {"notes": notes, "scores": figures, "random_levels": rates, "book_flow": explained}
        console.print_json(plain(told))
    else:
        for note in notes:
            console.show(f"note: {note}")
        for line in signal_lines(scores, chance, explained):
            console.show(line)


def fit(
    logs: Annotated[list[str], typer.Argument(help="logs to learn from, each MARKET@DIR, e.g. binance:BTCUSDT@data")],
    out: Annotated[Path, typer.Option("-o", "--output", help="the file to write, for analyzer.analysis.fitted_file")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the probability that a wall is pulled and that a touched zone holds, on whole logs, offline."""
    settings = load(config) if config else Settings()
    places = [_place(each) for each in logs]
    found = fitted(_learned(settings, places, None))
    pull = found["pull"]
    if isinstance(pull, Logistic):  # a zone's score, which its confidence depends on, depends on it
        found["confidence"] = fitted(_learned(settings, places, pull))["confidence"]
    if not as_json:
        for name, model in found.items():
            console.show(f"{name}: {model if isinstance(model, str) else f'{model.samples:,} outcomes of {model.fit}'}")
    usable = {name: model for name, model in found.items() if isinstance(model, Logistic)}
    if usable:
        with console.writing(out):
            out.write_bytes(msgspec.json.format(msgspec.json.encode(usable), indent=2) + b"\n")
    if as_json:
        told = {name: {"reason": m} if isinstance(m, str) else asdict(m) for name, m in found.items()}
        console.print_json(plain({"fitted": told, "file": str(out) if usable else None}))
    elif usable:
        console.show(out)
    if not usable:
        raise console.Failure("nothing could be fitted; learn from longer logs")


def _place(text: str) -> tuple[Market, Path]:
    market, at, folder = text.partition("@")
    if not at or not folder:
        raise console.Failure(f"{text!r} is not MARKET@DIR, e.g. binance:BTCUSDT@data")
    return console.market_of(market), Path(folder)


def _learned(settings: Settings, places: Sequence[tuple[Market, Path]], pull: Logistic | None) -> list[Learned]:
    """What each log teaches, under a pull probability."""
    learned = []
    for market, folder in places:
        sight = sight_of(settings, market.symbol)
        if pull is not None:
            sight = replace(sight, parameters=replace(sight.parameters, pull=pull))
        with open_log(folder, market) as log, console.progress(f"learning from {market}", None) as advance:
            learned.append(learn(log, sight, rules_of(settings.scoring, sight.parameters), advance))
    return learned
