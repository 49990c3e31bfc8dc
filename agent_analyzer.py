"""
The analyzer: follows a market's log, analyses every tick, decides, publishes.

`python agent_analyzer.py --config config/development.yaml`
"""

from cli import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()

from pathlib import Path
from typing import Annotated

import structlog
import typer

from analyzer.analyzer import Analyzer
from cli import console
from cli.options import JsonOption
from eventlog.clock import WallClock
from eventlog.errors import EventLogError
from market.compiled import load_compiler
from market.instrument import Market
from market.printable import one_line
from runtime.analysis_config import AnalysisConfig, analysis_config
from runtime.daemon import logging_setup, status
from runtime.daemon.file_limit import raise_limit
from runtime.daemon.log_server import log_server
from runtime.daemon.stopping import StopSignal
from runtime.model_config import prompts_of, questions_of
from runtime.settings.settings import Settings, load

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_log = structlog.get_logger()


@app.command()
def main(
    config: Annotated[Path, typer.Option("--config", help="settings file")] = Path("config/development.yaml"),
    show_status: Annotated[
        bool, typer.Option("--status", help="show the running analyzer's status and exit; exit code 1 if none runs")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Analyse a market live, tick by tick, and publish recommendations. Ctrl+C stops it."""
    settings = load(config)
    market = Market.parse(settings.market)
    if show_status:
        fields = status.analyzer_status(settings.redis.storage_dir, market)
        console.print_status(fields, as_json)
        if (note := status.age_note(fields, WallClock().now_ns())) is not None:
            typer.echo(note, err=True)
        raise typer.Exit(0 if fields["running"] else 1)
    analysis = analysis_config(settings, market.symbol)
    prompts_of(questions_of(settings.analyzer.deepseek))  # a fault in them is reported before anything starts
    logging_setup.set_up(settings.app.logs_dir, settings.app.log_level, settings.app.logs_keep_days)
    raise_limit()
    load_compiler()
    stop = StopSignal()
    try:
        _run(settings, market, analysis, stop)
    except EventLogError as error:
        if not stop.requested.is_set():
            raise
        _log.warning("ended while the log's server was away", reason=one_line(error))


def _run(settings: Settings, market: Market, analysis: AnalysisConfig, stop: StopSignal) -> None:
    with log_server(settings.redis.server_url, settings.redis.storage_dir, stop) as server:
        Analyzer(settings, market, analysis, server.connect, stop).run()


if __name__ == "__main__":
    console.run(app)
