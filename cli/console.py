"""
The output of all commands: one-line errors, JSON on request, a progress bar on a terminal.
"""

import io
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer

from cli import interrupts
from market.errors import KnownError
from market.printable import flatten_errors, one_line, printable

_FIELDS_WITHOUT_STATUS = {
    "running", "connected", "is_running", "websocket_connected", "redis_connected", "depth_snapshots_count",
    "trade_window_count", "last_analysis",
}  # fmt: skip
"""The status fields of a daemon that has written no status yet."""
_COLUMNS = (
    "running", "connected", "trades", "last_seq", "last_tick", "book state", "missed_diffs", "waiting_on_disk",
)  # fmt: skip


_LOG_FILES = ("catalogue.json", "reserved.json", "server.lock")
"""Files that mark the folder of a log or of its server."""
_OWNER_ONLY = 0o077  # umask: recordings, decisions and conversations are private
_PIPE_CLOSED = 141  # a shell's exit code for a process that a closed pipe ended


class Failure(KnownError):
    """A command failed; the message is one line with cause and remedy."""


def expect_no_log(path: Path) -> None:
    """
    Refuse a path inside the folder of a log or of its server, so that no output replaces its files.

    Args:
        path: of the file to write, or of a folder to write files into.

    Raises:
        Failure: it lies in such a folder.
    """
    for folder in (path.resolve(), *path.resolve().parents):
        if any((folder / name).exists() for name in _LOG_FILES):
            raise Failure(f"{path} is inside {folder}, the folder of a log; name a file elsewhere")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of writing a user's file into one line; refuses paths inside a log's folder."""
    expect_no_log(path)
    try:
        yield
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from error


def show(*words: object, flush: bool = False) -> None:
    """
    Print words, joined by blanks; control characters of untrusted text are made visible.
    """
    print(visible(" ".join(map(str, words))), flush=flush)


def visible(text: str) -> str:
    """Make each line of a text printable."""
    return "\n".join(printable(line) for line in text.split("\n"))


def prepare() -> None:
    """Prepare the process of a command or daemon: private files, output that any terminal can show."""
    os.umask(_OWNER_ONLY)
    interrupts.raise_again()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = lambda message, *_, **__: f"warning: {visible(str(message))}\n"


def application(text: str) -> typer.Typer:
    """Make a command with subcommands; `text` is its help."""
    app = typer.Typer(help=text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    return app


def run(app: typer.Typer) -> NoReturn:
    """Run a command line; each known error becomes one line, with exit code 1."""
    prepare()
    try:
        app(standalone_mode=True)
    except BaseExceptionGroup as group:
        if group.split(KnownError)[1] is not None:
            raise  # a bug of ours is among them
        for line in dict.fromkeys(one_line(reason) for reason in flatten_errors(group)):
            print(f"error: {line}", file=sys.stderr)
        raise SystemExit(1) from None
    except KnownError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(interrupts.INTERRUPTED) from None
    except SystemExit as stop:
        if stop.code == interrupts.INTERRUPTED:  # typer handled it, and prints nothing
            print("interrupted", file=sys.stderr)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python still flushes at exit
        raise SystemExit(_PIPE_CLOSED) from None
    raise SystemExit(0)


def print_json(value: Any) -> None:
    """Print a result as JSON."""
    print(json.dumps(value, indent=1))


def print_status(fields: dict[str, Any], as_json: bool) -> None:
    """Print a daemon's status."""
    if as_json:
        print_json(fields)
    elif fields.keys() <= _FIELDS_WITHOUT_STATUS:
        print("starting" if fields["running"] else "not running; it has never run with this storage")
    else:
        for name, value in fields.items():
            show(f"{name:<22}{_format_value(value)}")


def print_statuses(statuses: Mapping[str, dict[str, Any]], as_json: bool) -> None:
    """Print a daemon's status of several markets, a line each; of a single market in full."""
    if len(statuses) == 1:
        print_status(next(iter(statuses.values())), as_json)
    elif as_json:
        print_json(dict(statuses))
    else:
        rows = [("market", *_COLUMNS)] + [
            (market, *(_format_value(_nested_value(status, name)) for name in _COLUMNS))
            for market, status in statuses.items()
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            show("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def _nested_value(status: Mapping[str, Any], name: str) -> Any:
    outer, _, inner = name.partition(" ")
    value = status.get(outer)
    return (value or {}).get(inner) if inner else value


def _format_value(value: Any) -> str:
    """Format a value of a status on one line."""
    if isinstance(value, dict):
        return ", ".join(
            f"{k} ({_format_value(v)})" if isinstance(v, dict) else f"{k} {_format_value(v)}" for k, v in value.items()
        )
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "–" if value is None or value == "" else str(value)


@contextmanager
def progress(label: str, unit_total: int | None) -> Iterator[Any]:
    """
    Show a progress bar on a terminal, nothing elsewhere.

    Args:
        label: the text before the bar. unit_total: the total, None where it is not known.

    Yields:
        A function of (number done since the last call, total or None).
    """
    from rich.console import Console  # not loaded for --help
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=unit_total)

        def advance(done: int, total: int | None = None) -> None:
            bar.update(task, advance=done, total=total)

        yield advance
