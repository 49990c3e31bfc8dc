"""
From recommendations to figures: episodes, their zones' outcomes, their orders' fills and markouts, beside placebos.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from market.arrays import F64, I64
from market.fixed_point import common_unit
from replay.scoring.episodes import Episode, Publication, episodes_of
from replay.scoring.figures import Trial, block_of, figures_of, gains_of
from replay.scoring.orders import Books, fill, orders_of_zones
from replay.scoring.outcomes import LevelOutcomes, Levels, outcomes_at
from replay.scoring.placebo import MovedZones, draw_placebos, sigma_e8
from replay.scoring.price_path import PricePath
from replay.scoring.rules import ScoringRules
from replay.scoring.score_tables import ScoreTables, episode_table, fill_table, order_table, score_table

Baseline = Callable[[Sequence[Publication]], Sequence[Publication]]
"""From recommendations to others."""

NONE: Mapping[str, Baseline] = MappingProxyType({})
"""No baseline."""


def score(
    publications: Sequence[Publication],
    path: PricePath,
    rules: ScoringRules,
    baselines: Mapping[str, Baseline] = NONE,
    books: Books | None = None,
) -> ScoreTables:
    """
    Score advice against the prices that followed it.

    Args:
        publications: recommendations with zones or without, in order.
        path: the trades, from before the first recommendation on.
        rules: delays, fee, distances and seed.
        baselines: by name, what turns the recommendations into those that they are compared with besides.
        books: what was displayed where orders rest; None where no book was recorded.
    """
    episodes = episodes_of(publications)
    placebos = draw_placebos(episodes, common_unit(path.price_e8), rules.placebo_draws, rules.seed)
    others = {name: episodes_of(of(publications)) for name, of in baselines.items()}
    zones = [(episodes, MovedZones.unmoved(len(episodes))), (episodes, placebos)]
    zones += [(own, MovedZones.unmoved(len(own))) for own in others.values()]
    advice, chance, *rest = _trials(zones, path, rules, books)
    by_name = dict(zip(others, rest, strict=True))
    rows = figures_of(episodes, advice, chance, _every_minute(publications, path, rules), by_name)
    return ScoreTables(
        episode_table(episodes, advice.outcomes, path),
        order_table(advice.orders, advice.results),
        fill_table(advice.results),
        score_table(rows),
        gains_of(advice, chance),
    )


def zone_outcomes(episodes: Sequence[Episode], path: PricePath, rules: ScoringRules) -> LevelOutcomes:
    """
    The outcome of each episode's zone, tested for as long as its first advice is valid.

    Args:
        episodes: n episodes, in any order.
        path: the trades that test them.
        rules: latency, and the distances of rejection and break.
    """
    return outcomes_at(path, _levels(episodes, MovedZones.unmoved(len(episodes)), rules))


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


def _trials(
    zones: Sequence[tuple[Sequence[Episode], MovedZones]], path: PricePath, rules: ScoringRules, books: Books | None
) -> list[Trial]:
    """Test sets of zones, and let their orders rest."""
    orders = [orders_of_zones(episodes, moved, path, rules) for episodes, moved in zones]
    trials = []
    for (episodes, moved), own, results in zip(zones, orders, fill(orders, path, books, rules), strict=True):
        levels = _levels(episodes, moved, rules)
        outcomes = outcomes_at(path, levels)
        block = np.array([block_of(e) for e in episodes], np.int64)[moved.episode]
        trials.append(Trial(block, outcomes, _expected_rejections(path, levels, outcomes.touch), own, results))
    return trials


def _levels(episodes: Sequence[Episode], zones: MovedZones, rules: ScoringRules) -> Levels:
    unit = np.array([sigma_e8(e) for e in episodes], np.float64)
    start = np.array([e.first.published_ns for e in episodes], np.int64) + rules.latency_ms * 1_000_000
    own = zones.episode
    return Levels(
        is_buy=np.array([e.zone.side == "buy" for e in episodes], bool)[own],
        low_e8=np.array([e.zone.low_e8 for e in episodes], np.int64)[own] + zones.shift_e8,
        high_e8=np.array([e.zone.high_e8 for e in episodes], np.int64)[own] + zones.shift_e8,
        away_e8=distances(unit, rules.away_sigma)[own],
        beyond_e8=distances(unit, rules.beyond_sigma)[own],
        start_ns=start[own],
        stop_ns=np.array([e.stop_ns for e in episodes], np.int64)[own],
        after_seq=np.array([e.first.published_seq for e in episodes], np.int64)[own],
    )


def _expected_rejections(path: PricePath, levels: Levels, touch: I64) -> F64:
    """The probability of each touched zone's rejection on a price without memory; NaN for the rest."""
    expected = np.full(len(levels), np.nan)
    is_touched = touch >= 0
    price = path.price_e8[touch[is_touched]]
    near = np.where(levels.is_buy, levels.high_e8, levels.low_e8)[is_touched]
    overshoot = np.where(levels.is_buy[is_touched], near - price, price - near)
    width, away, beyond = (
        column[is_touched] for column in (levels.high_e8 - levels.low_e8, levels.away_e8, levels.beyond_e8)
    )
    expected[is_touched] = expected_rejection(width, away, beyond, overshoot)
    return expected


def expected_rejection(width: I64 | F64, away: I64 | F64, beyond: I64 | F64, overshoot: I64 | F64) -> F64:
    """
    How often a zone is rejected before it is broken on a martingale: the gambler's ruin, between two prices.

    Args:
        width: of the zone. away: from its near edge to where it is rejected. beyond: from its far edge to where it is
            broken. overshoot: of the trade that touched it, past the near edge. All in one unit.

    Returns:
        (width + beyond − overshoot) / (width + away + beyond), within 0 and 1.

    >>> [round(float(expected_rejection(0.4, 2.0, 2.0, o)), 4) for o in (0.15, 0.0)]
    [0.5114, 0.5455]
    """
    share: F64 = np.clip((width + beyond - overshoot) / np.maximum(width + away + beyond, 1e-12), 0.0, 1.0)
    return share


def _every_minute(publications: Sequence[Publication], path: PricePath, rules: ScoringRules) -> LevelOutcomes:
    """The outcomes of all zones of all recommendations, each as if it were new."""
    singles = [Episode(p, zone, p.published_ns) for p in publications for zone in p.advice.zones]
    return zone_outcomes(singles, path, rules)
