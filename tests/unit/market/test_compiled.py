"""Compiled code is used again only where nothing that went into it has changed, its own file or another's."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FIGURES = """
from market.compiled import compiled

STEP = 10

@compiled
def twice(value):
    return 2 * value
"""
USER = """
from market.compiled import compiled
from figures import STEP, twice

@compiled
def stepped(value):
    return _inner(value)

@compiled
def _inner(value):
    return twice(value) + STEP

if __name__ == "__main__":
    import sys
    from user import stepped as function
    print(function(1), sum(function.dispatcher.stats.cache_hits.values()))
"""


def run(folder: Path, **environment: str) -> tuple[int, bool]:
    """What a process that starts now computes, and whether it took machine code from before."""
    done = subprocess.run(
        [sys.executable, "user.py"], cwd=folder, capture_output=True, text=True, check=True, timeout=120,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": "", "HOME": str(folder), **environment},
    )  # fmt: skip
    figure, hits = done.stdout.split()
    return int(figure), hits != "0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A module whose loops take a constant and a function of another."""
    (tmp_path / "figures.py").write_text(FIGURES)
    (tmp_path / "user.py").write_text(USER)
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "figure"), [("STEP = 10", "STEP = 100", 102), ("2 * value", "3 * value", 13)]
)  # fmt: skip
@pytest.mark.parametrize("provided", [False, True])
def test_what_another_file_changes_is_compiled_anew(
    folder: Path, old: str, new: str, figure: int, provided: bool
) -> None:
    """A constant, a function; and what is as it was is not compiled twice."""
    where = {"NUMBA_CACHE_DIR": str(folder / "kept")} if provided else {}
    assert run(folder, **where) == (12, False)
    assert run(folder, **where) == (12, True)
    (folder / "figures.py").write_text(FIGURES.replace(old, new))
    assert run(folder, **where) == (figure, False)
    assert run(folder, **where) == (figure, True)
    assert (folder / "kept").exists() == provided


def test_every_loop_is_compiled_by_it() -> None:
    """No other way in, by which a loop would hold figures of before."""
    files = [p for p in ROOT.rglob("*.py") if not {".venv", "tests"} & set(p.relative_to(ROOT).parts)]
    assert len(files) > 200
    assert [p.name for p in files if re.search("^ *(import|from) numba", p.read_text(), re.M)] == ["compiler.py"]
