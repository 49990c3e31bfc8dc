"""
Results as JSON can hold them: a figure that is no number is null, and keys are text.
"""

import math
from collections.abc import Mapping
from typing import Any


def to_json_value(value: Any) -> Any:
    """
    The same value of dicts, lists, tuples, texts and numbers, fit for JSON by its standard (RFC 8259).

    NaN and the infinities, which it has no words for, become None; numpy's numbers become Python's.
    """
    if isinstance(value, Mapping):
        return {str(key): to_json_value(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(inside) for inside in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
