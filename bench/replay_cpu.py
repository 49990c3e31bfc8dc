"""
The CPU cost of a replayed day compared with nautilus_trader looping over the same trades without any work: user and
system time of the processes, start-up included.

Ours reads the imported log, and analyses, decides and scores 1,440 minutes; theirs reads the archive itself, since that
is where its users begin.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from bench.measure import Figure

PYTHON_VARIABLE = "NAUTILUS_PYTHON"
NOT_INSTALLED = (
    "skipped the replayed day beside nautilus_trader: not installed (pip install nautilus_trader into an environment of"
    f" its own and name its python in {PYTHON_VARIABLE})"
)
_MARKET = "binance:BTCUSDT"


def measure_cpu_of_replay(archive: Path, folder: Path, repetitions: int) -> Figure | None:
    """
    Measure the same day, by ours and by theirs in turn.

    Args:
        archive: aggTrades of a day.
        folder: contains the imported day in `import`.
        repetitions: number of pairs.

    Returns:
        None where nautilus_trader is not installed.
    """
    python = os.environ.get(PYTHON_VARIABLE, sys.executable)
    if subprocess.run([python, "-c", "import nautilus_trader"], stderr=subprocess.DEVNULL, check=False).returncode:
        return None
    runs = folder / "runs"
    ours = ["-m", "cli", "replay", "run", "--market", _MARKET, "--storage", str(folder / "import"), "--out", str(runs)]
    theirs = [str(Path(__file__).with_name("nautilus_peer.py")), str(archive)]
    pairs = []
    for _ in range(repetitions + 1):  # the first pair compiles and fills the file cache
        shutil.rmtree(runs, ignore_errors=True)
        pairs.append((_cpu_seconds([sys.executable, *ours]), _cpu_seconds([python, *theirs])))
    our_s, peer_s = (median(side) for side in zip(*pairs[1:], strict=True))
    ratio = median(a / b for a, b in pairs[1:])
    detail = f"{our_s:.2f} s / {peer_s:.2f} s of CPU: 1440 analyses and scores / an empty loop"
    return Figure("replay run / nautilus_trader doing nothing", ratio, 1.0, True, detail)


def _cpu_seconds(command: list[str]) -> float:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime
