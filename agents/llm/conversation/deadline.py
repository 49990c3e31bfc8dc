"""
Until when a model may answer: the same live and on recorded ticks.
"""

from analysis.view import MarketView
from market.timestamps import SECOND_NS


def deadline_ns(view: MarketView) -> int:
    """Until when a model may answer, ns: a sixth of the interval, at most 10 s, before the next tick."""
    return view.as_of_ns + view.interval_ns - min(10 * SECOND_NS, view.interval_ns // 6)
