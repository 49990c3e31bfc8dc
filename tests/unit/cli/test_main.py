"""`liquidity`: one command for all of them."""

import subprocess
import sys
from typing import Any

import pytest

from cli.main import ENTRIES, app, load_command
from tests.conftest import ROOT

_HEAVY = ("numpy", "pyarrow", "numba", "duckdb", "matplotlib", "pydantic", "openai", "redis")
_LIST = f"""
import sys
from cli.main import main
sys.argv = ["liquidity", "--help"]
try:
    main()
finally:
    sys.stderr.write(" ".join(name for name in {_HEAVY!r} if name in sys.modules))
"""


def liquidity(*words: str) -> "subprocess.CompletedProcess[str]":
    """The console script in a process of its own."""
    code = f"import sys; from cli.main import main; sys.argv = ['liquidity', *{list(words)!r}]; main()"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_list_of_commands_loads_no_library_of_theirs() -> None:
    """It is there at once; every command is in it with its line."""
    done = subprocess.run([sys.executable, "-c", _LIST], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f" {name} " in done.stdout for name in ENTRIES)


def test_a_command_that_folds_nothing_loads_no_compiler() -> None:
    """Loading it takes longer than most commands do; so do the libraries of pictures and of models."""
    code = """
import sys
from cli.main import main
sys.argv = ["liquidity", "log", "check", "--market", "binance:BTCFDUSD", "--storage", "/nonexistent"]
try:
    main()
finally:
    sys.stdout.write(" ".join(name for name in ("numba", "matplotlib", "openai", "duckdb") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no log")


def test_nothing_at_all_shows_the_list() -> None:
    """As --help does, with the exit code of a command that is not complete."""
    done = liquidity()
    assert done.returncode == 2
    assert "verify" in done.stdout + done.stderr


def leaves(command: Any, name: str) -> list[tuple[str, Any]]:
    """A command, or the commands below it."""
    inside = getattr(command, "commands", None)
    if not inside:
        return [(name, command)]
    return [leaf for word, child in inside.items() for leaf in leaves(child, f"{name} {word}")]


@pytest.mark.parametrize("name", ENTRIES)
def test_every_command_is_there_and_explains_itself(name: str) -> None:
    """Under its own name, its subcommands with it; those on a log take --config."""
    for words, command in leaves(load_command(name), name):
        assert command.name == words.rsplit(" ", maxsplit=1)[-1]
        assert command.help, words
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--config" in options) or not {"--storage", "--market"} & options, words


def test_an_unknown_command_is_one_line_of_help() -> None:
    """With what was meant."""
    done = liquidity("lgo")
    assert done.returncode == 2
    assert "No such command 'lgo'" in done.stderr
    assert app.info.cls is not None


def test_an_error_is_one_line_here_too() -> None:
    """Whichever package it is of."""
    done = liquidity("log", "check", "--market", "binance:BTCFDUSD", "--storage", "/nonexistent")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no log events:{binance:BTCFDUSD} in /nonexistent")
    assert done.stderr.count("\n") == 1


def test_a_simulator_is_begun_with_the_words_it_was_given() -> None:
    """Its own --help answers."""
    done = liquidity("simulate", "exchange", "serve", "--help")
    assert done.returncode == 0
    assert "--history-hours" in done.stdout
