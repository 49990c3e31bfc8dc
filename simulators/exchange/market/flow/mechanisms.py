"""
The mechanisms of the simulated market, each of which can be switched off: the calibration page shows what it made.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mechanisms:
    """
    Which mechanisms a market has; all of them by default.

    Attributes:
        informed: orders that answer news know the value and trade towards it; without it they know nothing.
        impact: orders move the quoted price.
        sign_memory: sides follow those of earlier orders, as the parts of large orders that are split do.
        slow_quotes: makers follow the value within a second; without it they quote it at once.
        slow_volatility: volatility wanders over hours; without it only with the pace of orders.
        walks: quotes move in small steps and with orders that walk the book; without it they jump.
        round_orders: orders rest at round prices, and are filled when the price passes.
        heavy_sizes: sizes of trades are the recorded ones; without it all have the same size.
        held_walls: natural walls stay where they are; without it large levels are renewed like any other.
        creeping_walls: some natural walls keep their distance from the price.
    """

    informed: bool = True
    impact: bool = True
    sign_memory: bool = True
    slow_quotes: bool = True
    slow_volatility: bool = True
    walks: bool = True
    round_orders: bool = True
    heavy_sizes: bool = True
    held_walls: bool = True
    creeping_walls: bool = True
