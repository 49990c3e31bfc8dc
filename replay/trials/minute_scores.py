"""
What each minute's advice was worth by itself: the scorer's figures for one recommendation at a time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.recommendation import VALID_FOR_NS
from market.arrays import F64, I64
from market.timestamps import MINUTE_NS
from replay.scoring.episodes import Episode, Publication
from replay.scoring.outcomes import BROKEN, HORIZONS_S, REJECTED, TEST_NS, UNTOUCHED, fills, markouts
from replay.scoring.price_path import PricePath
from replay.scoring.scoring import MODELS, Rules, zone_outcomes

_VALID_MIN = VALID_FOR_NS // MINUTE_NS


@dataclass(frozen=True, slots=True)
class Score:
    """
    One figure of a minute.

    Attributes:
        model: of fills, None where none is involved. horizon_min: how far into the future it looks at most.
    """

    metric: str
    model: str | None
    horizon_min: int

    @property
    def name(self) -> str:
        """As the ledger calls it."""
        return self.metric if self.model is None else f"{self.metric} ({self.model})"


def scores_of(horizons_s: Sequence[int] = HORIZONS_S) -> list[Score]:
    """Every figure there is, with markouts at some horizons."""
    found = [Score("touched", None, _VALID_MIN), Score("rejected", None, _VALID_MIN + TEST_NS // MINUTE_NS)]
    for model in MODELS:
        found.append(Score("filled", model, _VALID_MIN))
        for horizon_s in horizons_s:
            found.append(Score(f"markout_{horizon_s}s_bps", model, _VALID_MIN + math.ceil(horizon_s / 60)))
    return found


def minute_scores(published: Sequence[Publication], path: PricePath, rules: Rules) -> dict[Score, F64]:
    """
    The figures of n recommendations, each as if it were the only one.

    Returns:
        n values a score: means over the zones, or over the rungs, by weight; NaN where there is nothing to score.
        `rejected` is over zones whose test was decided, markouts are over filled rungs.
    """
    n = len(published)
    zones = [(i, Episode(p, zone, p.published_ns)) for i, p in enumerate(published) for zone in p.advice.zones]
    minute = np.array([i for i, _ in zones], np.int64)
    weight = np.array([e.zone.weight for _, e in zones], np.float64)
    outcome = zone_outcomes([e for _, e in zones], path, rules).outcome
    held = np.where((outcome == REJECTED) | (outcome == BROKEN), outcome == REJECTED, np.nan)
    values = {"touched": _mean((outcome != UNTOUCHED).astype(np.float64), weight, minute, n),
              "rejected": _mean(held, weight, minute, n)}  # fmt: skip
    found = {score: values[score.metric] for score in scores_of(()) if score.metric in values}
    rungs = [(i, p, zone, rung) for i, p in enumerate(published) for zone in p.advice.zones for rung in zone.ladder]
    minute = np.array([i for i, _, _, _ in rungs], np.int64)
    weight = np.array([rung.weight for _, _, _, rung in rungs], np.float64)
    is_buy = np.array([zone.side == "buy" for _, _, zone, _ in rungs], bool)
    price = np.array([rung.price_e8 for _, _, _, rung in rungs], np.int64)
    out = np.array([p.published_ns for _, p, _, _ in rungs], np.int64)
    start, stop = out + rules.latency_ms * 1_000_000, out + VALID_FOR_NS
    known = np.array([p.published_seq for _, p, _, _ in rungs], np.int64)
    every = {(score.metric, score.model): score for score in scores_of()}
    for model, through in MODELS.items():
        fill = fills(path, is_buy, price, start, stop, known, through)
        worth = markouts(path, is_buy, price, fill, rules.maker_fee_bps)
        found[every["filled", model]] = _mean((fill >= 0).astype(np.float64), weight, minute, n)
        for column, horizon_s in enumerate(HORIZONS_S):
            score = every[f"markout_{horizon_s}s_bps", model]
            found[score] = _mean(worth[:, column], weight, minute, n)
    return found


def _mean(values: F64, weight: F64, minute: I64, n: int) -> F64:
    known = ~np.isnan(values)
    total = np.bincount(minute[known], weight[known], n)
    with np.errstate(invalid="ignore"):
        return np.round(np.bincount(minute[known], (values * weight)[known], n) / np.where(total > 0, total, np.nan), 9)
