"""
`python -m replay`: run recorded days through the analysis, prove live and replay equal, compare runs.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

import console
from analysis.fitted import Logistic
from console import JsonOption, MarketOption, RedisOption, StorageOption
from eventlog.clock import WallClock
from eventlog.errors import EventLogError
from exchanges.logs import open_log
from experiments.consent import patience
from experiments.model_commands import ConcurrencyOption, Place, RepeatsOption, YesOption, ab, probe, requests_of
from market.instrument import Market
from market.timestamps import DAY_NS
from replay import runs
from replay.decisions import ticks_between
from replay.errors import NothingToReplay, ReplayError
from replay.fitting import Learned, learn
from replay.fitting import fitted as fits_of
from replay.picture import draw
from replay.price_path import READS, PricePath
from replay.record_commands import transcript, verify
from replay.report import render
from replay.run import Request, Result
from replay.run import run as replay
from replay.scene import scene_at
from replay.sight import rules_of, sight_of
from replay.signal_record import flow_r2, gather
from replay.signal_scores import path_after, random_levels, score_signals
from replay.signal_table import signal_lines
from settings import Settings, SettingsError, load

app = console.application(__doc__ or "")
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="settings file; without one the defaults analyse and score")
]
_ALL = (0, 2**62)


@app.command()
def run(
    market: MarketOption,
    storage: StorageOption,
    start: Annotated[str | None, typer.Option("--from", help="first moment, e.g. 2024-01-01 (UTC)")] = None,
    to: Annotated[str | None, typer.Option("--to", help="last moment; a date means its end")] = None,
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
        str(named), console.time_of(start, _ALL[0]), _end_of(to), sight, rules_of(settings.scoring, sight.parameters)
    )
    place = Place(named, storage, redis, out)
    requests = requests_of(request, analyst, place, chosen, repeats, patience(yes, concurrency))
    results = []
    for each in requests:
        with console.progress("replaying", None) as advance:
            results.append(replay(place.events, each, out, workers, WallClock(), advance, place.decisions))
    if as_json:
        told = [r.manifest | {"folder": str(r.folder), "different": r.again} for r in results]
        console.print_json(told[0] if len(told) == 1 else told)
    else:
        for result in results:
            _print_result(result)
    if any(result.again for result in results):
        raise typer.Exit(1)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="a run folder")],
    b: Annotated[Path, typer.Argument(help="another")],
    as_json: JsonOption = False,
) -> None:
    """Two runs side by side: inputs that differ, recommendations that agree, every figure."""
    found = runs.compare(runs.load(a), runs.load(b))
    if as_json:
        console.print_json(found)
        return
    for name, (one, two) in found["inputs"].items():
        print(f"{name}: {one} | {two}")
    print(f"{found['equal_recommendations']} of {found['common_ticks']} common ticks have equal recommendations")
    print(f"{'figure':<24}{'per':<14}{'model':<9}{'a':>10}{'b':>10}{'b - a':>10}")
    for row in found["figures"]:
        cells = [("–" if row[k] is None else f"{row[k]:.3f}") for k in ("a", "b", "difference")]
        print(f"{row['metric']:<24}{row['unit']:<14}{row['model'] or '':<9}" + "".join(f"{c:>10}" for c in cells))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="a run folder")],
    storage: StorageOption,
    redis: RedisOption = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="the file to write; by default report.html there")
    ] = None,
) -> None:
    """Draw a run's report again from its tables and the log it was made from."""
    found = runs.load(folder)
    inputs = found.manifest["inputs"]
    first, last = inputs["seq"]
    with open_log(storage, console.market_of(inputs["market"]), url=redis) as log:
        path = PricePath.of(log.read(first - 1, last, list(READS), READS))
    tables = {name: found.table(name) for name in ("recommendations", "episodes", "orders", "fills", "scores")}
    target = out or folder / "report.html"
    try:
        target.write_text(render(found.manifest, tables, path), encoding="utf-8")
    except OSError as error:
        raise console.Failure(f"cannot write {target}: {error.strerror}") from error
    print(target)


@app.command()
def picture(
    market: MarketOption,
    storage: StorageOption,
    at: Annotated[str, typer.Option("--at", help="a moment, e.g. 2024-01-01T12:00 (UTC); the last tick up to it")],
    out: Annotated[Path, typer.Option("-o", "--output", help="the file to write: .png or .svg")],
    redis: RedisOption = None,
    config: ConfigOption = None,
) -> None:
    """Draw what was known at a tick: the books of the last hour, price, profile, walls with their lives, zones."""
    if out.suffix.lower() not in (".png", ".svg"):
        raise console.Failure(f"{out} must end in .png or .svg")
    named = console.market_of(market)
    settings = load(config) if config else Settings()
    with open_log(storage, named, "events", redis) as log:
        scene = scene_at(log, console.time_of(at, _ALL[1]), sight_of(settings, named.symbol))
    try:
        draw(scene, out)
    except OSError as error:
        raise console.Failure(f"cannot write {out}: {error.strerror}") from error
    print(out)


@app.command()
def fit(
    logs: Annotated[list[str], typer.Argument(help="logs to learn from, each MARKET@DIR, e.g. binance:BTCUSDT@data")],
    out: Annotated[Path, typer.Option("-o", "--output", help="the file to write, for analyzer.analysis.fitted_file")],
    config: ConfigOption = None,
) -> None:
    """Fit the probability that a wall is pulled and that a touched zone holds, on whole logs, offline."""
    settings = load(config) if config else Settings()
    places = [_place(each) for each in logs]
    found = fits_of(_learned(settings, places, None))
    pull = found["pull"]
    if isinstance(pull, Logistic):  # a zone's score, which its confidence depends on, depends on it
        found["confidence"] = fits_of(_learned(settings, places, pull))["confidence"]
    for name, model in found.items():
        print(f"{name}: {model if isinstance(model, str) else f'{model.samples:,} outcomes of {model.fit}'}")
    usable = {name: model for name, model in found.items() if isinstance(model, Logistic)}
    if not usable:
        raise console.Failure("nothing could be fitted; learn from longer logs")
    try:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(usable), indent=2) + b"\n")
    except OSError as error:
        raise console.Failure(f"cannot write {out}: {error.strerror}") from error
    print(out)


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


@app.command()
def signals(
    market: MarketOption,
    storage: StorageOption,
    start: Annotated[str | None, typer.Option("--from", help="first moment, e.g. 2024-01-01 (UTC)")] = None,
    to: Annotated[str | None, typer.Option("--to", help="last moment; a date means its end")] = None,
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
        ticks = ticks_between(log, console.time_of(start, _ALL[0]), _end_of(to))
        if len(ticks) == 0:
            raise NothingToReplay(f"{log.name} holds no tick in that stretch")
        with console.progress("looking", len(ticks)) as advance:
            seen = gather(log, ticks, sight, rules.publish_delay_ms * 1_000_000, advance)
        path = path_after(log, ticks)
    scores, chance, explained = score_signals(path, seen, rules), random_levels(path, seen, rules), flow_r2(seen)
    if as_json:
        rates = [asdict(each) for each in chance]
        console.print_json({"scores": [asdict(s) for s in scores], "random_levels": rates, "book_flow": explained})
    else:
        for line in signal_lines(scores, chance, explained):
            print(line)


app.command()(verify)
app.command()(transcript)
app.command()(ab)
app.command()(probe)


def _end_of(to: str | None) -> int:
    return min(console.time_of(to, _ALL[1]) + (DAY_NS if to and _is_date(to) else 0), _ALL[1])


def _is_date(text: str) -> bool:
    return not set(text.strip()) & set("Tt :")


def _print_result(result: Result) -> None:
    manifest = result.manifest
    print(
        f"run {manifest['run_id']}: {manifest['analyses']:,} analyses, "
        f"{manifest['recommendations']:,} recommendations, "
        f"{manifest['with_zones']:,} with zones, {manifest['episodes']:,} episodes"
    )
    for note in manifest["notes"]:
        print(f"note: {note}")
    print_scores(runs.load(result.folder).table("scores").to_pylist())
    if result.again is not None:
        print("this run existed: " + (f"DIFFERENT in {', '.join(result.again)}" if result.again else "identical again"))
    print(f"report: {result.folder / 'report.html'}")


def print_scores(rows: list[dict[str, Any]]) -> None:
    """The score table for a terminal."""
    print(f"{'figure':<22}{'model':<9}{'advice':>9}{'placebo':>9}   {'95 % of difference':<22}{'n':>7}  p")
    for row in rows:
        if row["unit"] == "every minute":
            continue
        interval = f"{row['low']:+.3f} … {row['high']:+.3f}" if row["low"] is not None else "–"
        chance = "" if row["blocks"] is None else "too few blocks" if row["p"] is None else f"{row['p']:.3f}"
        cells = [("–" if row[k] is None else f"{row[k]:.3f}") for k in ("advice", "placebo")]
        print(
            f"{row['metric']:<22}{row['model'] or '':<9}{cells[0]:>9}{cells[1]:>9}   {interval:<22}"
            f"{row['samples']:>7,}  {chance}".rstrip()
        )


if __name__ == "__main__":
    console.run(app, (EventLogError, ReplayError, SettingsError))
