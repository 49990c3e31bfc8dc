"""
The demonstration, all steps in a few minutes on one machine: `make demo`.

A simulated exchange trades; the collector records it; every 10 s the analyzer analyses and a simulated DeepSeek
decides; live and replay are verified equal; then a recorded day is replayed and its advice scored. Each step waits for
its condition, not for a time: a slow or busy machine takes longer and gets the same result.
"""

from cli import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer

MARKET = "binance:BTCFDUSD"
CONFIG = "config/demo.yaml"
LIQUIDITY = ("-m", "cli")
"""Python's arguments that run `liquidity`."""

_POLL_S = 0.5  # how often the demo looks for progress
_SAY_EVERY_S = 15.0  # and says so, even where there is none
_END_S = 60.0  # a busy machine may take long to write everything out; a daemon that takes longer hangs
_LAST_LINES = 5  # of a process that failed, which are shown
_OWN = "exchange.log"
"""The file that every demonstration writes first: it marks a folder that may be emptied."""


class Daemon:
    """
    A process of the demonstration, its output in a file.

    Args:
        name: for messages. arguments: of Python. log: the file of its output.
        variables: of the environment, beside those of this process.
    """

    def __init__(self, name: str, arguments: list[str], log: Path, variables: dict[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], env={**os.environ, **(variables or {})}, stdout=out, stderr=out
            )

    def expect_alive(self) -> None:
        """End the demonstration if the process has ended by itself."""
        code = self.process.poll()
        if code is not None:
            fail(f"the {self.name} ended by itself with exit code {code}; the end of {self.log}:\n{self.last_lines()}")

    def last_lines(self) -> str:
        """The last lines of its output."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LAST_LINES:]) or "  (nothing)"

    def end(self) -> None:
        """Interrupt it as Ctrl+C does and wait for its end; kill it, with a message, where it does not end."""
        self.process.send_signal(2)
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            print(f"demo: the {self.name} did not end within {_END_S:.0f} s and was killed", file=sys.stderr)


def main(
    analyses: int = typer.Option(6, min=1, help="number of ticks to analyse live"),
    patience: int = typer.Option(900, min=60, help="seconds without progress after which a step fails"),
    folder: Path = typer.Option(Path("storage/demo"), help="output folder; emptied first"),
) -> None:
    """Demonstrate all steps in a few minutes: record, analyse, verify, replay, score; everything on this machine."""
    start_s = time.monotonic()
    if not Path(CONFIG).exists():
        fail(f"there is no {CONFIG} here; run it in the project folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / _OWN).exists():
        fail(f"{folder} has files that are not from a demonstration and would be deleted; name another --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    (folder / _OWN).touch()
    day_storage = str(folder / "day")
    day = (*LIQUIDITY, "simulate", "exchange", "record", "--market", MARKET, "--storage", day_storage, "--days", "1")
    with run_in_background(folder / "day.log", *day) as show_day:
        live_steps(analyses, folder, patience)
        say("4/5", "a whole simulated day, recorded directly into a log in the background since step 1")
        show_day()
    run(*LIQUIDITY, "log", "check", "--market", MARKET, "--storage", day_storage)
    say("5/5", "that day replayed: recommendations scored beside placebo zones")
    run(*LIQUIDITY, "replay", "run", "--market", MARKET, "--storage", day_storage, "--out", str(folder / "runs"))
    print(f"\ndone in {time.monotonic() - start_s:.0f} s. Open the report above in a browser.")


def live_steps(analyses: int, folder: Path, patience: float) -> None:
    """
    The first three steps: a market is recorded and analysed live, and both are verified.

    Args:
        analyses: the number of ticks to analyse.
        folder: of all output.
        patience: seconds after which a step without progress fails.
    """
    live = folder / "live"
    say(
        "1/5",
        "a local exchange with 72 h of history and a local model; collector and analyzer use them, ticks every 10 s",
    )
    with (
        exchange(folder, patience) as (_, _, _, rest_url, _, websocket_url, *_),
        model(folder, patience) as model_words,
    ):
        environment = {
            "DEMO_DIR": str(folder),
            "DEMO_REST_URL": rest_url,
            "DEMO_WEBSOCKET_URL": websocket_url,
            "DEEPSEEK_BASE_URL": model_words[-1],
            "DEEPSEEK_API_KEY": "simulated",
        }
        with (
            daemon("collector", "agent_data_collector.py", environment, folder) as collector,
            daemon("analyzer", "agent_analyzer.py", environment, folder) as analyzer,
        ):
            wait_for_analyses(analyses, live, (collector, analyzer), patience)
            run("agent_data_collector.py", "--config", CONFIG, "--status", variables=environment)
            run("agent_analyzer.py", "--config", CONFIG, "--status", variables=environment)
    say("2/5", "is the recording complete? ids and numbers checked")
    run(*LIQUIDITY, "log", "check", "--market", MARKET, "--storage", str(live))
    say("3/5", "every live analysis and decision repeated from the log; the conversations with the model")
    run(*LIQUIDITY, "verify", "--market", MARKET, "--storage", str(live))
    transcript = str(folder / "transcript.md")
    run(*LIQUIDITY, "transcript", "--market", MARKET, "--storage", str(live), "-o", transcript)


def say(step: str, text: str) -> None:
    """Announce a step."""
    print(f"\n[{step}] {text}", flush=True)


def fail(reason: str) -> NoReturn:
    """End the demonstration with a reason."""
    sys.exit(f"demo: {reason}")


def wait_for_analyses(count: int, storage: Path, daemons: tuple[Daemon, ...], patience: float) -> None:
    """
    Wait until the analyzer has analysed enough ticks and published one; prints the progress.

    Args:
        count: the number of ticks.
        storage: folder of the logs.
        daemons: the processes that must stay alive.
        patience: seconds without progress after which the demonstration fails.
    """
    decisions, events = (storage / MARKET.replace(":", "/") / stream for stream in ("decisions", "events"))
    progress, progress_s, printed_s = "", time.monotonic(), 0.0
    while True:
        for process in daemons:
            process.expect_alive()
        analyzer, collector = status(decisions), status(events)
        analyses, published = analyzer.get("analyses", 0), analyzer.get("published", 0)
        if analyses >= count and published:
            show("")
            return
        now, previous = time.monotonic(), progress
        progress = f"trades {collector.get('trades', 'not yet')}, {min(analyses, count)} of {count} ticks analysed"
        if analyses >= count:
            progress += ", none published yet: each was analysed more than an interval late"
        if progress != previous:
            progress_s = now
        if progress != previous or now - printed_s > _SAY_EVERY_S:
            show(progress)
            printed_s = now
        if now - progress_s > patience:
            tails = "\n".join(f"{process.name}, end of {process.log}:\n{process.last_lines()}" for process in daemons)
            fail(f"no progress for {patience:.0f} s ({progress})\n{tails}")
        time.sleep(_POLL_S)


def status(folder: Path) -> dict[str, Any]:
    """Read a daemon's status file; {} before there is one."""
    try:
        return dict(json.loads((folder / "status.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def show(progress: str) -> None:
    """Print the progress: on one line of a terminal, a line each elsewhere."""
    if sys.stdout.isatty():
        print(f"\r  {progress:<70}" if progress else f"\r{'':<72}\r", end="", flush=True)
    elif progress:
        print(f"  {progress}", flush=True)


def command_line(arguments: Sequence[str]) -> str:
    """The command as a person would type it."""
    is_ours = tuple(arguments[:2]) == LIQUIDITY
    return " ".join(("liquidity", *arguments[2:]) if is_ours else ("python", *arguments))


def run(*arguments: str, variables: dict[str, str] | None = None) -> None:
    """Run a command of the product and show what it prints; a failure ends the demonstration."""
    print(f"$ {command_line(arguments)}", flush=True)
    process = subprocess.run([sys.executable, *arguments], env={**os.environ, **(variables or {})}, check=False)
    if process.returncode:
        fail(f"the command above failed with exit code {process.returncode}")


@contextmanager
def run_in_background(log: Path, *arguments: str) -> Iterator[Callable[[], None]]:
    """Run a command beside the steps; yields a function that waits for its end and prints it with its output."""
    process = Daemon(log.stem, list(arguments), log)

    def finish() -> None:
        print(f"$ {command_line(arguments)}", flush=True)
        code = process.process.wait()
        print(log.read_text(encoding="utf-8", errors="replace"), end="", flush=True)
        if code:
            fail(f"the command above failed with exit code {code}")

    try:
        yield finish
    finally:
        process.end()


def exchange(folder: Path, patience: float = 900.0) -> AbstractContextManager[list[str]]:
    """Run the simulated exchange; yields the words of its first line, its addresses among them."""
    arguments = [*LIQUIDITY, "simulate", "exchange", "serve", "--port", "0", "--seed", "7", "--history-hours", "72"]
    return server("exchange", arguments, folder, patience)


def model(folder: Path, patience: float = 900.0) -> AbstractContextManager[list[str]]:
    """Run the simulated model; yields the words of its first line, its address last."""
    return server("model", [*LIQUIDITY, "simulate", "model", "serve", "--port", "0", "--seed", "7"], folder, patience)


@contextmanager
def server(name: str, arguments: list[str], folder: Path, patience: float = 900.0) -> Iterator[list[str]]:
    """
    Run a server that prints a line with its address; yields the words of that line.

    Args:
        name: for messages and the log's file name.
        arguments: of Python.
        folder: of the log.
        patience: seconds to wait for the line.
    """
    process = Daemon(name, ["-u", *arguments], folder / f"{name}.log")
    try:
        deadline = time.monotonic() + patience
        while not (lines := lines_with_address(process.log)):
            process.expect_alive()
            if time.monotonic() > deadline:
                fail(f"the {name} did not start within {patience:.0f} s; see {process.log}")
            time.sleep(0.05)
        yield lines[0].split()
    finally:
        process.end()


def lines_with_address(log: Path) -> list[str]:
    """The complete lines of a log that hold an address."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return [line for line in lines if "://" in line and line.endswith("\n")]


@contextmanager
def daemon(name: str, script: str, environment: dict[str, str], folder: Path) -> Iterator[Daemon]:
    """
    Run a daemon, and end it as Ctrl+C does.

    Args:
        name: for messages and the log's file name.
        script: its Python file.
        environment: its variables, beside those of this process.
        folder: of the log.
    """
    process = Daemon(name, [script, "--config", CONFIG], folder / f"{name}.log", environment)
    try:
        yield process
    finally:
        process.end()


if __name__ == "__main__":
    interrupts.raise_again()
    typer.run(main)
