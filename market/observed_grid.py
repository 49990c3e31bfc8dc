"""
The grid of prices and quantities, as far as observed numbers show it.

Venues step by powers of ten, seldom by two or five times one: what a few numbers happen to have in common is not their
grid. Pure.
"""

from dataclasses import dataclass, field
from math import gcd

import numpy as np

from market.arrays import I64
from market.fixed_point import DECIMALS, LARGEST_E8, ONE_E8, decimals_of
from market.timestamps import HOUR_NS

# From this number of distinct values on a common factor of 2 or 5 is no coincidence: one in 2^49 files would show it.
_MANY_VALUES = 50
_WINDOW_NS = 72 * HOUR_NS
_MIN_SPAN_NS = HOUR_NS  # a shorter file says little about the volume of days
_HEADROOM = 8  # the factor by which volume may grow before a sum over the window passes 2^62
_MAX_TURNOVER = 10**10  # quote coins in the window, of days far busier than the observed one


@dataclass(slots=True)
class ObservedUnit:
    """
    The common unit of a set of whole numbers, none negative.

    Attributes:
        divisor: the largest number that divides all, 0 before the first. distinct: all of them, until they are many.
    """

    divisor: int = 0
    distinct: set[int] = field(default_factory=set)

    def add(self, values: I64) -> None:
        """Add n values; zeros are ignored."""
        if len(values):
            self.divisor = gcd(int(np.gcd.reduce(values)), self.divisor)
            if len(self.distinct) < _MANY_VALUES:
                self.distinct.update(np.unique(values).tolist())
                self.distinct.discard(0)

    def merge(self, other: "ObservedUnit") -> None:
        """Add everything that another unit has observed."""
        self.divisor = gcd(self.divisor, other.divisor)
        if len(self.distinct) < _MANY_VALUES:
            self.distinct |= other.distinct

    @property
    def has_many(self) -> bool:
        """Whether enough different values were observed that a finer step would have shown."""
        return len(self.distinct) >= _MANY_VALUES

    @property
    def step(self) -> int:
        """The largest plausible step that divides every value; 1 without a value."""
        power = 1
        while self.divisor and self.divisor % (10 * power) == 0:
            power *= 10
        if self.has_many:
            for factor in (5, 2):
                if self.divisor % (factor * power) == 0:
                    return factor * power
        return power


def next_step(current: int, unit: ObservedUnit) -> int:
    """
    The step after more numbers were observed: a finer one at once, a coarser one only where many numbers show it.

    Args:
        current: the step so far, 0 for none.
        unit: of all numbers.
    """
    if unit.divisor == 0:
        return current or 1
    if unit.divisor % (current or unit.divisor + 1):
        return gcd(current, unit.step)
    return unit.step if unit.has_many and unit.step > current and unit.step % current == 0 else current


def infer_quantity_decimals(
    total: int, span_ns: int, unit: ObservedUnit, largest_side: int = 0, cheapest_e8: int = LARGEST_E8
) -> int:
    """
    Infer the number of quantity decimals whose sums over days fit 2^62: all eight, or as many as the smallest step
    needs.

    Of a cheap coin much more may be traded another day: as many decimals are left out as that takes, where many
    quantities lack them.

    Args:
        total: the sum of traded quantities, 1e-8.
        span_ns: from the first trade to the last.
        unit: of the quantities, 1e-8.
        largest_side: the largest sum of one side of a book, 1e-8.
        cheapest_e8: the lowest price.
    """
    min_decimals = decimals_of(unit.step)
    in_window = total * _WINDOW_NS // max(span_ns, _MIN_SPAN_NS)
    if max(in_window, largest_side) * _HEADROOM >= LARGEST_E8:
        return min_decimals
    decimals = DECIMALS
    while (
        unit.has_many and decimals > min_decimals and _MAX_TURNOVER * ONE_E8 * 10**decimals // cheapest_e8 >= LARGEST_E8
    ):
        decimals -= 1
    return decimals


def exceeds_sum_limit(total: int, span_ns: int) -> bool:
    """Whether a sum of quantities, in the counts of a log, would pass 2^62 within the longest window."""
    return total * _WINDOW_NS // max(span_ns, _WINDOW_NS) > LARGEST_E8
