"""
Where an order stands in the queue at its price: the family of models, one compiled step for a change of the book.

Nobody is told where in a level an order stands. A model says how a fall of the displayed size that no trade explains is
split between what lies ahead of the order and what lies behind it. The formulas are those of hftbacktest (its page
"Order Fill"; Rigtorp 2013, "Estimating order queue position"); docs/fills.md has them with a worked trace.
"""

from dataclasses import dataclass

import numpy as np

from market.compiled import compiled
from market.fixed_point import ONE_E8

TOUCH, THROUGH, RISK_ADVERSE, LOG, LOG_2, POWER, POWER_2, POWER_3 = range(8)  # kinds, as the compiled loops know them


@dataclass(frozen=True, slots=True)
class QueueModel:
    """
    One model of the queue.

    Attributes:
        name: as results are labelled.
        kind: TOUCH to POWER_3.
        power: the exponent of the three power kinds; the others do not read it.
    """

    name: str
    kind: int
    power: float = 1.0


BOUNDS = (QueueModel("touch", TOUCH), QueueModel("through", THROUGH))
"""Nothing is ahead of the order; everything at its price is ahead of it. Every model of the family lies between."""

FAMILY = (
    QueueModel("risk adverse", RISK_ADVERSE),
    QueueModel("log", LOG),
    QueueModel("log 2", LOG_2),
    QueueModel("power 1", POWER, 1.0),
    QueueModel("power 2", POWER, 2.0),
    QueueModel("power 3", POWER, 3.0),
    QueueModel("power2 2", POWER_2, 2.0),
    QueueModel("power3 2", POWER_3, 2.0),
    QueueModel("power3 3", POWER_3, 3.0),
)
"""The queue models of hftbacktest, with the exponents of the published trace."""

MODELS = BOUNDS + FAMILY
"""All of them, in the order in which results are printed."""


@compiled
def front_after_change(kind, power, front, traded, size, new_size, unit):  # type: ignore[no-untyped-def]
    """
    The quantity ahead of an order after the displayed size of its level changed.

    Args:
        kind, power: the model.
        front: the quantity ahead before, counts of quantity; never more than `size`.
        traded: what traded at the level since its last change: it explains as much of a fall.
        size, new_size: the displayed size before and after, counts.
        unit: counts in one base unit; the logarithms are of base units.
    """
    if kind in (TOUCH, THROUGH):
        return front
    fall = size - traded - new_size
    if kind == RISK_ADVERSE or fall < 0.0:
        return min(front, new_size)
    back = size - front
    behind = share_behind(kind, power, front / unit, back / unit)
    return max(min(front - (1.0 - behind) * fall + min(back - behind * fall, 0.0), new_size), 0.0)


@compiled
def share_behind(kind, power, front, back):  # type: ignore[no-untyped-def]
    """
    The share of an unexplained fall that is taken from behind the order, 0 to 1.

    Args:
        kind, power: the model, none of TOUCH, THROUGH and RISK_ADVERSE.
        front, back: the quantities ahead of and behind the order, base units; with neither, all of it is behind.
    """
    if front <= 0.0:
        return 1.0
    if kind == LOG:
        behind = np.log1p(back)
        return behind / (behind + np.log1p(front))
    if kind == LOG_2:
        return np.log1p(back) / np.log1p(back + front)
    ahead = raise_to(front / (front + back), power)  # of a share of the whole: no power of a huge quantity overflows
    if kind == POWER_3:
        return 1.0 - ahead
    behind = raise_to(back / (front + back), power)
    return behind / (behind + ahead) if kind == POWER else behind


@compiled
def raise_to(base, power):  # type: ignore[no-untyped-def]
    """A power of a number, multiplied out where it is 1, 2 or 3: several times as fast as the general one."""
    if power == 1.0:
        return base
    if power == 2.0:
        return base * base
    return base * base * base if power == 3.0 else base**power


def front_of(model: QueueModel, front: float, traded: float, sizes: tuple[float, float]) -> float:
    """
    The quantity ahead of an order after one change of its level, in base units: a step of the model, for a reader.

    Args:
        model: one of the family.
        front: base units ahead before.
        traded: base units traded at the level since its last change.
        sizes: the displayed size before and after, base units.

    >>> round(front_of(FAMILY[3], 7.0, 0.0, (11.0, 8.0)), 6)
    5.090909
    """
    values = (value * ONE_E8 for value in (front, traded, *sizes))
    return float(front_after_change(model.kind, model.power, *values, float(ONE_E8)) / ONE_E8)
