"""The examples in docstrings and in docs/measures.md and docs/fills.md: what they show is what happens."""

import doctest
import importlib
import re
from dataclasses import fields
from pathlib import Path

import pytest

from analysis.parameters import BookFlowParameters, OrderFlowParameters, Parameters
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


MEASURES = ROOT / "docs" / "measures.md"
FILLS = ROOT / "docs" / "fills.md"


def test_vectors_of_the_measures() -> None:
    """Every vector of the page, in its order."""
    failed, tried = doctest.testfile(str(MEASURES), module_relative=False)
    assert (failed, tried > 50) == (0, True)


def test_vectors_of_the_fills() -> None:
    """Every vector of the page, in its order."""
    failed, tried = doctest.testfile(str(FILLS), module_relative=False)
    assert (failed, tried > 10) == (0, True)


def test_thresholds_of_the_measures() -> None:
    """Every threshold is on the page with the value that it has, and the page names no other."""
    page = " ".join(MEASURES.read_text().split())
    stated = dict(re.findall(r"`(\w+)` ?= (\([^)]*\)|\d[\w.-]*\d|\d|[a-z]+)", page))
    groups = (Parameters(), OrderFlowParameters(), BookFlowParameters())
    values = {f.name: getattr(group, f.name) for group in groups for f in fields(group)}
    unlisted = {"order_flow", "book_flow", "pull", "confidence"}
    assert stated.keys() == values.keys() - unlisted
    assert {n: v for n, v in stated.items() if str(values[n]) != v and not _equal(values[n], v)} == {}


def _equal(value: object, text: str) -> bool:
    return isinstance(value, int | float) and float(value) == float(text)
