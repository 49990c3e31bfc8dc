"""
The step of prices where no instrument is on record: what the known prices have in common.
"""

import numpy as np

from market.arrays import I64
from market.observed_grid import ObservedUnit

_FINEST_BP = 10_000  # one basis point, as the divisor of a price


def infer_tick_e8(price_e8: I64) -> int:
    """
    Infer the step of n prices, 1e-8 quote; 1 for none.

    A few round prices have more in common than their grid: as long as they are few, the step is at most a basis point
    of them.
    """
    unit = ObservedUnit()
    unit.add(price_e8)
    if unit.has_many or not len(price_e8):
        return unit.step
    upper_bound = 10 ** (len(str(max(1, int(np.median(price_e8)) // _FINEST_BP))) - 1)
    return min(unit.step, upper_bound)
