"""The comparison of two analysts is wrong as often as it says, and finds what it says it would."""

import math

import numpy as np
import pytest

from bench.paired import BARS, WORLDS, World, rejection_rate, run_trials, true_error
from replay.inference.paired import power
from replay.inference.student_t import power_of_t

pytestmark = pytest.mark.slow

REPETITIONS = 300
SLOW = World("half-life 400 min", 400)
SHORT = World("300 minutes", 10, minutes=300)


def nothing(_: int) -> None:
    """No bar to move."""


@pytest.mark.parametrize("world", BARS, ids=lambda w: w.name)
def test_equal_sides_are_called_different_one_time_in_twenty(world: World) -> None:
    """Of 300 experiments 2.3–8.3 %: 5 % and two and a half standard errors; `python -m bench.paired` is strict."""
    found = run_trials(world, REPETITIONS, 70_000_000, 0.0, nothing)
    assert 0.023 <= rejection_rate(found) <= 0.083
    assert np.mean([t.p is None for t in found]) <= 0.01
    covered = [t.low <= 0 <= t.high for t in found if t.low is not None and t.high is not None]
    assert np.mean(covered) == pytest.approx(1 - rejection_rate(found), abs=1e-9)


@pytest.mark.parametrize("world", BARS, ids=lambda w: w.name)
def test_a_planted_basis_point_is_found_as_computed(world: World) -> None:
    """Within four standard errors of what the world's making says; what experiments say of themselves is closer."""
    found = run_trials(world, REPETITIONS, 71_000_000, 1.0, nothing)
    blocks = int(np.median([t.blocks for t in found]))
    computed = power_of_t(1 / true_error(world), blocks, 0.05)
    stated = [chance for chance in (power(1.0, t) for t in found) if chance is not None]
    assert 0.8 < computed < 0.9
    assert rejection_rate(found) == pytest.approx(computed, abs=0.09)
    assert np.mean(stated) == pytest.approx(computed, abs=0.03)


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


@pytest.mark.parametrize("world", [SLOW, SHORT], ids=lambda w: w.name)
def test_too_few_blocks_are_refused(world: World) -> None:
    """Whatever chance makes of it: hardly ever a p where persistence is too long, never where minutes are too few."""
    found = run_trials(world, 60, 72_000_000, 0.0, nothing)
    refused = [t for t in found if t.too_few is not None]
    assert len(refused) >= (60 if world is SHORT else 57)
    assert all(t.p is None and t.blocks < 20 for t in refused)


def test_every_world_says_what_it_is() -> None:
    """No two lines of the report have one name."""
    assert len({w.name for w in WORLDS}) == len(WORLDS)
