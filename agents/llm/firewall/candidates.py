"""
The candidates of a decision: each zone as far as a resting order may lie in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from agents.recommendation import Side
from agents.zones import shrink_to_grid
from analysis.confluence import Confluence
from analysis.grid import bp_between
from analysis.view import MarketView


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A zone, and the part of it that meets all rules of prices: on the grid, on its side of reference and mid, inside the
    observed book.
    """

    zone: Confluence
    side: Side
    low_e8: int
    high_e8: int


def find_candidates(view: MarketView) -> tuple[Sequence[Candidate], int]:
    """The candidates, strongest first, and the number of zones that have no usable part."""
    candidates = [_candidate(zone, view) for zone in view.zones]
    usable = [candidate for candidate in candidates if candidate is not None]
    return usable, len(candidates) - len(usable)


def _candidate(zone: Confluence, view: MarketView) -> Candidate | None:
    reference, tick = view.reference_e8, view.tick_size_e8
    if reference is None:
        return None
    mid = reference if view.mid_e8 is None else view.mid_e8
    low, high = zone.low_e8, zone.high_e8
    side: Side = "buy" if zone.price_e8 < reference else "sell"
    if side == "buy":
        low, high = max(low, _farthest(view, "bid")), min(high, reference - 1, ceil(mid) - 1)
    else:
        low, high = max(low, reference + 1, floor(mid) + 1), min(high, _farthest(view, "ask"))
    low, high = shrink_to_grid(low, high, tick)
    return Candidate(zone, side, low, high) if low <= high else None


def _farthest(view: MarketView, side: Literal["bid", "ask"]) -> int:
    """The price furthest from the mid that the book shows on a side; without a book there is no limit."""
    reach = view.reach_bp.get(side)
    below = side == "bid"
    if view.mid_e8 is None or reach is None:
        return 0 if below else 2**62
    price = int(view.mid_e8 * (1 - reach / 1e4 if below else 1 + reach / 1e4))
    step = view.tick_size_e8 if below else -view.tick_size_e8
    while abs(bp_between(price, view.mid_e8)) > reach:
        price += step
    return price
