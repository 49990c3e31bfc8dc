"""
One line per minute and market in the program's log: latencies, rates, queue depths.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from collector.metrics.metrics import summary_line

EVERY_S = 60.0  # one line a minute

_log = structlog.get_logger()


async def summarise(measures: Sequence[Callable[[], dict[str, Any] | None]], every_s: float = EVERY_S) -> None:
    """
    Log a SUMMARY line for each market periodically, until cancelled.

    Args:
        measures: measure one market each, see `collector.metrics.metrics.measure_market`; they return None while
            nothing is recorded.
        every_s: pause between two lines of a market.
    """
    while True:
        await asyncio.sleep(every_s)
        for measure in measures:
            if (measurement := measure()) is not None:
                _log.info("SUMMARY", **summary_line(measurement))
