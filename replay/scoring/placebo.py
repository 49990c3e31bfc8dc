"""
Placebos: the same offsets, in σ, at other ticks of the same day. No figure about advice stands without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market.arrays import I64
from market.timestamps import DAY_NS
from replay.scoring.episodes import Episode


@dataclass(frozen=True, slots=True)
class PlaceboPool:
    """k ticks at which distance could be measured: when advice would have been out, from which price, in which σ."""

    published_ns: I64
    published_seq: I64
    reference_e8: I64
    sigma: "np.ndarray[tuple[int], np.dtype[np.float64]]"

    def __len__(self) -> int:
        return len(self.published_ns)


@dataclass(frozen=True, slots=True)
class PlaceboSamples:
    """m placebos: which episode each stands beside, at which moment, and its offsets there, exact prices."""

    episode: I64
    moment: I64
    low_e8: I64
    high_e8: I64
    rung_e8: I64


def draw_placebos(episodes: Sequence[Episode], pool: PlaceboPool, count: int, seed: int) -> PlaceboSamples:
    """
    For each episode up to `count` other moments of its UTC day, drawn without repetition.

    Offsets keep their sign and their size in σ: a zone 3σ below its price then lies 3σ below the price at the drawn
    moment. `rung_e8` is the zone's first rung, moved in the same way. An episode alone in its day gets none, nor does
    one get those that would lie at or below 0.
    """
    days = pool.published_ns // DAY_NS
    parts: list[tuple[I64, ...]] = []
    for number, episode in enumerate(episodes):
        advice = episode.first.advice
        if advice.reference_e8 is None or advice.sigma is None:
            continue
        published_ns = episode.first.published_ns
        others = np.flatnonzero((days == published_ns // DAY_NS) & (pool.published_ns != published_ns))
        if len(others) == 0:
            continue
        chance = np.random.Generator(np.random.PCG64([seed, number]))
        picks = np.sort(chance.choice(others, size=min(count, len(others)), replace=False))
        unit = advice.reference_e8 * advice.sigma
        scale = pool.reference_e8[picks] * pool.sigma[picks]
        edges = (episode.zone.low_e8, episode.zone.high_e8, episode.zone.ladder[0].price_e8)
        prices = [
            pool.reference_e8[picks] + np.rint((edge - advice.reference_e8) / unit * scale).astype(np.int64)
            for edge in edges
        ]
        is_positive = prices[0] > 0  # none can stand at a price of 0, as one of a coin that fell far would
        parts.append((np.full(is_positive.sum(), number), picks[is_positive], *(edge[is_positive] for edge in prices)))
    if not parts:
        return PlaceboSamples(*(np.empty(0, np.int64) for _ in range(5)))
    return PlaceboSamples(*(np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True)))
