"""
`make bench`: measures every performance claim on this machine.
"""

import os
import tempfile
from pathlib import Path

import typer

from bench.analysis import measure_minute
from bench.book_flow import measure_features
from bench.capture import measure_capture
from bench.collector_cpu import NOT_INSTALLED as NO_PEER
from bench.collector_cpu import measure_cpu_per_message
from bench.day import measure_bytes_per_trade, measure_import, measure_read_and_fold, measure_replay
from bench.fills import measure_fills
from bench.measure import Figure
from bench.memory import measure_peak_memory
from bench.order_book import NOT_INSTALLED, measure_level_rate
from bench.replay_cpu import NOT_INSTALLED as NO_ENGINE
from bench.replay_cpu import measure_cpu_of_replay
from bench.replay_memory import measure_memory_of_replay

REAL = Path(os.environ.get("REAL_DATA_DIR", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))


def main(repetitions: int = typer.Option(7, min=1, help="how often each pair is measured")) -> None:
    """Print each figure as a ratio against its reference; exit code 1 where a bar is missed."""
    archive = next(iter(sorted((REAL / "aggtrades").glob("*.zip"))), None)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        if archive is None:
            print(f"skipped the figures of the real day: no archive in {REAL / 'aggtrades'} (set REAL_DATA_DIR)")
        else:
            for measure in (
                measure_import,
                measure_bytes_per_trade,
                measure_read_and_fold,
                measure_replay,
                measure_fills,
            ):
                figures.append(measure(archive, Path(folder), repetitions))
                print(figures[-1].line(), flush=True)
            figure = measure_cpu_of_replay(archive, Path(folder), 5)
            figures += [figure] if figure else []
            print(figure.line() if figure else NO_ENGINE, flush=True)
        if (REAL / "recordings").is_dir():
            figures.append(measure_features(REAL / "recordings", Path(folder), repetitions))
            print(figures[-1].line(), flush=True)
            figure = measure_level_rate(REAL / "recordings", Path(folder), repetitions)
            figures += [figure] if figure else []
            print(figure.line() if figure else NOT_INSTALLED, flush=True)
            figure = measure_cpu_per_message(REAL / "recordings", Path(folder), max(3, repetitions // 2))
            figures += [figure] if figure else []
            print(figure.line() if figure else NO_PEER, flush=True)
        else:
            print(f"skipped the figures of real updates: no recordings in {REAL / 'recordings'} (set REAL_DATA_DIR)")
        figures.append(measure_minute(Path(folder), repetitions))
        print(figures[-1].line(), flush=True)
        figures.append(measure_capture(Path(folder), max(3, repetitions // 2)))
        print(figures[-1].line(), flush=True)
        figures.append(measure_memory_of_replay(Path(folder)))
        print(figures[-1].line(), flush=True)
        for line in measure_peak_memory(Path(folder)):
            print(line, flush=True)
    raise typer.Exit(0 if all(f.met for f in figures) else 1)


if __name__ == "__main__":
    typer.run(main)
