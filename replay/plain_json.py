"""
Results as JSON can hold them: a figure that is no number is null, and keys are text.
"""

import math
from collections.abc import Mapping
from typing import Any


def to_json_value(value: Any) -> Any:
    """
    Convert a value of dicts, lists, tuples, texts and numbers to one that JSON can hold (RFC 8259).

    NaN and the infinities become None, numpy's numbers become Python's, keys become text.

    >>> to_json_value({1: (0.5, float("nan"))})
    {'1': [0.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
