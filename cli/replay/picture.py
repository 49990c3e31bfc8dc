"""
`liquidity picture`: draws what was known at a tick.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli import console
from cli.options import (
    ALL_NS,
    ConfigOption,
    JsonOption,
    LogSource,
    MarketOption,
    RedisOption,
    StorageOption,
    log_source,
    time_of,
)
from market.timestamps import iso
from replay.pictures.picture import draw
from replay.pictures.scene import build_scene, find_tick
from replay.plain_json import to_json_value
from replay.verify.origin import Origin, find_origin
from replay.verify.verify import config_of_session
from runtime.analysis_config import AnalysisConfig, analysis_config
from runtime.settings.settings import Settings


def picture(
    moment: Annotated[
        str, typer.Option("--at", help="a time, e.g. 2024-01-01T12:00 (UTC); draws the last tick up to it")
    ],
    out: Annotated[Path, typer.Option("-o", "--output", help="the file to write: .png or .svg")],
    market: MarketOption = None,
    storage: StorageOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Draw the analysis of one tick: the books of the last hour, price, profile, walls with their lives, and the zones
    that were published; if the market has no decision log, the zones of the rules.
    """
    if out.suffix.lower() not in (".png", ".svg"):
        raise console.Failure(f"{out} must end in .png or .svg")
    source, until = log_source(market, storage, redis, config), time_of(moment, ALL_NS[1])
    with source.events() as log:
        seq, _ = find_tick(log, until)
        origin = None
        if source.has_decisions:
            with source.decisions() as decisions:
                origin = find_origin(decisions, seq)
        scene = build_scene(log, until, _analysis_config_for(source, origin), origin)
    with console.writing(out):
        draw(scene, out)
    if as_json:
        zones = None if scene.advice is None else json.loads(scene.advice.render())["zones"]
        fields = {"picture": str(out), "as_of": iso(scene.as_of_ns), "as_of_seq": seq, "origin": scene.origin}
        console.print_json(to_json_value(fields | {"zones": zones}))
    else:
        typer.echo(f"note: {scene.origin}", err=True)
        console.show(out)


def _analysis_config_for(source: LogSource, origin: Origin | None) -> AnalysisConfig:
    """The configuration of a tick's analysis: of the settings file, else of the live session, else the defaults."""
    if source.settings is None and origin is not None and origin.session is not None:
        return config_of_session(origin.session, source.market.symbol, None)
    return analysis_config(source.settings or Settings(), source.market.symbol)
