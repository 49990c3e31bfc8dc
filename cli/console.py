"""
How every command talks: one-line errors, JSON where asked, a progress bar on a terminal.
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
from market.printable import one_line, printable, reasons

_FIELDS_WITHOUT_STATUS = {
    "running", "connected", "is_running", "websocket_connected", "redis_connected", "depth_snapshots_count",
    "trade_window_count", "last_analysis",
}  # fmt: skip
"""What is known also of a daemon that has said nothing of itself yet."""
_COLUMNS = (
    "running", "connected", "trades", "last_seq", "last_tick", "book state", "missed_diffs", "waiting_on_disk",
)  # fmt: skip


_LOG_FILES = ("catalogue.json", "reserved.json", "server.lock")
"""Files that a log's folder holds, or that of its server."""
_OWNER_ONLY = 0o077  # recordings, decisions and conversations are nobody else's to read
_PIPE_CLOSED = 141  # what a shell says of a process that a closed pipe ended


class Failure(KnownError):
    """A command cannot do what was asked; the message is one line with cause and mend."""


def expect_no_log(path: Path) -> None:
    """
    Nothing that a user has written may take the place of what a log, or its server, keeps.

    Args:
        path: of the file to write, or of a folder to write files into.

    Raises:
        Failure: it lies in such a folder.
    """
    for folder in (path.resolve(), *path.resolve().parents):
        if any((folder / name).exists() for name in _LOG_FILES):
            raise Failure(f"{path} lies in {folder}, where a log is kept; name a file elsewhere")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what keeps a file that a user named from being written into one line; a log's own files are not written."""
    expect_no_log(path)
    try:
        yield
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from error


def show(*words: object, flush: bool = False) -> None:
    """
    Print words as one line, or as the lines they hold; what came from outside is seen, and never obeyed by a terminal.
    """
    print(visible(" ".join(map(str, words))), flush=flush)


def visible(text: str) -> str:
    """A text of some lines, each made printable."""
    return "\n".join(printable(line) for line in text.split("\n"))


def prepare() -> None:
    """What every command and daemon begins with: files for their owner alone, text that any terminal can take."""
    os.umask(_OWNER_ONLY)
    interrupts.raise_again()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = lambda message, *_, **__: f"warning: {visible(str(message))}\n"


def application(text: str) -> typer.Typer:
    """A command with subcommands and `--help` everywhere."""
    app = typer.Typer(help=text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    return app


def run(app: typer.Typer) -> NoReturn:
    """Run a command line; what is known to go wrong becomes one line each and exit code 1."""
    prepare()
    try:
        app(standalone_mode=True)
    except BaseExceptionGroup as group:
        if group.split(KnownError)[1] is not None:
            raise  # a bug of ours is among them
        for line in dict.fromkeys(one_line(reason) for reason in reasons(group)):
            print(f"error: {line}", file=sys.stderr)
        raise SystemExit(1) from None
    except KnownError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(interrupts.INTERRUPTED) from None
    except SystemExit as stop:
        if stop.code == interrupts.INTERRUPTED:  # typer heard it, and says nothing
            print("interrupted", file=sys.stderr)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads what Python still flushes
        raise SystemExit(_PIPE_CLOSED) from None
    raise SystemExit(0)


def print_json(value: Any) -> None:
    """A result for programs."""
    print(json.dumps(value, indent=1))


def print_status(fields: dict[str, Any], as_json: bool) -> None:
    """What a daemon says about itself."""
    if as_json:
        print_json(fields)
    elif fields.keys() <= _FIELDS_WITHOUT_STATUS:
        print("starting" if fields["running"] else "not running, and never ran with this storage")
    else:
        for name, value in fields.items():
            show(f"{name:<22}{_format_value(value)}")


def print_statuses(statuses: Mapping[str, dict[str, Any]], as_json: bool) -> None:
    """What a daemon says about each of several markets, a line each; about one alone everything."""
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
    """A value of a status on one line."""
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
    A bar on a terminal, silence elsewhere.

    Yields:
        A function of (done since the last call, total or None).
    """
    from rich.console import Console  # a command that only says how it is called does without
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
