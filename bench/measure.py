"""
How a figure is measured: repetitions in turn with their reference, medians, one ratio.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One measured ratio and its bar.

    Attributes:
        bar: the limit of the ratio. at_most: whether it is an upper limit, else a lower one.
        detail: the measured values, as text.
    """

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
        """Format the figure as a line."""
        sign = "≤" if self.at_most else "≥"
        return f"{'ok  ' if self.met else 'MISS'} {self.name:<44} {self.ratio:>7.2f} {sign} {self.bar:<6} {self.detail}"


def seconds(work: Callable[[], object]) -> float:
    """Measure the seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ratio(work: Callable[[], object], reference: Callable[[], object], repetitions: int) -> tuple[float, float, float]:
    """
    Measure work against its reference, in turn, after one warm-up each.

    Args:
        work, reference: called without arguments.
        repetitions: number of pairs.

    Returns:
        The median of the pairwise ratios, and both medians in seconds.
    """
    work(), reference()
    pairs = [(seconds(work), seconds(reference)) for _ in range(repetitions)]
    return median(w / r for w, r in pairs), median(w for w, _ in pairs), median(r for _, r in pairs)
