"""What may be planted, and what a hazard says."""

import numpy as np
import pytest

from simulators.exchange.errors import ParameterError
from simulators.exchange.market.planting import Hazard, Plant
from simulators.exchange.market.pulls import Volatility, pull_probability


def a_volatility(sigma_bp: float = 5.0, spread: float = 0.0) -> Volatility:
    return Volatility(sigma_bp, sigma_bp, spread, 30.0)


def test_a_hazard_by_hand() -> None:
    """0.02 · (4 % / 1 %)^½ · (20 bp / 10 bp)^1 · (3 + 1)^-½ = 0.04 a minute."""
    assert Hazard(0.02, 0.5, 1.0, -0.5).per_minute(0.04, 20.0, 3) == pytest.approx(0.04)


def test_a_constant_hazard_knows_nothing() -> None:
    """All powers zero: size, distance and age change nothing."""
    hazard = Hazard(0.03)
    assert {hazard.per_minute(s, d, a) for s in (0.001, 0.2) for d in (0.0, 80.0) for a in (0, 60)} == {0.03}


@pytest.mark.parametrize(
    ("kind", "strength", "absent"),
    [
        ("wall", 0.0, True),
        ("wall", 0.0025, False),
        ("band", 0.0, True),
        ("band", 1.0, True),
        ("band", 1.5, False),
        ("vacuum", 1.0, True),
        ("vacuum", 0.1, False),
        ("sweep", 0.0, True),
        ("absorption", 0.5, False),
    ],
)
def test_strengths_that_plant_nothing(kind: str, strength: float, absent: bool) -> None:
    """0 is nothing everywhere, 1 is nothing for what multiplies."""
    plant = Plant(kind, "bid", 0, strength, distance_bp=10.0)  # type: ignore[arg-type]
    assert plant.absent is absent


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "wall", "distance_bp": 0.0},
        {"kind": "wall", "strength": 0.6},
        {"kind": "band", "distance_bp": 1.0},
        {"kind": "band", "width_bp": 5.0},
        {"kind": "vacuum", "distance_bp": 1.0},
        {"kind": "sweep", "strength": 61.0},
        {"kind": "poc", "minute": -1},
        {"kind": "poc", "minutes": 0},
        {"kind": "poc", "strength": -1.0},
    ],
)
def test_impossible_plants_are_refused(wrong: dict[str, str | float]) -> None:
    """A plant outside what the kinds are is refused when it is written down."""
    fields = {"kind": "wall", "side": "ask", "minute": 1, "strength": 0.05, "distance_bp": 10.0} | wrong
    with pytest.raises(ParameterError):
        Plant(**fields)  # type: ignore[arg-type]


def test_far_from_the_price_a_pull_is_the_hazard_alone() -> None:
    """1000 bp away nothing touches: 1 - exp(-0.05 · 30) = 0.7769."""
    probability = pull_probability(Hazard(0.05), 0.02, 1_000.0, 0, 30, a_volatility(), np.random.default_rng(1))
    assert probability == pytest.approx(0.776870, abs=1e-6)


def test_without_a_hazard_nothing_is_pulled() -> None:
    """A base of zero is never."""
    assert pull_probability(Hazard(0.0), 0.02, 10.0, 0, 60, a_volatility(), np.random.default_rng(1)) == 0.0


def test_a_constant_hazard_against_the_closed_form() -> None:
    """
    Brownian motion at distance d, killed at rate λ, without end: pulled first with probability 1 - exp(-d·√(2λ)/σ).

    With d = 10 bp, σ = 5 bp a minute and λ = 0.02 that is 1 - exp(-0.4) = 0.3297.
    """
    probability = pull_probability(Hazard(0.02), 0.02, 10.0, 0, 2_000, a_volatility(), np.random.default_rng(2), 3_000)
    assert probability == pytest.approx(0.3297, abs=0.025)


def test_the_reference_follows_its_seed_and_the_distance() -> None:
    """The same seed gives the same probability, and a wall farther off has more time to be pulled."""
    near, again, far = (
        pull_probability(Hazard(0.02), 0.02, d, 0, 60, a_volatility(spread=0.35), np.random.default_rng(3))
        for d in (5.0, 5.0, 40.0)
    )
    assert near == again
    assert near < far
