"""
`python -m simulators.model`: the local model as a process.
"""

from cli import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from cli import console
from simulators.model.errors import BadScript
from simulators.model.faults import describe_faults
from simulators.model.model import SimulatedModel
from simulators.model.script import Script, parse
from simulators.model.server import ModelServer

_EPILOG = "\b\nFaults for a script: name, effect, [parameter=default]\n" + describe_faults()

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, epilog=_EPILOG
)


def _list_faults(requested: bool) -> None:
    if requested:
        console.show(describe_faults())
        raise typer.Exit


FaultsOption = Annotated[
    bool, typer.Option("--faults", callback=_list_faults, is_eager=True, help="List the faults and exit.")
]


@app.callback()
def main(faults: FaultsOption = False) -> None:
    """A local model that speaks DeepSeek's chat completion API, with faults on request."""


@app.command(epilog=_EPILOG)
def serve(
    host: Annotated[str, typer.Option(help="The loopback address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 for any free one.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all answers.")] = 1,
    latency_ms: Annotated[float, typer.Option(min=0, max=600_000, help="Delay of every answer, ms.")] = 200.0,
    persistence: Annotated[
        float,
        typer.Option(
            min=0, max=1e6, help="Half-life of the model's style, in decisions; 0: a new style for every decision."
        ),
    ] = 0.0,
    script: Annotated[Path | None, typer.Option(help="A JSON file of rules: which faults happen when.")] = None,
    faults: FaultsOption = False,
) -> None:
    """Answer requests until interrupted."""
    model = SimulatedModel(seed, persistence, _load_script(script))
    asyncio.run(_serve(ModelServer(model, latency_ms, host=host, port=port)))


def _load_script(file: Path | None) -> Script:
    if file is None:
        return Script()
    try:
        return parse(file.read_bytes())
    except OSError as error:
        raise BadScript(f"cannot read the script {file}: {error.strerror}; give a JSON file of rules") from error


async def _serve(server: ModelServer) -> None:
    loop, interrupt = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(interrupt.set))
    async with server:
        console.show(f"simulated DeepSeek at {server.base_url}", flush=True)
        await interrupt.wait()


if __name__ == "__main__":
    console.run(app)
