"""
A figure under every model: the interval it spans, and whether its sign survives them all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelInterval:
    """
    What a figure is under the models.

    Attributes:
        low, high: its extremes; None where a model gave no figure, for then nothing is known of the rest either.
        low_model, high_model: the models that gave them, the first of equals.
    """

    low: float | None
    high: float | None
    low_model: str | None
    high_model: str | None

    @property
    def sign(self) -> int:
        """+1 or −1 where the figure has that sign under every model; 0 where it has not: no conclusion is printed."""
        if self.low is None or self.high is None:
            return 0
        return 1 if self.low > 0 else -1 if self.high < 0 else 0

    @property
    def survives(self) -> bool:
        """Whether the sign is the same under every model."""
        return self.sign != 0


def interval_over_models(values: Mapping[str, float | None]) -> ModelInterval:
    """
    The interval that a figure spans over the models.

    Args:
        values: the figure under each model; None or NaN where a model gives none.

    >>> interval_over_models({"touch": 0.4, "through": -0.1}).survives
    False
    """
    figures = {name: value for name, value in values.items() if value is not None and not math.isnan(value)}
    if not figures or len(figures) < len(values):
        return ModelInterval(None, None, None, None)
    low, high = min(figures, key=figures.__getitem__), max(figures, key=figures.__getitem__)
    return ModelInterval(figures[low], figures[high], low, high)
