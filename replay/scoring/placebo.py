"""
Placebos: the same zone at the same tick, at another distance from the price. What is known about advice is its
difference from theirs: they share its price path, its hour and its grid, and none of its prices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

import numpy as np

from market.arrays import F64, I64
from market.timestamps import DAY_NS
from replay.scoring.episodes import Episode

MAX_SHIFT_SIGMA = 1.5  # further away, price is known to behave otherwise: docs/decisions/0020-inference.md


@dataclass(frozen=True, slots=True)
class MovedZones:
    """
    m zones of episodes, each moved as a whole.

    Attributes:
        episode: (m,) the number of the episode that each belongs to.
        shift_e8: (m,) what is added to each price of its zone, 1e-8 quote; a placebo's is never 0.
    """

    episode: I64
    shift_e8: I64

    @classmethod
    def unmoved(cls, count: int) -> "MovedZones":
        """The zones of that many episodes, as they were advised."""
        return cls(np.arange(count), np.zeros(count, np.int64))


def draw_placebos(
    episodes: Sequence[Episode], tick_size_e8: int, count: int, seed: int, earlier: Sequence[Episode] = ()
) -> MovedZones:
    """
    Draw for each episode up to `count` other distances of its zone.

    A distance, in σ, is that of another episode of the same side, no further than `MAX_SHIFT_SIGMA` from its own, which
    began on the same day or on the one before. The moved zone lies on the same side of the price and has no price in
    common with any zone of that recommendation.

    Args:
        episodes: of a day, what placebos are drawn for; one whose first advice has no σ or price gets none.
        tick_size_e8: zones are moved by a multiple of it, 1e-8 quote.
        count: placebos for one episode, at most; fewer where other episodes offer fewer distances.
        seed: of the random draws, which also depend on the number of episodes before each.
        earlier: all episodes of the days before.
    """
    days = {e.published_ns // DAY_NS for e in episodes}
    recent = list(takewhile(lambda e: e.published_ns // DAY_NS + 1 in days, reversed(earlier)))
    offered = [*reversed(recent), *episodes]
    distance = np.array([_distance(e) for e in offered], np.float64)
    is_buy = np.array([e.zone.side == "buy" for e in offered], bool)
    numbers: list[int] = []
    shifts: list[int] = []
    for number, episode in enumerate(episodes):
        own_distance = distance[len(recent) + number]
        is_near = np.abs(distance - own_distance) <= MAX_SHIFT_SIGMA  # never where either is NaN
        others = distance[is_near & (is_buy == (episode.zone.side == "buy"))] - own_distance
        chance = np.random.Generator(np.random.PCG64([seed, len(earlier) + number]))
        free = (shift for shift in _shifts(episode, others, tick_size_e8, chance) if _is_free(episode, shift))
        own = list(islice(free, count))
        numbers += [number] * len(own)
        shifts += own
    return MovedZones(np.array(numbers, np.int64), np.array(shifts, np.int64))


def _distance(episode: Episode) -> float:
    """From the price to the zone's near edge, σ; below 0 where price is beyond it, NaN where that is unknown."""
    reference, unit = episode.reference_e8, sigma_e8(episode)
    if reference is None or unit == 0:
        return float("nan")
    zone = episode.zone
    return (reference - zone.high_e8 if zone.side == "buy" else zone.low_e8 - reference) / unit


def sigma_e8(episode: Episode) -> float:
    """σ as a price distance at an episode's first advice, 1e-8 quote; 0 where it is unknown."""
    return (episode.reference_e8 or 0) * (episode.sigma or 0.0)


def _shifts(episode: Episode, steps: F64, tick_size_e8: int, chance: np.random.Generator) -> list[int]:
    """Different shifts in random order."""
    away = -1 if episode.zone.side == "buy" else 1
    ticks = np.rint(steps * sigma_e8(episode) / tick_size_e8).astype(np.int64)
    shifts = list(dict.fromkeys((chance.permutation(ticks) * tick_size_e8 * away).tolist()))
    return [shift for shift in shifts if shift]


def _is_free(episode: Episode, shift_e8: int) -> bool:
    zone = episode.zone
    low, high, reference = zone.low_e8 + shift_e8, zone.high_e8 + shift_e8, episode.reference_e8 or 0
    is_own_side = high < reference if zone.side == "buy" else low > reference
    lowest = min([low, *(rung.price_e8 + shift_e8 for rung in zone.ladder)])
    return is_own_side and lowest > 0 and not any(low <= b and a <= high for a, b in episode.advised)
