"""
How the simulated model is minded: a style it keeps for a while and then changes, by its seed alone.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Place = Literal["front", "back", "whole"]

_SEED_OF_STYLES = 1


@dataclass(frozen=True, slots=True)
class Style:
    """
    What a decision is inclined to.

    Attributes:
        place: the half of a zone nearer to the market, the half beyond, or all of it. zones_a_side: at most.
    """

    place: Place
    zones_a_side: int


_PLACES: tuple[Place, ...] = ("front", "back", "whole")
STYLES = tuple(Style(place, zones) for zones in (2, 1) for place in _PLACES)


class Moods:
    """
    Styles that persist: one is kept from one draw to the next with a probability, else drawn anew from all.

    Args:
        seed: decides all of them.
        half_life: draws after which a style has been kept throughout with probability one half; 0 keeps none.
    """

    def __init__(self, seed: int, half_life: float = 0.0) -> None:
        self._generator = np.random.default_rng([seed, _SEED_OF_STYLES])
        self._kept = 0.5 ** (1 / half_life) if half_life > 0 else 0.0
        self.first = STYLES[int(self._generator.integers(len(STYLES)))]
        self._now = self.first

    def draw(self) -> Style:
        """The style of the next decision."""
        stays = self._generator.random() < self._kept
        other = STYLES[int(self._generator.integers(len(STYLES)))]  # drawn either way: the n-th draw stays the n-th
        self._now = self._now if stays else other
        return self._now
