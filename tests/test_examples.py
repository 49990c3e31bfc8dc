"""The examples in docstrings: what they show is what happens."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_layers import name_of, sources

WITH_EXAMPLES = [path for path in sources() if "\n    >>> " in path.read_text()]


def test_there_are_examples() -> None:
    """A test that reads nothing would pass."""
    assert ROOT / "market" / "ranges.py" in WITH_EXAMPLES


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=name_of)
def test_examples(path: Path) -> None:
    """Each line after >>> gives the line below it."""
    module = importlib.import_module(name_of(path).removesuffix(".py").replace("/", "."))
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)
