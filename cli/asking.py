"""
What commands share that ask a model about recorded ticks: options, model setup, ticks.
"""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import ALL_NS, LogSource, end_of, time_of
from market.timestamps import MINUTE_NS
from replay.decisions import Ticks, ticks_between
from replay.errors import NothingToReplay
from replay.trials.asking import ModelSetup
from replay.trials.changes import NO_CHANGE, MarketChange
from replay.trials.estimate import memory_note
from runtime.analysis_config import analysis_config
from runtime.settings.settings import Settings

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", help="the folder of all runs; answers are stored in it too; default: from the settings file, else runs"
    ),
]
RepeatsOption = Annotated[int, typer.Option(min=1, max=100, help="how often a model is asked about each tick")]
ConcurrencyOption = Annotated[int, typer.Option(min=1, max=256, help="simultaneous conversations")]
YesOption = Annotated[bool, typer.Option("--yes", help="spend money without asking for confirmation")]
WorkersOption = Annotated[int, typer.Option(min=1, max=64, help="number of worker processes")]


def model_setup(source: LogSource, settings: Settings, out: Path, change: MarketChange = NO_CHANGE) -> ModelSetup:
    """
    The model setup that settings describe.

    Args:
        source: the market's logs.
        settings: of the whole installation.
        out: the folder of all runs; answers are stored in it.
        change: how recorded ticks are changed before they are asked about.
    """
    analysis = analysis_config(settings, source.market.symbol)
    model_settings = settings.analyzer.deepseek
    proxy = settings.proxy_for(model_settings.endpoint_url)
    decisions = source.decisions if source.has_decisions else None
    return ModelSetup(str(source.market), model_settings, analysis, source.events, decisions, out, change, proxy)


def ticks_of(source: LogSource, start: str | None, to: str | None) -> Ticks:
    """
    The ticks of a time range of a log.

    Args:
        source: the market's logs.
        start: first moment, ISO text; None for the log's first tick.
        to: last moment, a date means its end; None for the log's last tick.

    Raises:
        NothingToReplay: there is none.
    """
    with source.events() as log:
        ticks = ticks_between(log, time_of(start, ALL_NS[0]), end_of(to))
        if len(ticks) == 0:
            raise NothingToReplay(f"{log.name} holds no tick in that time range; look at it with `liquidity log check`")
        return ticks


def memory_notes(settings: Settings, ticks: Ticks) -> list[str]:
    """A note where the model may have been trained on the time range; empty where not."""
    first, last = int(ticks.boundary_ns[0]) - MINUTE_NS, int(ticks.boundary_ns[-1])
    note = memory_note(settings.analyzer.deepseek.model, first, last)
    return [note] if note else []
