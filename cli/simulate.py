"""
`liquidity simulate`: what stands in for the world, each a process of its own: an exchange, and a model server.
"""

import os
import sys
from typing import NoReturn

import typer

from cli import console

app = console.application(__doc__ or "")
_AS_GIVEN = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""Its own --help answers."""


@app.command(context_settings=_AS_GIVEN)
def exchange(context: typer.Context) -> None:
    """An exchange that speaks Binance's own REST and WebSocket: serve it, play a recording, or record days at once."""
    _become("simulators.exchange", context.args)


@app.command(context_settings=_AS_GIVEN)
def model(context: typer.Context) -> None:
    """A model server that speaks DeepSeek's own API."""
    _become("simulators.model", context.args)


def _become(module: str, arguments: list[str]) -> NoReturn:
    """Nothing of the product imports a simulator: this process becomes one."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
