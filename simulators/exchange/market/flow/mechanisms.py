"""
The mechanisms of the simulated market, each of which can be switched off: the calibration page shows what it made.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mechanisms:
    """
    Which mechanisms a market has; all of them by default.

    Attributes:
        informed: informed traders send orders towards the value, the more the farther the quotes are from it.
        impact: orders move the quoted price.
        parents: orders are children of split parents, whose lengths have a power-law tail.
        slow_quotes: makers learn of the value with a delay; without it they quote the value at once.
        slow_volatility: volatility wanders over hours; without it only with the pace of orders.
        walks: quotes move in small steps and with orders that walk the book; without it they jump.
        round_orders: orders rest at round prices, and are filled when the price passes.
        heavy_sizes: sizes of trades are the recorded ones; without it all have the same size.
        held_walls: natural walls stay in the book; without it they are renewed like any other level.
        creeping_walls: some natural walls keep their distance from the price.
    """

    informed: bool = True
    impact: bool = True
    parents: bool = True
    slow_quotes: bool = True
    slow_volatility: bool = True
    walks: bool = True
    round_orders: bool = True
    heavy_sizes: bool = True
    held_walls: bool = True
    creeping_walls: bool = True
