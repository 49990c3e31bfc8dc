"""
The peak memory of replaying a month beside that of replaying two days: a whole process each, on a market that is drawn.
"""

import subprocess
import sys
from pathlib import Path

from bench.measure import Figure
from bench.null_runs import MARKET, liquidity, write_archive
from tests.null_markets import a_martingale

_SHORT, _LONG = 2, 30  # days: windows are full after three, which is the larger part of what one day lacks

# The peak of the program itself: what the system says of a child includes what its parent was before it began.
_REPLAY = """
import sys
from cli.main import app
app(sys.argv[1:], standalone_mode=False)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


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
    arguments = ["replay", "run", "--market", MARKET, "--storage", storage, "--out", folder / "runs", "--baselines"]
    command = [sys.executable, "-c", _REPLAY, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1]) / 1024


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        print(measure_memory_of_replay(Path(name)).line())
