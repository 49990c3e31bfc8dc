"""Commands of the product, in this process where they end by themselves: without a second of imports each."""

import io
import os
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

from tests.conftest import ROOT

_LONGEST_S = 120
_DOORS = ("cli.log.app", "cli.replay.app", "cli.sql")
"""What `python -m` runs under another name."""


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """As `python arguments`; what may begin a daemon's work has a process of its own."""
    entry, *words = map(str, arguments)
    if entry == "-m":
        return run_here(*words)
    if "--status" in words:
        return run_here(entry, *words)
    return subprocess.run(
        [sys.executable, entry, *words], cwd=ROOT, capture_output=True, text=True, timeout=_LONGEST_S, check=False
    )


def run_here(
    module: str,
    *words: object,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    longest_s: float = _LONGEST_S,
) -> "subprocess.CompletedProcess[str]":
    """
    As `python -m module words`, with all that the entry point does about errors.

    Args:
        module: or a script's name, as `agent_analyzer.py`, for what it says and ends.
        environment: the variables that are set, None for those of this process.

    Raises:
        TimeoutError: it has not ended in time.
    """
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    arguments = [module, *map(str, words)]
    entry = ROOT / (module if module.endswith(".py") else f"{module.replace('.', '/')}/__main__.py")
    with _in_time(longest_s), _as_at_a_shell(arguments, cwd, environment), redirect_stdout(out), redirect_stderr(err):
        try:
            runpy.run_path(str(entry), run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
    return subprocess.CompletedProcess(arguments, code if isinstance(code, int) else 1, out.getvalue(), err.getvalue())


@contextmanager
def _as_at_a_shell(arguments: list[str], cwd: Path, environment: Mapping[str, str] | None) -> Iterator[None]:
    """What a command takes for its own or changes."""
    interrupt, umask, formatted = signal.getsignal(signal.SIGINT), os.umask(0o000), warnings.formatwarning
    variables = mock.patch.dict(os.environ, environment or {}, clear=environment is not None)
    try:
        with chdir(cwd), variables, mock.patch.object(sys, "argv", arguments), warnings.catch_warnings():
            warnings.simplefilter("default")
            for door in _DOORS:  # a process of its own would not have loaded it yet
                sys.modules.pop(door, None)
            yield
    finally:
        signal.signal(signal.SIGINT, interrupt)
        warnings.formatwarning = formatted
        os.umask(umask)


@contextmanager
def _in_time(longest_s: float) -> Iterator[None]:
    """One that waits for ever is an error; the alarm of others goes on afterwards."""

    def waited(_number: int, _frame: Any) -> None:
        raise TimeoutError(f"no end after {longest_s} s")

    alarm = signal.signal(signal.SIGALRM, waited)
    others = signal.setitimer(signal.ITIMER_REAL, longest_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, *others)
