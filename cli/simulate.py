"""
`liquidity simulate`: a simulated exchange and a simulated model server, each in its own process.
"""

import os
import sys
from typing import NoReturn

import typer

from cli import console

app = console.application(__doc__ or "")
_PASS_THROUGH = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""Its own --help answers."""


@app.command(context_settings=_PASS_THROUGH)
def exchange(context: typer.Context) -> None:
    """A simulated exchange with Binance's REST and WebSocket API: serve it, play a recording, or record whole days."""
    _replace_process("simulators.exchange", context.args)


@app.command(context_settings=_PASS_THROUGH)
def model(context: typer.Context) -> None:
    """A simulated model server with DeepSeek's API."""
    _replace_process("simulators.model", context.args)


@app.command(context_settings=_PASS_THROUGH)
def calibration(context: typer.Context) -> None:
    """The statistics of the simulated market beside those of recorded ones, green or red."""
    _replace_process("simulators.exchange", ["calibration", *context.args])


def _replace_process(module: str, arguments: list[str]) -> NoReturn:
    """Replace this process by a simulator: the product does not import simulators."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
