"""
The quotes of market makers who look at volatility and at their inventory alone.

Avellaneda, Stoikov 2008 (a horizon after which the inventory is marked); Guéant, Lehalle, Fernandez-Tapia 2013 (none).
Orders arrive at A·exp(−k·δ) a unit of time at a distance δ from the mid.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quote:
    """Bid and ask, in the unit of the mid."""

    bid: float
    ask: float


@dataclass(frozen=True, slots=True)
class HalfSpread:
    """
    Quotes around the mid: bid = mid − half − skew·inventory, ask = mid + half − skew·inventory.

    Attributes:
        half: distance without inventory. skew: shift of both for a unit of inventory.
    """

    half: float
    skew: float


def avellaneda_stoikov(mid: float, inventory: float, sigma: float, remaining: float, gamma: float, k: float) -> Quote:
    """
    Quotes around the price at which one is indifferent to one's inventory.

    Args:
        mid: the price. inventory: held, units of the base.
        sigma: standard deviation of the mid over a unit of time, in its unit. remaining: time until the horizon.
        gamma: risk aversion, above 0; 1 / (price · base). k: how fast orders thin out with distance, 1 / price.

    >>> quote = avellaneda_stoikov(100.0, 1.0, 2.0, 0.5, 0.1, 1.5)
    >>> round(quote.bid, 4), round(quote.ask, 4)
    (99.0546, 100.5454)
    """
    variance = gamma * sigma * sigma * remaining
    indifference = mid - inventory * variance
    half = (variance + 2 / gamma * math.log1p(gamma / k)) / 2
    return Quote(indifference - half, indifference + half)


def glft(a: float, k: float, gamma: float, xi: float, size: float, sigma: float) -> HalfSpread:
    """
    The stationary quotes of a maker without horizon.

    Args:
        a: orders a unit of time at the mid. k: how fast they thin out with distance, 1 / price.
        gamma: risk aversion. xi: that of the fills' own risk; equal to gamma in the paper.
        size: of an order, units of the base.
        sigma: standard deviation of the mid over a unit of time, in its unit.

    >>> glft(2.986162360812285, 0.04235741115084049, 0.05, 0.05, 1.0, 10.69)
    HalfSpread(half=20.47208533844371, skew=9.76326865029227)
    """
    growth = 1 + xi * size / k
    first = math.log(growth) / (xi * size)
    second = math.sqrt(gamma / (2 * a * size * k) * growth ** (k / (xi * size) + 1))
    return HalfSpread(first + size / 2 * second * sigma, second * sigma)
