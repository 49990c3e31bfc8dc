"""
What aggressors of each side usually take in a minute, from the market's own last hour.
"""

import numpy as np

from simulators.exchange.market.engine import Step

_MINUTES = 60
_LEAST = 10


class Volumes:
    """
    Aggressor volume by minute and side.

    Args:
        expected_e8: a side's usual minute before ten have been seen, 1e-8 base; its deviation is taken to be as large.
    """

    def __init__(self, expected_e8: float) -> None:
        self._expected = expected_e8
        self._minutes: list[tuple[int, int]] = []
        self._open = [0, 0]

    def add(self, steps: list[Step]) -> None:
        """Count the trades of steps."""
        for step in steps:
            if len(step.trades):
                total = int(step.trades.quantity_e8.sum())
                sold = int(step.trades.quantity_e8 @ step.trades.buyer_is_maker)
                self._open[0] += total - sold
                self._open[1] += sold

    def close(self) -> None:
        """End a minute."""
        self._minutes = [*self._minutes[-_MINUTES + 1 :], (self._open[0], self._open[1])]
        self._open = [0, 0]

    def usual(self, seller: int) -> tuple[float, float]:
        """Mean and standard deviation of a minute's aggressor volume over the last hour, 1e-8 base."""
        if len(self._minutes) < _LEAST:
            return self._expected, self._expected
        taken = np.array([minute[seller] for minute in self._minutes], np.float64)
        return float(taken.mean()), float(taken.std())
