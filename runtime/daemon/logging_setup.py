"""
Where daemons write their log: JSON lines in a file a day, and one readable line each on standard error.

Lines go through a bounded queue to a thread of its own: a slow disk or terminal holds up nobody. Tracebacks are plain:
what local names held, a key perhaps, is in neither. What came from outside reaches the terminal as visible text.
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

_MAX_PENDING = 10_000
_PATIENCE_S = 1.0
"""How long a line waits for a terminal that takes nothing, a paused pager perhaps: the file has it anyway."""
_NOISY_LIBRARIES = ("websockets", "aiohttp", "asyncio", "numba")


def set_up(logs_dir: Path, level: str, keep_days: int = 14) -> None:
    """
    Send every log line to `strategy_agent.log` in a folder, and to standard error.

    Args:
        keep_days: how many days of it stay beside today's.

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
    """Wait until everything logged so far is written."""
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
    """Takes lines without waiting; where there is no room it counts them, and says so as soon as there is."""

    listener: QueueListener | None = None

    def __init__(self, lines: "queue.Queue[Any]") -> None:
        super().__init__(lines)
        self.lines = lines
        self._dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """As it is: it stays in this process, and its formatters want what it holds."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.lines.put_nowait(record)
        except queue.Full:
            self._dropped += 1
            return
        if self._dropped:
            text = f"{self._dropped} log lines left out: they came faster than they could be written"
            self._dropped = 0
            self.enqueue(logging.LogRecord("logging", logging.WARNING, __file__, 0, text, None, None))

    def close(self) -> None:
        """Everything that waits is written first."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.stop()
            for handler in listener.handlers:
                handler.close()
        super().close()


class _ToTerminal(logging.Handler):
    """
    Lines on whatever standard error is now; one that is closed, takes nothing, or cannot show a letter, costs nothing
    else. While it takes nothing, lines are left out.
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
    """Lines into a daily file; a file that cannot be written is told once on standard error, until it can be again."""

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
    """Whether standard error takes a line within some time; one that is no file of the system always does."""
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return True
    return bool(select.select([], [descriptor], [], patience_s)[1])


def _with_error(_logger: Any, _name: str, fields: Any) -> Any:
    """The error that is being handled now, named: another thread that writes the line handles none."""
    return fields | {"exc_info": sys.exc_info()} if fields.get("exc_info") is True else fields


def _visible(_logger: Any, _name: str, fields: Any) -> Any:
    """Text from outside, a venue's reason perhaps, must not speak to the terminal."""
    return {key: printable(value) if isinstance(value, str) else value for key, value in fields.items()}


def _plain_traceback(out: TextIO, error: Any) -> None:
    """A traceback without what local names held, each line made visible."""
    for part in traceback.format_exception(*error):
        for line in part.rstrip("\n").split("\n"):
            out.write(f"\n{printable(line)}")
