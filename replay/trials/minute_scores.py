"""
Scores of each minute's advice by itself: the scorer's figures for one recommendation at a time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.recommendation import VALID_FOR_NS
from fills.queue_models import BOUNDS
from market.arrays import F64, I64
from market.timestamps import MINUTE_NS
from replay.recorded.price_path import PricePath
from replay.scoring.episodes import Episode, Publication
from replay.scoring.orders import fill, orders_of_zones
from replay.scoring.outcomes import BROKEN, HORIZONS_S, REJECTED, TEST_NS, UNTOUCHED
from replay.scoring.placebo import MovedZones
from replay.scoring.rules import ScoringRules
from replay.scoring.scoring import zone_outcomes

_VALID_MIN = VALID_FOR_NS // MINUTE_NS


@dataclass(frozen=True, slots=True)
class Score:
    """
    One figure of a minute.

    Attributes:
        metric: its name. model: of fills, None where none is involved.
        horizon_min: the minutes of the future that it looks at, at most.
    """

    metric: str
    model: str | None
    horizon_min: int

    @property
    def name(self) -> str:
        """The name in the ledger, e.g. "filled (touch)"."""
        return self.metric if self.model is None else f"{self.metric} ({self.model})"


def scores_of(horizons_s: Sequence[int] = HORIZONS_S) -> list[Score]:
    """All figures, with values of orders at some horizons, seconds."""
    scores = [Score("touched", None, _VALID_MIN), Score("rejected", None, _VALID_MIN + TEST_NS // MINUTE_NS)]
    for model in BOUNDS:
        scores.append(Score("filled", model.name, _VALID_MIN))
        for horizon_s in horizons_s:
            scores.append(Score(f"value_{horizon_s}s_bps", model.name, _VALID_MIN + math.ceil(horizon_s / 60)))
    return scores


def minute_scores(publications: Sequence[Publication], path: PricePath, rules: ScoringRules) -> dict[Score, F64]:
    """
    The figures of n recommendations, each as if it were the only one.

    Args:
        publications: n recommendations with zones or without.
        path: the trades from the first recommendation on.
        rules: latency, fee and distances.

    Returns:
        n values for each score: means over zones, or over rungs, by weight; NaN where there is nothing to score.
        `rejected` is over zones whose test was decided; an order that never fills has a value of 0.
    """
    n = len(publications)
    zones = [(i, Episode.of(p, zone)) for i, p in enumerate(publications) for zone in p.advice.zones]
    minute = np.array([i for i, _ in zones], np.int64)
    weight = np.array([e.zone.weight for _, e in zones], np.float64)
    outcome = zone_outcomes([e for _, e in zones], path, rules).outcome
    rejection = np.where((outcome == REJECTED) | (outcome == BROKEN), outcome == REJECTED, np.nan)
    values = {"touched": _mean((outcome != UNTOUCHED).astype(np.float64), weight, minute, n),
              "rejected": _mean(rejection, weight, minute, n)}  # fmt: skip
    figures = {score: values[score.metric] for score in scores_of(()) if score.metric in values}
    episodes = [e for _, e in zones]
    orders = orders_of_zones(episodes, MovedZones.unmoved(len(zones)), path, rules)
    minute = np.array([i for i, _ in zones], np.int64)[orders.zone]
    score_by_name = {(score.metric, score.model): score for score in scores_of()}
    results = fill([orders], path, None, rules, BOUNDS)[0]  # neither of the two bounds looks at the queue
    for place, model in enumerate(BOUNDS):
        figures[score_by_name["filled", model.name]] = _mean(results.share[place], orders.weight, minute, n)
        for horizon_s in HORIZONS_S:
            score = score_by_name[f"value_{horizon_s}s_bps", model.name]
            figures[score] = _mean(results.values(place, horizon_s), orders.weight, minute, n)
    return figures


def _mean(values: F64, weight: F64, minute: I64, n: int) -> F64:
    is_defined = ~np.isnan(values)
    total = np.bincount(minute[is_defined], weight[is_defined], n)
    with np.errstate(invalid="ignore"):
        return np.round(
            np.bincount(minute[is_defined], (values * weight)[is_defined], n) / np.where(total > 0, total, np.nan), 9
        )
