"""
Evidence: price intervals that matter, each under an id that recommendations cite.
"""

from typing import Literal

import msgspec

from market.fixed_point import format_e8

Basis = Literal["wall", "band", "vacuum_edge", "poc", "hvn", "value_area", "naked_poc", "rejection", "absorption"]
Leg = Literal["static", "acceptance", "validation"]
LEGS: tuple[Leg, ...] = ("static", "acceptance", "validation")


class Evidence(msgspec.Struct, frozen=True):
    """
    A price interval that matters, and why.

    Attributes:
        id: what a recommendation cites, unique within a tick.
        leg: static (the book shows it), acceptance (trade went on there) or validation (trades tested it and it held).
        low_e8, high_e8: the interval, both inclusive. price_e8: its heaviest price.
        strength: 0 to 1. horizon_min: of the volume profile it comes from, 0 for anything else.
    """

    id: str
    basis: Basis
    leg: Leg
    low_e8: int
    high_e8: int
    price_e8: int
    strength: float
    horizon_min: int = 0


def format_price(value_e8: float | None) -> str | None:
    """A price as plain decimal text; a half tick is kept. None for None."""
    if value_e8 is None:
        return None
    integer = int(value_e8)
    return format_e8(integer) if integer == value_e8 else format_e8(int(value_e8 * 10), 9)
