"""Calibration by hand: squared errors, their parts, the rate known before, and the gap of ten bins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.inference.calibration import bins_of, brier, brier_parts, calibration_error, rate_before
from replay.recorded.price_path import PricePath
from replay.scoring.rules import ScoringRules
from replay.scoring.scoring import score
from tests.market_builders import a_path, a_zone, published
from tests.unit.replay.scoring.test_scoring import BUY, PATH, SELL

NAN = float("nan")
RULES = ScoringRules(0, 1000, 1.0, 0.0, 5, 1, 2.0, 2.0)


def test_brier_by_hand() -> None:
    """0.8 said and held: 0.04; 0.3 said and held: 0.49; 0.6 said and broken: 0.36; what is open has no error."""
    errors = brier(np.array([0.8, 0.3, 0.6, 0.9]), np.array([1.0, 1.0, 0.0, NAN]))
    assert errors[:3].tolist() == [0.04, 0.49, 0.36]
    assert np.isnan(errors[3])


def test_the_parts_by_hand() -> None:
    """
    0.2 stated twice and held once, 0.6 three times and held twice, 0.8 once and held: 0.23333 = 0.03889 − 0.02778 +
    0.22222.
    """
    parts = brier_parts(np.array([0.2, 0.2, 0.6, 0.6, 0.6, 0.8, 0.9]), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, NAN]))
    assert parts is not None
    assert (parts.brier, parts.reliability, parts.resolution, parts.uncertainty) == (
        0.233333,
        0.038889,
        0.027778,
        0.222222,
    )
    assert brier_parts(np.array([0.5]), np.array([NAN])) is None


def test_the_rate_known_before_the_day() -> None:
    """Half before anything is known; then what the days before gave, the day's own outcomes aside."""
    outcome, day = np.array([1.0, 1.0, 0.0, NAN, 1.0, 0.0]), np.array([5, 5, 6, 6, 8, 8])
    assert rate_before(outcome, day, 0.5) == pytest.approx([0.5, 0.5, 1.0, 1.0, 2 / 3, 2 / 3])


def test_calibration_error_by_hand() -> None:
    """
    In 0.6–0.7 two were said 0.62 and 0.68 and one held, a gap of 0.15; in 0.9–1 one said 0.9 held, a gap of 0.1; in
    0–0.1 one said 0.05 did not. Weighed by 2, 1 and 1 of 4: 0.075 + 0.025 + 0.0125.
    """
    probability = np.array([0.62, 0.68, 0.9, 0.05, 0.5])
    assert calibration_error(probability, np.array([1.0, 0.0, 1.0, 0.0, NAN])) == 0.1125


def test_a_tenth_belongs_to_the_bin_above_it() -> None:
    """0.3 is in the bin that begins there, whatever 0.1 times 3 is in binary; 1 is in the last."""
    assert bins_of(np.array([0.0, 0.0999, 0.1, 0.3, 0.7, 0.9999, 1.0])).tolist() == [0, 0, 1, 3, 7, 9, 9]


def test_nothing_decided_has_no_figure() -> None:
    """No episode, or only open ones."""
    assert calibration_error(np.empty(0), np.empty(0)) is None
    assert calibration_error(np.array([0.5]), np.array([NAN])) is None
    assert rate_before(np.array([NAN, NAN]), np.array([1, 2]), 0.5).tolist() == [0.5, 0.5]


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_the_parts_are_the_whole(draws: list[tuple[int, bool]]) -> None:
    """Reliability less resolution plus uncertainty is the Brier score; none of them is below 0."""
    probability, outcome = np.array([p / 20 for p, _ in draws]), np.array([float(h) for _, h in draws])
    parts = brier_parts(probability, outcome)
    assert parts is not None
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(parts.brier, abs=3e-6)
    assert parts.brier == pytest.approx(float(brier(probability, outcome).mean()), abs=1e-6)


def test_a_constant_resolves_nothing() -> None:
    """Who always states the same has a resolution of 0; stated everywhere, the rate has no calibration error."""
    outcome = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    parts = brier_parts(np.full(5, 0.6), outcome)
    assert parts is not None
    assert (parts.resolution, parts.reliability) == (0.0, 0.0)
    assert calibration_error(np.full(5, outcome.mean()), outcome) == pytest.approx(0.0, abs=1e-6)


def figures(path: PricePath, confidences: tuple[float, float]) -> dict[str, dict[str, object]]:
    """The rows about calibration of one piece of advice: a buy zone that holds, a sell zone that breaks."""
    zones = [a_zone(z.side, z.low_e8 / 1e8, z.high_e8 / 1e8, confidence=c)
             for z, c in zip((BUY, SELL), confidences, strict=True)]  # fmt: skip
    rows = score([published(*zones, sigma=0.01)], path, RULES).scores.to_pylist()
    return {r["metric"]: r for r in rows if r["unit"] == "decided episode"}


def test_a_run_has_both_figures() -> None:
    """0.7 said of the one that held, 0.4 of the one that broke: Brier (0.09 + 0.16)/2 beside a half's, ECE 0.35."""
    by_metric = figures(PATH, (0.7, 0.4))
    assert (by_metric["brier"]["advice"], by_metric["brier"]["placebo"], by_metric["brier"]["samples"]) == (
        0.125,
        0.25,
        2,
    )
    assert (by_metric["ece"]["advice"], by_metric["ece"]["placebo"], by_metric["ece"]["samples"]) == (0.35, None, 2)
    assert (by_metric["brier"]["blocks"], by_metric["brier"]["p"], by_metric["ece"]["blocks"]) == (1, None, None)


def test_a_market_that_decides_nothing_has_rows_without_figures() -> None:
    """Price never comes near: all rows are there and say nothing."""
    by_metric = figures(a_path([100, 100]), (0.7, 0.4))
    assert [(r["advice"], r["samples"]) for r in by_metric.values()] == [(None, 0)] * 5
