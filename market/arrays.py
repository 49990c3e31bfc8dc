"""
Array types: one dimension, one type of number; and tables of such columns one after the other.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
"""Whole numbers: ids, times in ns, prices and quantities in counts of 1e-8."""
F64 = npt.NDArray[np.float64]
"""Computed figures."""
Bools = npt.NDArray[np.bool_]
"""One truth value for each row."""

Columns = TypeVar("Columns", bound=Any)
"""A dataclass whose fields are all arrays of one length."""


def concatenate_columns(parts: Sequence[Columns]) -> Columns:
    """The rows of all parts, at least one, one part after the other."""
    columns = ([getattr(part, field.name) for part in parts] for field in fields(parts[0]))
    joined: Columns = type(parts[0])(*(np.concatenate(column) for column in columns))
    return joined
