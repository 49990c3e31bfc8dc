"""Sharpe ratios as the papers print them, and on returns without edge."""

import numpy as np
import pytest

from replay.inference.sharpe import deflated_sharpe, expected_best_sharpe, probabilistic_sharpe


def test_the_figures_of_the_papers() -> None:
    """0.458 a month over 24 months, skewed −2.448, kurtosis 10.164: 0.913; normal: 0.982; 2.5 a year of 100: 0.9004."""
    assert round(probabilistic_sharpe(0.458, 24, -2.448, 10.164), 3) == 0.913
    assert round(probabilistic_sharpe(0.458, 24), 3) == 0.982
    assert round(expected_best_sharpe(0.5 / 250, 100), 4) == 0.1132
    assert round(deflated_sharpe(2.5 / 250**0.5, 1250, -3.0, 10.0, 0.5 / 250, 100), 4) == 0.9004


def test_one_trial_has_nothing_to_deflate() -> None:
    """The best of one is itself."""
    assert expected_best_sharpe(1.0, 1) == expected_best_sharpe(1.0, 0) == 0.0
    assert deflated_sharpe(0.2, 100, 0.0, 3.0, 1.0, 1) == probabilistic_sharpe(0.2, 100)


@pytest.mark.parametrize("trials", [10, 100])
def test_the_best_of_many_without_edge_is_expected(trials: int) -> None:
    """The mean of the largest of normal numbers, to 5 %."""
    chance = np.random.default_rng(1)
    best = chance.normal(0, 0.3, (4000, trials)).max(axis=1).mean()
    assert expected_best_sharpe(0.09, trials) == pytest.approx(float(best), rel=0.05, abs=0.01)


def test_without_edge_the_probability_is_uniform() -> None:
    """Of a thousand series of returns without edge a tenth is above 0.9, a tenth below 0.1."""
    chance = np.random.default_rng(2)
    returns = chance.normal(0, 1, (1000, 60))
    ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    p = np.array([probabilistic_sharpe(float(r), 60) for r in ratios])
    assert 0.07 <= (p > 0.9).mean() <= 0.13
    assert 0.07 <= (p < 0.1).mean() <= 0.13
