"""Some of many variants in every run of all tests, the others with the long fault tests."""

from collections.abc import Iterable
from typing import Any

import pytest


def a_slice(values: Iterable[Any], every: int) -> list[Any]:
    """For `parametrize`: one of so many, from the first on; the others are marked soak."""
    return [pytest.param(each, marks=() if n % every == 0 else pytest.mark.soak) for n, each in enumerate(values)]
