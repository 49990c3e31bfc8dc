"""A command by its entry point, in this process: what it prints and how it ends, without a second of imports each."""

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


def run_here(
    module: str, *words: object, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """
    As `python -m module words`, with all that the entry point does about errors.

    Args:
        module: or a script's name, as `agent_analyzer.py`, for what it says and ends.
        environment: the variables that are set, None for those of this process.
    """
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    arguments = [module, *map(str, words)]
    entry = ROOT / (module if module.endswith(".py") else f"{module.replace('.', '/')}/__main__.py")
    with _as_at_a_shell(arguments, cwd, environment), redirect_stdout(out), redirect_stderr(err):
        try:
            runpy.run_path(str(entry), run_name="__main__")
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(arguments, code if isinstance(code, int) else 1, out.getvalue(), err.getvalue())


@contextmanager
def _as_at_a_shell(arguments: list[str], cwd: Path, environment: Mapping[str, str] | None) -> Iterator[None]:
    """What a command takes for its own or changes; one that waits for ever is an error."""
    interrupt, umask, formatted = signal.getsignal(signal.SIGINT), os.umask(0o000), warnings.formatwarning
    alarm = signal.signal(signal.SIGALRM, _waited_for)
    others = signal.setitimer(signal.ITIMER_REAL, _LONGEST_S)
    variables = mock.patch.dict(os.environ, environment or {}, clear=environment is not None)
    try:
        with chdir(cwd), variables, mock.patch.object(sys, "argv", arguments), warnings.catch_warnings():
            warnings.simplefilter("default")
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, *others)
        signal.signal(signal.SIGINT, interrupt)
        warnings.formatwarning = formatted
        os.umask(umask)


def _waited_for(_number: int, _frame: Any) -> None:
    raise TimeoutError(f"no end after {_LONGEST_S} s")
