"""A minute's advice scored by itself: worked out by hand on a path of a few trades."""

import math

import numpy as np
import pytest

from agents.recommendation import Rung, Zone
from replay.scoring.rules import ScoringRules
from replay.trials.minute_scores import Score, minute_scores, scores_of
from tests.market_builders import a_path, a_zone, e8, published

RULES = ScoringRules(
    publish_delay_ms=0,
    latency_ms=0,
    order_value=1.0,
    maker_fee_bps=1.0,
    placebo_draws=1,
    seed=1,
    away_sigma=2.0,
    beyond_sigma=2.0,
)
# σ is 0.1 % of 100: rejected 0.20 away, broken 0.20 beyond
PATH = a_path(["100", "99.6", "99.55", "99.85", "99.3", "100.5"], [0, 10, 20, 30, 100, 4000])


def a_ladder(low: str, high: str, weight: float, *rungs: tuple[str, float]) -> Zone:
    """A buy zone with rungs of some weights."""
    ladder = tuple(Rung(e8(price), part) for price, part in rungs)
    return a_zone("buy", low, high, weight=weight, ladder=ladder)


def value(scores: dict[Score, np.ndarray], metric: str, model: str | None = None) -> list[float]:
    """A score's minutes."""
    (score,) = [s for s in scores if (s.metric, s.model) == (metric, model)]
    return [float(v) for v in scores[score]]


def test_zones_count_by_weight() -> None:
    """99.5–99.6 is touched at 99.6 and rejected at 99.85; 99–99.2 is never touched: half the weight is."""
    both = published(a_ladder("99.5", "99.6", 0.25, ("99.6", 0.25)), a_ladder("99", "99.2", 0.75, ("99.2", 0.75)))
    scores = minute_scores([both], PATH, RULES)
    assert value(scores, "touched") == [0.25]
    assert value(scores, "rejected") == [1.0]


def test_a_broken_zone_is_no_rejection() -> None:
    """Out after the rebound, the same zone is touched by the fall to 99.3 and broken by it: both in one trade."""
    scores = minute_scores([published(a_ladder("99.5", "99.6", 1.0, ("99.6", 1.0)), minute=0.6)], PATH, RULES)
    assert (value(scores, "touched"), value(scores, "rejected")) == ([1.0], [0.0])


def test_fills_and_values_count_by_rung() -> None:
    """
    Rungs at 99.6 and 99.4, three to one: touch fills the first at second 10, both by second 100. The first is worth
    (99.85 − 99.6) / 99.6 = 25.1004 bp less the fee after a minute, the second nothing less the fee.
    """
    advice = published(a_ladder("99.4", "99.6", 1.0, ("99.6", 0.75), ("99.4", 0.25)))
    scores = minute_scores([advice], PATH, RULES)
    assert value(scores, "filled", "touch") == [1.0]
    first = (99.85 - 99.6) / 99.6 * 1e4 - 1
    second = (99.3 - 99.4) / 99.4 * 1e4 - 1
    assert value(scores, "value_60s_bps", "touch") == pytest.approx([0.75 * first + 0.25 * second], abs=1e-4)
    later = [(99.55 - 99.6) / 99.6 * 1e4 - 1, second]
    assert value(scores, "value_10s_bps", "touch") == pytest.approx([0.75 * later[0] + 0.25 * later[1]], abs=1e-4)


def test_through_is_stricter_than_touch() -> None:
    """A rung at the lowest price is filled by a touch, and by no trade strictly below it: worth nothing."""
    scores = minute_scores([published(a_ladder("99.3", "99.3", 1.0, ("99.3", 1.0)))], PATH, RULES)
    assert (value(scores, "filled", "touch"), value(scores, "filled", "through")) == ([1.0], [0.0])
    assert value(scores, "value_60s_bps", "through") == [0.0]


def test_minutes_without_anything_to_score_are_nan() -> None:
    """No zones: no figure at all; untouched zones: nothing rejected, nothing filled, worth nothing."""
    nothing, far = published(), published(a_ladder("90", "90", 1.0, ("90", 1.0)))
    scores = minute_scores([nothing, far], PATH, RULES)
    assert np.isnan([values[0] for values in scores.values()]).all()
    assert (value(scores, "touched")[1], value(scores, "filled", "touch")[1]) == (0.0, 0.0)
    assert math.isnan(value(scores, "rejected")[1])


def test_minutes_do_not_mix() -> None:
    """Several recommendations scored together are scored as each alone."""
    publications = [
        published(a_ladder("99.5", "99.6", 1.0, ("99.6", 1.0)), minute=0),
        published(),
        published(a_ladder("99.3", "99.4", 0.5, ("99.4", 0.5)), a_ladder("90", "91", 0.5, ("91", 0.5)), minute=1),
    ]
    together = minute_scores(publications, PATH, RULES)
    alone = [minute_scores([minute], PATH, RULES) for minute in publications]
    for score, values in together.items():
        assert np.array_equal(values, np.concatenate([one[score] for one in alone]), equal_nan=True)


def test_every_score_has_its_horizon() -> None:
    """An hour to be touched or filled, another to be decided, the value's own time after the fill."""
    horizons = {score.name: score.horizon_min for score in scores_of([10, 900])}
    assert horizons == {
        "touched": 60, "rejected": 120, "filled (touch)": 60, "filled (through)": 60,
        "value_10s_bps (touch)": 61, "value_10s_bps (through)": 61,
        "value_900s_bps (touch)": 75, "value_900s_bps (through)": 75,
    }  # fmt: skip
    assert set(minute_scores([published()], PATH, RULES)) == set(scores_of())
