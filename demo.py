"""
The whole way in a few minutes, on one machine, with nobody else: `make demo`.

A simulated exchange trades; the collector records it; every 10 s the analyzer looks and has a simulated DeepSeek
decide; live and replay are proven equal; then a recorded day is replayed and its advice scored.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import typer

MARKET = "binance:BTCFDUSD"
CONFIG = "config/demo.yaml"


def main(
    seconds: int = typer.Option(75, help="how long the daemons run"),
    folder: Path = typer.Option(Path("storage/demo"), help="where everything is written; emptied first"),
) -> None:
    """Run the demonstration."""
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    live, recorded = folder / "live", folder / "day"
    say("1/5", "a local exchange with 72 h of history, a local model; collector and analyzer on them, ticks every 10 s")
    with exchange(folder) as (_, _, _, rest_url, _, websocket_url, *_), model(folder) as (*_, model_url):
        environment = {
            "DEMO_DIR": str(folder),
            "DEMO_REST_URL": rest_url,
            "DEMO_WEBSOCKET_URL": websocket_url,
            "DEEPSEEK_BASE_URL": model_url,
            "DEEPSEEK_API_KEY": "simulated",
        }
        with daemon("agent_data_collector.py", environment, folder), daemon("agent_analyzer.py", environment, folder):
            wait(seconds)
            run("agent_data_collector.py", "--config", CONFIG, "--status", more=environment)
            run("agent_analyzer.py", "--config", CONFIG, "--status", more=environment)
    say("2/5", "what was captured, proven by ids")
    run("-m", "eventlog", "check", "--market", MARKET, "--storage", str(live))
    say("3/5", "every live analysis and decision computed again from the log; what was said to the model")
    run("-m", "replay", "verify", "--market", MARKET, "--storage", str(live))
    transcript = str(folder / "transcript.md")
    run("-m", "replay", "transcript", "--market", MARKET, "--storage", str(live), "-o", transcript)
    say("4/5", "a whole simulated day straight into a log")
    run("-m", "exchanges.simulated", "record", "--market", MARKET, "--storage", str(recorded), "--days", "1")
    run("-m", "eventlog", "check", "--market", MARKET, "--storage", str(recorded))
    say("5/5", "that day replayed: recommendations scored beside their placebo")
    run("-m", "replay", "run", "--market", MARKET, "--storage", str(recorded), "--out", str(folder / "runs"))
    print(f"\ndone in {time.monotonic() - began:.0f} s. Open the report above in a browser.")


def say(step: str, text: str) -> None:
    """Announce a step."""
    print(f"\n[{step}] {text}", flush=True)


def wait(seconds: int) -> None:
    """Let the daemons work."""
    for left in range(seconds, 0, -1):
        if sys.stdout.isatty():
            print(f"\r  recording, {left} s to go ", end="", flush=True)
        time.sleep(1)
    if sys.stdout.isatty():
        print("\r" + " " * 30 + "\r", end="")


def run(*arguments: str, more: dict[str, str] | None = None) -> None:
    """Run a command of the product and show what it prints; a failure ends the demonstration."""
    print(f"$ python {' '.join(arguments)}", flush=True)
    done = subprocess.run([sys.executable, *arguments], env={**os.environ, **(more or {})}, check=False)
    if done.returncode:
        sys.exit(f"demo: the command above failed with exit code {done.returncode}")


def exchange(folder: Path) -> AbstractContextManager[list[str]]:
    """The simulated exchange; yields what it says, its addresses among it."""
    arguments = ["-m", "exchanges.simulated", "serve", "--port", "0", "--seed", "7", "--history-hours", "72"]
    return server("exchange", arguments, folder)


def model(folder: Path) -> AbstractContextManager[list[str]]:
    """The simulated model; yields what it says, its address last."""
    return server("model", ["-m", "agents.simulated", "serve", "--port", "0", "--seed", "7"], folder)


@contextmanager
def server(name: str, arguments: list[str], folder: Path) -> Iterator[list[str]]:
    """A process that says in one line where it is; yields that line's words."""
    with (folder / f"{name}.log").open("wb") as errors:
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            words = (process.stdout.readline() if process.stdout else "").split()
            if not any("://" in word for word in words):
                sys.exit(f"demo: the {name} did not start; see {folder / name}.log")
            yield words
        finally:
            end(process)


@contextmanager
def daemon(script: str, environment: dict[str, str], folder: Path) -> Iterator[int]:
    """One of the daemons, ended by Ctrl-C's signal; yields its process id."""
    with (folder / f"{Path(script).stem}.out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, script, "--config", CONFIG], env={**os.environ, **environment}, stdout=out, stderr=out
        )
        try:
            yield process.pid
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes] | subprocess.Popen[str]", patience: Sequence[float] = (10.0, 5.0)) -> None:
    """Ask a process to end, and insist if it does not."""
    process.send_signal(2)
    for seconds in patience:
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    typer.run(main)
