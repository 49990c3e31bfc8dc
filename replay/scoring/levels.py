"""
The zones of episodes as levels under test.
"""

from collections.abc import Sequence

import numpy as np

from market.arrays import F64, I64
from replay.scoring.episodes import Episode
from replay.scoring.outcomes import Levels
from replay.scoring.placebo import MovedZones, sigma_e8
from replay.scoring.rules import ScoringRules


def distances(unit_e8: F64, sigmas: float) -> I64:
    """
    A number of σ as price distances, 1e-8 quote, rounded up: also right where a tick is no more than 1e-8.

    Args:
        unit_e8: n values of σ as a price distance, 1e-8 quote.
        sigmas: the number of σ.

    >>> distances(np.array([10.0, 0.3]), 1.5).tolist()
    [15, 1]
    """
    return np.ceil(np.round(unit_e8 * sigmas, 6)).astype(np.int64)


def levels_of(episodes: Sequence[Episode], zones: MovedZones, rules: ScoringRules) -> Levels:
    """
    The levels of zones: touched while the first advice of their episode is valid, from the latency on.

    Args:
        episodes: what the zones belong to.
        zones: the episodes' zones, moved by so much.
        rules: latency, and the distances of rejection and break.
    """
    unit = np.array([sigma_e8(e) for e in episodes], np.float64)
    start = np.array([e.published_ns for e in episodes], np.int64) + rules.latency_ms * 1_000_000
    own = zones.episode
    return Levels(
        is_buy=np.array([e.zone.side == "buy" for e in episodes], bool)[own],
        low_e8=np.array([e.zone.low_e8 for e in episodes], np.int64)[own] + zones.shift_e8,
        high_e8=np.array([e.zone.high_e8 for e in episodes], np.int64)[own] + zones.shift_e8,
        away_e8=distances(unit, rules.away_sigma)[own],
        beyond_e8=distances(unit, rules.beyond_sigma)[own],
        start_ns=start[own],
        stop_ns=np.array([e.stop_ns for e in episodes], np.int64)[own],
        after_seq=np.array([e.published_seq for e in episodes], np.int64)[own],
    )
