"""
`make bench`: every performance claim, measured now, on this machine.
"""

import os
import tempfile
from pathlib import Path

import typer

from bench.analysis import minute_of_analysis
from bench.book_flow import features
from bench.capture import socket_to_stream
from bench.collector_cpu import NOT_INSTALLED as NO_PEER
from bench.collector_cpu import cpu_a_message
from bench.day import bytes_a_trade, import_day, read_and_fold, whole_run
from bench.measure import Figure
from bench.memory import daemons_peak
from bench.order_book import NOT_INSTALLED, levels_a_second
from bench.replay_cpu import NOT_INSTALLED as NO_ENGINE
from bench.replay_cpu import cpu_of_a_day

REAL = Path(os.environ.get("REAL_DATA_DIR", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))


def main(repetitions: int = typer.Option(7, min=1, help="how often each pair is measured")) -> None:
    """Print each figure as a ratio against its reference; exit code 1 where a bar is missed."""
    archive = next(iter(sorted((REAL / "aggtrades").glob("*.zip"))), None)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        if archive is None:
            print(f"skipped the figures of the real day: no archive in {REAL / 'aggtrades'} (set REAL_DATA_DIR)")
        else:
            for measure in (import_day, bytes_a_trade, read_and_fold, whole_run):
                figures.append(measure(archive, Path(folder), repetitions))
                print(figures[-1].line(), flush=True)
            beside = cpu_of_a_day(archive, Path(folder), 5)
            figures += [beside] if beside else []
            print(beside.line() if beside else NO_ENGINE, flush=True)
        if (REAL / "recordings").is_dir():
            figures.append(features(REAL / "recordings", Path(folder), repetitions))
            print(figures[-1].line(), flush=True)
            beside = levels_a_second(REAL / "recordings", Path(folder), repetitions)
            figures += [beside] if beside else []
            print(beside.line() if beside else NOT_INSTALLED, flush=True)
            beside = cpu_a_message(REAL / "recordings", Path(folder), max(3, repetitions // 2))
            figures += [beside] if beside else []
            print(beside.line() if beside else NO_PEER, flush=True)
        else:
            print(f"skipped the figures of real updates: no recordings in {REAL / 'recordings'} (set REAL_DATA_DIR)")
        figures.append(minute_of_analysis(Path(folder), repetitions))
        print(figures[-1].line(), flush=True)
        figures.append(socket_to_stream(Path(folder), max(3, repetitions // 2)))
        print(figures[-1].line(), flush=True)
        for line in daemons_peak(Path(folder)):
            print(line, flush=True)
    raise typer.Exit(0 if all(f.met for f in figures) else 1)


if __name__ == "__main__":
    typer.run(main)
