"""
From recommendations to figures: episodes, their zones' outcomes, their orders' fills and markouts, beside placebos.

What a recommendation is scored by lies in the hours after it, so a day after the other is scored: a month needs no
more memory than a day.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from market.arrays import F64, I64, concatenate_columns
from market.timestamps import DAY_NS, SECOND_NS
from replay.recorded.price_path import PricePath
from replay.recorded.prices import Prices
from replay.scoring.episodes import Episode, Grouping, Publication
from replay.scoring.figures import Stated, Sums, Trial, add_up, blocks_of, every_minute_sums, figures_of, gains_of
from replay.scoring.levels import levels_of
from replay.scoring.orders import Books, fill, orders_of_zones
from replay.scoring.outcomes import HORIZONS_S, TEST_NS, LevelOutcomes, Levels, outcomes_at
from replay.scoring.placebo import MovedZones, draw_placebos
from replay.scoring.rules import ScoringRules
from replay.scoring.score_tables import ScoreTables, episode_table, fill_table, order_table, score_table

Baseline = Callable[[Publication], Publication]
"""From a recommendation to another; called for each in order, so it may remember."""

NONE: Mapping[str, Baseline] = MappingProxyType({})
"""No baseline."""

_AFTER_NS = max(TEST_NS, HORIZONS_S[-1] * SECOND_NS)  # what is looked at after a touch or a fill


def score(
    publications: Iterable[Publication],
    prices: Prices,
    rules: ScoringRules,
    baselines: Mapping[str, Baseline] = NONE,
    books: Books | None = None,
) -> ScoreTables:
    """
    Score advice against the prices that followed it.

    Args:
        publications: recommendations with zones or without, in order.
        prices: from before the first recommendation on.
        rules: delays, fee, distances and seed.
        baselines: by name, what turns the recommendations into those that they are compared with besides.
        books: what was displayed where orders rest; None where no book was recorded.
    """
    scoring = Scoring(prices, rules, baselines, books)
    for publication in publications:
        scoring.add(publication)
    return scoring.finish()


class Scoring:
    """
    Scores while recommendations come in; see `score` for the arguments.

    Attributes:
        episodes: so far, in the order of their first publication.
    """

    def __init__(
        self, prices: Prices, rules: ScoringRules, baselines: Mapping[str, Baseline] = NONE, books: Books | None = None
    ) -> None:
        self.episodes: list[Episode] = []
        self._prices = prices
        self._rules = rules
        self._baselines = baselines
        self._books = books
        self._own = Grouping()
        self._others = {name: Grouping() for name in baselines}
        self._day = _Day(0, baselines)
        self._parts: list[_Part] = []

    def add(self, publication: Publication) -> None:
        """Take the next recommendation, with zones or without."""
        if publication.published_ns // DAY_NS != self._day.number:
            self._close_day()
            self._day = _Day(publication.published_ns // DAY_NS, self._baselines)
        day = self._day
        day.own += self._own.add(publication)
        day.singles += [Episode.of(publication, zone) for zone in publication.advice.zones]
        for name, baseline in self._baselines.items():
            day.others[name] += self._others[name].add(baseline(publication))

    def finish(self) -> ScoreTables:
        """The tables of all recommendations."""
        self._close_day()
        if not self._parts:
            self._parts.append(self._score(self._day))
        parts = self._parts
        advice, placebo, every_minute = (
            add_up(getattr(part, name) for part in parts) for name in ("advice", "placebo", "every_minute")
        )
        baselines = {name: add_up(part.baselines[name] for part in parts) for name in self._baselines}
        stated = concatenate_columns([part.stated for part in parts])
        outcomes = concatenate_columns([part.outcomes for part in parts])
        return ScoreTables(
            episode_table(self.episodes, outcomes),
            pa.concat_tables([part.orders for part in parts]).combine_chunks(),
            pa.concat_tables([part.fills for part in parts]).combine_chunks(),
            score_table(figures_of(advice, placebo, stated, every_minute, baselines)),
            gains_of(advice, placebo),
        )

    def _close_day(self) -> None:
        """Score what was published on the day, and remember of it only what the figures need."""
        day = self._day
        if day.singles or any(day.others.values()):
            self._parts.append(self._score(day))
        self.episodes += day.own

    def _score(self, day: "_Day") -> "_Part":
        rules, own = self._rules, day.own
        path = self._prices.between(*day.span(rules.latency_ms * 1_000_000 + _AFTER_NS))
        first = len(self.episodes)
        placebos = draw_placebos(own, self._prices.tick_size_e8, rules.placebo_draws, rules.seed, self.episodes)
        zones = [(own, MovedZones.unmoved(len(own))), (own, placebos)]
        zones += [(other, MovedZones.unmoved(len(other))) for other in day.others.values()]
        advice, chance, *others = _trials(zones, path, rules, self._books)
        published_ns = np.array([e.published_ns for e in own], np.int64)
        order = sum(part.orders.num_rows for part in self._parts)
        return _Part(
            advice=advice.alone() | advice.compared(),
            placebo=chance.compared(),
            baselines={name: trial.compared() for name, trial in zip(day.others, others, strict=True)},
            every_minute=_every_minute(day.singles, path, rules),
            stated=Stated(np.array([e.zone.confidence for e in own], np.float64), advice.rejections, published_ns),
            outcomes=advice.outcomes,
            orders=order_table(advice.orders, advice.results, order, first),
            fills=fill_table(advice.results, order),
        )


class _Day:
    """What was published on a day: ideas that began, those of baselines, and all zones as if each were new."""

    def __init__(self, number: int, baselines: Iterable[str]) -> None:
        self.number = number
        self.own: list[Episode] = []
        self.others: dict[str, list[Episode]] = {name: [] for name in baselines}
        self.singles: list[Episode] = []

    def span(self, after_ns: int) -> tuple[int, int]:
        """From the first publication to so long after the last advice runs out, ns."""
        everything = [*self.own, *self.singles, *(e for episodes in self.others.values() for e in episodes)]
        if not everything:
            return 0, 0
        return min(e.published_ns for e in everything), max(e.stop_ns for e in everything) + after_ns


@dataclass(frozen=True, slots=True)
class _Part:
    """What figures need of a day."""

    advice: Sums
    placebo: Sums
    baselines: Mapping[str, Sums]
    every_minute: Sums
    stated: Stated
    outcomes: LevelOutcomes
    orders: pa.Table
    fills: pa.Table


def zone_outcomes(episodes: Sequence[Episode], path: PricePath, rules: ScoringRules) -> LevelOutcomes:
    """
    The outcome of each episode's zone, tested for as long as its first advice is valid.

    Args:
        episodes: n episodes, in any order.
        path: the trades that test them.
        rules: latency, and the distances of rejection and break.
    """
    return outcomes_at(path, levels_of(episodes, MovedZones.unmoved(len(episodes)), rules))


def _trials(
    zones: Sequence[tuple[Sequence[Episode], MovedZones]], path: PricePath, rules: ScoringRules, books: Books | None
) -> list[Trial]:
    """Test sets of zones, and let their orders rest."""
    orders = [orders_of_zones(episodes, moved, path, rules) for episodes, moved in zones]
    trials = []
    for (episodes, moved), own, results in zip(zones, orders, fill(orders, path, books, rules), strict=True):
        levels = levels_of(episodes, moved, rules)
        outcomes = outcomes_at(path, levels)
        block = blocks_of(np.array([e.published_ns for e in episodes], np.int64))[moved.episode]
        trials.append(Trial(block, outcomes, expected_rejections(levels, outcomes), own, results))
    return trials


def _every_minute(singles: Sequence[Episode], path: PricePath, rules: ScoringRules) -> Sums:
    levels = levels_of(singles, MovedZones.unmoved(len(singles)), rules)
    outcomes = outcomes_at(path, levels)
    return every_minute_sums(outcomes, expected_rejections(levels, outcomes))


def expected_rejections(levels: Levels, outcomes: LevelOutcomes) -> F64:
    """
    The probability of each touched zone's rejection on a price without memory; NaN for the rest.

    Args:
        levels: n zones under test.
        outcomes: of them.
    """
    expected = np.full(len(levels), np.nan)
    is_touched = outcomes.touch_ns >= 0
    price = outcomes.touch_e8[is_touched]
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
