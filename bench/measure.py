"""
How a figure is measured: repetitions taken in turn with their reference, medians, one ratio.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured ratio, its bar, and what was measured."""

    name: str
    ratio: float
    bar: float
    at_most: bool
    detail: str

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        return self.ratio <= self.bar if self.at_most else self.ratio >= self.bar

    def line(self) -> str:
        """For people."""
        sign = "≤" if self.at_most else "≥"
        return f"{'ok  ' if self.met else 'MISS'} {self.name:<44} {self.ratio:>7.2f} {sign} {self.bar:<6} {self.detail}"


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ratio(work: Callable[[], object], reference: Callable[[], object], repetitions: int) -> tuple[float, float, float]:
    """
    Work against its reference, in turn, after one warm-up each.

    Returns:
        The median of the pairwise ratios, and both medians in seconds.
    """
    work(), reference()
    pairs = [(seconds(work), seconds(reference)) for _ in range(repetitions)]
    return median(w / r for w, r in pairs), median(w for w, _ in pairs), median(r for _, r in pairs)
