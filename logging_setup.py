"""
Where daemons write their log: JSON lines in a file that rotates, and one readable line each on standard error.

Tracebacks are plain: what local names held, a key perhaps, is in neither.
"""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog

from eventlog.files import told_plainly

_LARGEST = 20_000_000


def set_up(logs_dir: Path, level: str) -> None:
    """Send every log line to `strategy_agent.log` in a folder, and to standard error."""
    with told_plainly(logs_dir):
        logs_dir.mkdir(parents=True, exist_ok=True)
        file = RotatingFileHandler(logs_dir / "strategy_agent.log", maxBytes=_LARGEST, backupCount=5, encoding="utf-8")
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    terminal = logging.StreamHandler(sys.stderr)
    plain = structlog.dev.plain_traceback
    renderers: dict[logging.Handler, list[Any]] = {
        file: [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        terminal: [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)],
    }
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(level)
    without_marks = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    for handler, last in renderers.items():
        formatter = structlog.stdlib.ProcessorFormatter(processors=[without_marks, *last], foreign_pre_chain=shared)
        handler.setFormatter(formatter)
        root.addHandler(handler)
    for noisy in ("websockets", "aiohttp", "asyncio", "numba"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
