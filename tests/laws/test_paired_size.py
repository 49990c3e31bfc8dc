"""The comparison of two analysts is wrong as often as it says, and finds what it says it would."""

import math

import numpy as np
import pytest

from bench.paired import POWER_WORLDS, WORLDS, World, rejection_rate, run_trials, true_error
from replay.inference.student_t import detectable_shift, power_of_t

pytestmark = pytest.mark.slow

REPETITIONS = 1000
PROMISED = [world for world in WORLDS if world.promised]
BROKEN = [world for world in WORLDS if world.memory and not world.promised]
SHORT = World("31 h", 10, horizon_min=60, minutes=31 * 60)


def nothing(_: int) -> None:
    """No bar to move."""


@pytest.mark.parametrize("world", PROMISED, ids=lambda w: w.name)
def test_equal_sides_are_called_different_one_time_in_twenty(world: World) -> None:
    """
    Of 1,000 experiments 2–8 %: intervals cover 93–97 %, and one and a half standard errors; `python -m bench.paired`
    is strict.
    """
    found = run_trials(world, REPETITIONS, 70_000_000, 0.0, nothing)
    assert all(t.p is not None for t in found)
    assert 0.02 <= rejection_rate(found) <= 0.08
    covered = [t.low <= 0 <= t.high for t in found if t.low is not None and t.high is not None]
    assert np.mean(covered) == pytest.approx(1 - rejection_rate(found), abs=1e-9)


@pytest.mark.parametrize("world", BROKEN, ids=lambda w: w.name)
def test_scores_of_long_memory_break_the_promise(world: World) -> None:
    """As decision 0009 says: where scores never forget, no block is long enough, and equal sides differ too often."""
    assert rejection_rate(run_trials(world, 400, 73_000_000, 0.0, nothing)) > 0.07


@pytest.mark.parametrize("world", POWER_WORLDS, ids=lambda w: w.name)
def test_a_planted_basis_point_is_found_as_computed(world: World) -> None:
    """Within three standard errors of what the world's making says; what trials say of themselves is as close."""
    found = run_trials(world, REPETITIONS, 71_000_000, 1.0, nothing)
    computed = power_of_t(1 / true_error(world), 7, 0.05)
    assert 0.65 < computed < 0.8
    assert rejection_rate(found) == pytest.approx(computed, abs=0.045)
    squares = np.mean([t.detectable**2 for t in found if t.detectable is not None])  # errors are right in their squares
    assert math.sqrt(squares) == pytest.approx(true_error(world) * detectable_shift(0.8, 7, 0.05), rel=0.08)


@pytest.mark.parametrize(
    ("world", "by_hand"),
    [
        (World("", 0, exposed=False), 0.06),  # √(2·3²/5000)
        (World("", 1, exposed=False, minutes=2), math.sqrt(2 * 9 * 1.5 / 2)),  # two minutes that correlate by a half
    ],
)
def test_the_true_error_by_hand(world: World, by_hand: float) -> None:
    """What computed power rests on."""
    assert true_error(world) == pytest.approx(by_hand, rel=1e-12)


def test_too_few_blocks_are_refused() -> None:
    """Whatever chance makes of it: 31 hours are seven blocks of four."""
    found = run_trials(SHORT, 20, 72_000_000, 0.0, nothing)
    assert {t.too_few for t in found} == {
        "1,860 minutes are 7 blocks of 4.0 h, and 8 are needed: compare at least 1 h more"
    }
    assert all(t.p is None and t.low is None and t.detectable is None for t in found)


def test_every_world_says_what_it_is() -> None:
    """No two lines of the report have one name."""
    assert len({w.name for w in WORLDS}) == len(WORLDS)
