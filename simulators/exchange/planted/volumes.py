"""
The volume of each side's aggressors per minute, over the market's last hour.
"""

import numpy as np

from simulators.exchange.market.engine import Step

_MINUTES = 60  # the hour that plants are measured against
_MIN_MINUTES = 10  # from here on the measured volumes are used


class Volumes:
    """
    Aggressor volume by minute and side.

    Args:
        prior_e8: mean and standard deviation of a side's minute until ten have been measured, 1e-8 base.
    """

    def __init__(self, prior_e8: float) -> None:
        self._prior = prior_e8
        self._minutes: list[tuple[int, int]] = []
        self._open = [0, 0]

    def add(self, steps: list[Step]) -> None:
        """Add the trades of steps."""
        for step in steps:
            if len(step.trades):
                total = int(step.trades.quantity_e8.sum())
                sold = int(step.trades.quantity_e8 @ step.trades.buyer_is_maker)
                self._open[0] += total - sold
                self._open[1] += sold

    def close(self) -> None:
        """End the current minute."""
        self._minutes = [*self._minutes[-_MINUTES + 1 :], (self._open[0], self._open[1])]
        self._open = [0, 0]

    def stats(self, seller: int) -> tuple[float, float]:
        """Mean and standard deviation of a minute's aggressor volume over the last hour, 1e-8 base; seller: 1 or 0."""
        if len(self._minutes) < _MIN_MINUTES:
            return self._prior, self._prior
        volumes = np.array([minute[seller] for minute in self._minutes], np.float64)
        return float(volumes.mean()), float(volumes.std())
