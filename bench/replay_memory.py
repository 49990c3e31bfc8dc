"""
The peak memory of replaying a month beside that of replaying two days: a whole process each, on a market that is drawn.
"""

import os
import subprocess
import sys
from pathlib import Path

from bench.measure import Figure
from bench.null_runs import MARKET, liquidity, write_archive
from tests.null_markets import a_martingale

_SHORT, _LONG = 2, 30  # days: windows are full after three, which is the larger part of what one day lacks


def measure_memory_of_replay(folder: Path) -> Figure:
    """
    Measure the peak memory of `liquidity replay run` with all baselines, over thirty days and over two.

    Args:
        folder: for archives, logs and runs.
    """
    short, long = (_peak_mib(folder / f"month{days}", days) for days in (_SHORT, _LONG))
    return Figure(
        "memory of a replayed month / of two days", long / short, 1.25, at_most=True,
        detail=f"{long:.0f} and {short:.0f} MiB, 86,400 trades a day, with all baselines",
    )  # fmt: skip


def _peak_mib(folder: Path, days: int) -> float:
    folder.mkdir(parents=True)
    storage = folder / "storage"
    files = write_archive(a_martingale(5, days), folder)
    liquidity("log", "import", "binance-aggtrades", *files, "--market", MARKET, "--storage", storage)
    command = [sys.executable, "-m", "cli", "replay", "run", "--market", MARKET, "--storage", str(storage)]
    process = subprocess.Popen([*command, "--out", str(folder / "runs"), "--baselines"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command[2:])} failed")
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        print(measure_memory_of_replay(Path(name)).line())
