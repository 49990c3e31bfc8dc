"""The simulated market without structures has the recorded market's sizes and its clustering."""

from pathlib import Path

import numpy as np
import pytest

from bench.background import (
    OCTAVES,
    PERCENTS,
    load_recorded_book,
    measure_clustering,
    measure_recorded_clustering,
    measure_sizes_by_distance,
)
from bench.background import measure_simulated as simulate

Figures = tuple[dict[tuple[int, int], np.ndarray], dict[str, float]]


@pytest.fixture(scope="module")
def simulated() -> Figures:
    """Three markets of four hours at the recorded rate."""
    return simulate(240, (1, 2, 3))


def test_the_figures_by_hand() -> None:
    """Five trades in three milliseconds of two minutes: runs of 2, 2 and 1; four in one second, one in the next."""
    time_ms = np.array([0, 0, 500, 500, 1_000], np.int64)
    seller = np.array([True, True, False, False, False])
    found = measure_clustering(time_ms, np.array([1.0, 2.0, 3.0, 4.0, 9.0]), seller, 120)
    assert (found["trades/s"], found["same ms"]) == (5 / 120, 0.5)
    assert found["runs >= 2"] == pytest.approx(2 / 3)
    assert found["Fano 1 s"] == pytest.approx(17 / 5 - 5 / 120)
    assert found["size P99.9"] == pytest.approx(8.98 / 3.0)


@pytest.mark.soak
def test_sizes_by_distance_are_the_recorded_ones(real_data: Path, simulated: Figures) -> None:
    """
    From the quartile to the 95th percentile of a bin's size every octave is within half in log terms, on the mean 0.2.

    Fifty to a hundred bins make a recorded near octave, so its tenth percentile is left out, as is the 4-8 bp quartile;
    the 99th is where natural walls begin, which this market is meant not to have: far out it lies below.
    """
    recorded = measure_sizes_by_distance([load_recorded_book(real_data)])
    difference = {octave: np.log(simulated[0][octave] / recorded[octave]) for octave in OCTAVES}
    middle = slice(PERCENTS.index(50), PERCENTS.index(95) + 1)
    worst = {octave: float(np.abs(d[middle]).max()) for octave, d in difference.items()}
    assert max(worst.values()) < 0.5
    assert np.mean([np.abs(d[middle]).mean() for d in difference.values()]) < 0.2
    assert max(abs(d[-1]) for d in difference.values()) < 0.25  # levels a bin
    far = PERCENTS.index(99)
    assert difference[32, 64][far] < -0.5
    assert difference[64, 128][far] < -0.5


@pytest.mark.soak
def test_trades_cluster_as_recorded(real_data: Path, simulated: Figures) -> None:
    """Shared milliseconds, runs, Fano factors and autocorrelation; loose where four hours are short."""
    recorded, found = measure_recorded_clustering(real_data), simulated[1]
    difference = {name: float(np.log(found[name] / recorded[name])) for name in recorded}
    assert recorded["Fano 60 s"] == pytest.approx(393.5, abs=0.1)
    assert abs(difference["same ms"]) < 0.2
    assert all(abs(difference[f"runs >= {k}"]) < 0.45 for k in (2, 3, 5, 10, 20))
    assert abs(difference["Fano 1 s"]) < 0.5
    assert abs(difference["Fano 10 s"]) < 0.6
    assert abs(difference["autocorrelation 1 s"]) < 0.5
    assert all(abs(difference[f"size P{p}"]) < 0.4 for p in (10, 25, 75, 90, 95, 99))
