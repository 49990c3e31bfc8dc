"""How flat a spectrum is, on series whose spectrum is known."""

import math

import numpy as np
import pytest

from market.arrays import F64
from replay.inference.persistence import flatness


def a_series(seed: int, stays: float, n: int = 5000) -> F64:
    """An autoregression of first order."""
    steps = np.random.default_rng(seed).standard_normal(n)
    for i in range(1, n):
        steps[i] += stays * steps[i - 1]
    return steps


@pytest.mark.parametrize(("half_life", "most", "atol"), [(3, 60, 0.01), (10, 30, 0.01), (10, 60, 0.02), (30, 20, 0.04)])
def test_an_autoregression_falls_off_as_computed(half_life: float, most: int, atol: float) -> None:
    """The mean over 60 series is the mean of (1 − φ)² / |1 − φ·exp(−iω)|² over the cosines' ω = πj/n."""
    stays = 0.5 ** (1 / half_life)
    heights = [(1 - stays) ** 2 / (1 - 2 * stays * math.cos(math.pi * j / 5000) + stays**2) for j in range(1, most + 1)]
    ratios = [flatness(a_series(seed, stays), most)[-1] for seed in range(60)]
    assert np.mean(ratios) == pytest.approx(sum(heights) / most, abs=atol)


def test_what_has_no_persistence_is_flat() -> None:
    """White noise, a constant, and a series that swings: nothing is corrected for."""
    white = [flatness(a_series(seed, 0.0), 100)[-1] for seed in range(40)]
    assert np.median(white) > 0.97
    assert flatness(np.full(500, 0.1), 20).tolist() == [1.0] * 20
    assert flatness(np.tile([1.0, -1.0], 250), 20).tolist() == [1.0] * 20


def test_a_drift_is_not_flat() -> None:
    """A walk, or a straight line: over the twenty slowest cosines next to nothing is left."""
    assert flatness(np.cumsum(a_series(1, 0.0)), 20)[-1] < 0.2
    assert flatness(np.arange(5000.0), 20)[-1] < 0.2


def test_the_first_cosines_come_first() -> None:
    """Asking for more cosines changes none of the first."""
    series = a_series(4, 0.9)
    assert flatness(series, 80)[:30].tolist() == flatness(series, 30).tolist()
