"""
How long a request takes to the exchange: a constant, or drawn from measured delays.
"""

from dataclasses import dataclass

import numpy as np

from market.arrays import I64


@dataclass(frozen=True, slots=True)
class Latency:
    """
    A distribution of delays, given by its samples.

    Attributes:
        samples_ns: one or more delays, ns, none negative; each is equally likely.
    """

    samples_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.samples_ns or min(self.samples_ns) < 0:
            raise ValueError("a latency needs one delay or more, and none below zero")

    @classmethod
    def constant(cls, delay_ns: int) -> "Latency":
        """Every request takes as long."""
        return cls((delay_ns,))

    def draw(self, count: int, chance: np.random.Generator | None = None) -> I64:
        """
        Draw delays, ns.

        Args:
            count: how many.
            chance: a seeded generator; may be absent where there is one sample only.

        Raises:
            ValueError: several samples and no generator.
        """
        samples = np.array(self.samples_ns, np.int64)
        if len(samples) == 1:
            return np.full(count, samples[0], np.int64)
        if chance is None:
            raise ValueError(f"{len(samples)} delays to draw from, and no generator to draw with")
        return samples[chance.integers(0, len(samples), count)]
