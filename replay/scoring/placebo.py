"""
Placebos: the same offsets, in σ, at other ticks of the same day. Every figure about advice is reported beside theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market.arrays import I64
from market.timestamps import DAY_NS
from replay.scoring.episodes import Episode


@dataclass(frozen=True, slots=True)
class PlaceboPool:
    """
    k ticks at which distance could be measured, that placebos are drawn from.

    Attributes:
        published_ns: when advice would have been out. published_seq: the last seq in the log at the tick.
        reference_e8: the price at the tick, 1e-8 quote. sigma: σ, relative to the price.
    """

    published_ns: I64
    published_seq: I64
    reference_e8: I64
    sigma: "np.ndarray[tuple[int], np.dtype[np.float64]]"

    def __len__(self) -> int:
        return len(self.published_ns)


@dataclass(frozen=True, slots=True)
class PlaceboSamples:
    """
    m placebos.

    Attributes:
        episode: the number of the episode that each is compared with. moment: its tick, an index into the pool.
        low_e8, high_e8: the zone moved there, exact prices. rung_e8: its first rung, likewise.
    """

    episode: I64
    moment: I64
    low_e8: I64
    high_e8: I64
    rung_e8: I64


def draw_placebos(episodes: Sequence[Episode], pool: PlaceboPool, count: int, seed: int) -> PlaceboSamples:
    """
    Draw for each episode up to `count` other ticks of its UTC day, without repetition.

    Offsets keep their sign and their size in σ: a zone 3σ below its price then lies 3σ below the price at the placebo's
    tick. `rung_e8` is the zone's first rung, moved in the same way. Placebos at or below a price of 0 are left out.

    Args:
        episodes: what placebos are drawn for; one whose first advice has no σ or price gets none.
        pool: the ticks to draw from.
        count: placebos for one episode, at most; fewer where its day has fewer other ticks.
        seed: of the random draws, which also depend on the episode's number.
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
