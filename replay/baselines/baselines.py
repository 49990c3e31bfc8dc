"""
What anyone could advise instead: baselines with the orders of some advice, and other reasons or none.
"""

from collections.abc import Mapping
from functools import partial

from replay.baselines.derived import Delay, alternate, mirror
from replay.baselines.levels import stand_at
from replay.baselines.makers import Quoting, half_of_avellaneda_stoikov, half_of_glft
from replay.recorded.minutes import Minutes
from replay.scoring.scoring import Baseline

NAMES = (
    "mirrored",
    "symmetric ladder",
    "an hour before",
    "poc only",
    "walls only",
    "Avellaneda-Stoikov",
    "GLFT",
)
"""All baselines, in the order in which they are printed."""


def baselines_on(minutes: Minutes) -> Mapping[str, Baseline]:
    """
    The baselines of a stretch by name, anew for each run: some remember what was.

    Args:
        minutes: of its market, from a day before its first recommendation on where there are any.
    """
    tick = minutes.tick_size_e8
    quotes = (Quoting(minutes, half, tick) for half in (half_of_avellaneda_stoikov, half_of_glft))
    at = (partial(stand_at, basis=basis, tick_size_e8=tick) for basis in ("poc", "wall"))
    return dict(zip(NAMES, (mirror, alternate, Delay(), *at, *quotes), strict=True))
