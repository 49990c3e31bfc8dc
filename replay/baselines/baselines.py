"""
What anyone could advise instead: baselines with the orders of some advice, and other reasons or none.
"""

from collections.abc import Mapping
from functools import partial

from market.fixed_point import common_unit
from replay.baselines.derived import alternate, delay, mirror
from replay.baselines.levels import stand_at
from replay.baselines.makers import half_of_avellaneda_stoikov, half_of_glft, quote
from replay.scoring.price_path import PricePath
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


def baselines_on(path: PricePath) -> Mapping[str, Baseline]:
    """
    The baselines of a stretch by name.

    Args:
        path: its trades, from a day before its first recommendation on where there are any.
    """
    tick = common_unit(path.price_e8) if len(path) else 1
    quotes = (
        partial(quote, path=path, half=half, tick_size_e8=tick) for half in (half_of_avellaneda_stoikov, half_of_glft)
    )
    at = (partial(stand_at, basis=basis, tick_size_e8=tick) for basis in ("poc", "wall"))
    return dict(zip(NAMES, (mirror, alternate, delay, *at, *quotes), strict=True))
