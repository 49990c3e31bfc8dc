"""
The log of daemons: JSON lines in one file per day, and one readable line each on standard error.

Lines go through a bounded queue to a thread: a slow disk or terminal blocks no caller. Tracebacks do not show local
variables, which may hold a key. Untrusted text reaches the terminal with control characters made visible.
"""

import atexit
import logging
import queue
import select
import sys
import traceback
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any, TextIO

import structlog

from eventlog.disk.daily_file import DailyFile
from eventlog.disk.files import create_private_folder, translate_errors
from eventlog.errors import EventLogError
from market.printable import printable

FILE_NAME = "strategy_agent.log"

_MAX_PENDING = 10_000  # lines in the queue; further ones are counted and dropped
_PATIENCE_S = 1.0
"""Seconds that a line waits for a terminal that accepts nothing, such as a paused pager; the file has the line too."""
_NOISY_LIBRARIES = ("websockets", "aiohttp", "asyncio", "numba")


def set_up(logs_dir: Path, level: str, keep_days: int = 14) -> None:
    """
    Send every log line to `strategy_agent.log` in a folder, and to standard error.

    Args:
        logs_dir: the folder; created where it is missing.
        level: the least severe level that is written, e.g. INFO.
        keep_days: number of days that files are kept beside today's.

    Raises:
        EventLogError: the folder cannot be used.
    """
    with translate_errors(logs_dir):
        create_private_folder(logs_dir)
    file = _ToFile(DailyFile(logs_dir / FILE_NAME, keep_days))
    terminal = _ToTerminal()
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    readable = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_plain_traceback)
    renderers: dict[logging.Handler, list[Any]] = {
        file: [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        terminal: [_visible, readable],
    }
    remove_marks = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    for handler, rest in renderers.items():
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(processors=[remove_marks, *rest], foreign_pre_chain=common)
        )
    _send_through_queue(level, file, terminal)
    for library in _NOISY_LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*common, _with_error, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def flush() -> None:
    """Wait until all lines logged so far are written."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Entrance):
            handler.lines.join()


def _send_through_queue(level: str, *handlers: logging.Handler) -> None:
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    entrance = _Entrance(queue.Queue(_MAX_PENDING))
    listener = QueueListener(entrance.lines, *handlers)
    listener.start()
    entrance.listener = listener
    atexit.register(entrance.close)
    root.addHandler(entrance)
    root.setLevel(level)


class _Entrance(QueueHandler):
    """Queues lines without waiting; drops and counts them while the queue is full, and logs the count afterwards."""

    listener: QueueListener | None = None

    def __init__(self, lines: "queue.Queue[Any]") -> None:
        super().__init__(lines)
        self.lines = lines
        self._dropped_count = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record unchanged: it stays in this process, and its formatters need its arguments."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.lines.put_nowait(record)
        except queue.Full:
            self._dropped_count += 1
            return
        if self._dropped_count:
            text = f"{self._dropped_count} log lines left out: they came faster than they could be written"
            self._dropped_count = 0
            self.enqueue(logging.LogRecord("logging", logging.WARNING, __file__, 0, text, None, None))

    def close(self) -> None:
        """Write the pending lines, then close the handlers."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.stop()
            for handler in listener.handlers:
                handler.close()
        super().close()


class _ToTerminal(logging.Handler):
    """
    Writes lines to the current standard error; ignores one that is closed or cannot show a letter, and drops lines
    while it accepts nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_taking = True

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):
            self._is_taking = _is_writable(_PATIENCE_S if self._is_taking else 0.0)
            if not self._is_taking:
                return
            text = self.format(record) + "\n"
            encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
            sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
            sys.stderr.flush()


class _ToFile(logging.Handler):
    """Writes lines to a daily file; reports on standard error, once, when the file cannot be written."""

    def __init__(self, file: DailyFile) -> None:
        super().__init__()
        self._file = file
        self._is_failing = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._file.append(self.format(record) + "\n", int(record.created * 1e9))
            self._is_failing = False
        except EventLogError as error:
            if not self._is_failing:
                sys.stderr.write(f"log file not written: {error}\n")  # there is no log to say it in
            self._is_failing = True

    def close(self) -> None:
        self._file.close()
        super().close()


def _is_writable(patience_s: float) -> bool:
    """Whether standard error accepts a line within some time; True for one without a file descriptor."""
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return True
    return bool(select.select([], [descriptor], [], patience_s)[1])


def _with_error(_logger: Any, _name: str, fields: Any) -> Any:
    """Put the error that is handled now into the fields: the line is formatted in another thread."""
    return fields | {"exc_info": sys.exc_info()} if fields.get("exc_info") is True else fields


def _visible(_logger: Any, _name: str, fields: Any) -> Any:
    """Make control characters visible: untrusted text, such as a venue's reason, must not reach the terminal."""
    return {key: printable(value) if isinstance(value, str) else value for key, value in fields.items()}


def _plain_traceback(out: TextIO, error: Any) -> None:
    """Write a traceback without local variables, its control characters visible."""
    for part in traceback.format_exception(*error):
        for line in part.rstrip("\n").split("\n"):
            out.write(f"\n{printable(line)}")
