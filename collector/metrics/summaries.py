"""
A line a minute in the log: how late, how fast, how full.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from collector.metrics.metrics import summary_line

EVERY_S = 60.0

_log = structlog.get_logger()


async def summarise(measures: Sequence[Callable[[], dict[str, Any] | None]], every_s: float = EVERY_S) -> None:
    """
    Log a SUMMARY line for each market every minute, for ever.

    Args:
        measures: what is measured of each market, see `collector.metrics.metrics.measured`; None while nothing is.
    """
    while True:
        await asyncio.sleep(every_s)
        for measure in measures:
            if (measured := measure()) is not None:
                _log.info("SUMMARY", **summary_line(measured))
