"""
A process that publishes metrics with few descriptors: `python metrics_process.py FOLDER PORT LIMIT`.

What it measures counts up, and says how many descriptors are open. SIGUSR1 uses up all that are left, and says so;
SIGUSR2 lets go of them.
"""

import asyncio
import itertools
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from collector.fact_queue import FactQueue
from collector.metrics.metrics import Meter, measure_market, publish
from eventlog.clock import WallClock
from eventlog.store.writer import LostRange


class Shelf:
    """A writer that keeps nothing."""

    last_seq = 0


async def _nobody(_: LostRange) -> None:
    return None


async def _main(folder: Path, port: int, most: int) -> None:
    clock, rounds, taken = WallClock(), itertools.count(1), list[int]()
    meter = Meter(clock, lambda _: None)
    recorder = FactQueue(Shelf(), lambda: None, _nobody, listener=meter)  # type: ignore[arg-type]

    def measure() -> dict[str, Any]:
        opened = sum(os.path.exists(f"/proc/self/fd/{n}") for n in range(most))  # a listing would need one more
        return measure_market("binance:BTCFDUSD", meter, recorder, clock) | {
            "round": next(rounds),
            "open": opened,
        }

    def use_up() -> None:
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            sys.stdout.write(f"used up {len(taken)}\n")
            sys.stdout.flush()

    def let_go() -> None:
        while taken:
            os.close(taken.pop())

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, use_up)
    loop.add_signal_handler(signal.SIGUSR2, let_go)
    await publish({folder: measure}, "127.0.0.1", port, every_s=0.05)


if __name__ == "__main__":
    most = int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2]), most))
