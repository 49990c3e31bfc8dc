"""
The styles of the simulated model's decisions: one lasts for some decisions and then changes, by the seed alone.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Place = Literal["front", "back", "whole"]

_SEED_OF_STYLES = 1  # keeps this stream of random numbers apart from those of words


@dataclass(frozen=True, slots=True)
class Style:
    """
    How the zones of a decision are chosen.

    Attributes:
        place: which part of a candidate a zone takes: the half nearer to the market, the half beyond, or all of it.
        zones_per_side: number of zones per side, at most.
    """

    place: Place
    zones_per_side: int


_PLACES: tuple[Place, ...] = ("front", "back", "whole")
STYLES = tuple(Style(place, zones) for zones in (2, 1) for place in _PLACES)  # every place, with two zones or one


class StyleSequence:
    """
    Random styles that persist: each draw repeats the previous one with a fixed probability, else draws from all.

    Args:
        seed: of the random numbers.
        half_life: number of draws after which a style is still the same with probability one half; 0: none repeats.

    Attributes:
        first: the style before the first draw.
    """

    def __init__(self, seed: int, half_life: float = 0.0) -> None:
        self._generator = np.random.default_rng([seed, _SEED_OF_STYLES])
        self._repeat_chance = 0.5 ** (1 / half_life) if half_life > 0 else 0.0
        self.first = STYLES[int(self._generator.integers(len(STYLES)))]
        self._current = self.first

    def draw(self) -> Style:
        """Draw the style of the next decision."""
        repeats = self._generator.random() < self._repeat_chance
        # Drawn in either case, so that the n-th draw uses the same random numbers whatever came before.
        other = STYLES[int(self._generator.integers(len(STYLES)))]
        self._current = self._current if repeats else other
        return self._current
