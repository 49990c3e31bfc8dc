"""The quote's measures by hand, and the micro-price of chains whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.flow.micro_price import MicroPrice, fit_micro_price, queue_imbalance, weighted_mid

HIGH, LOW = (3, 1), (1, 3)
"""Bid and ask quantity: the mid is about to rise, or to fall."""
Step = tuple[tuple[int, int], int, tuple[int, int]]


def fit_steps(steps: list[Step], least: int = 1, moves: int = 1) -> MicroPrice | str:
    """A model of two imbalances from single steps: quantities before, change of the mid, quantities after."""
    quotes, usable = [], []
    for (bid, ask), change, (next_bid, next_ask) in steps:
        quotes += [(1000, bid, 1002, ask), (1000 + change, next_bid, 1002 + change, next_ask)]
        usable += [False, True]
    return fit_micro_price(np.array(quotes, np.int64).T, np.array(usable), 2, 2, 1, least, moves)


def test_queue_imbalance() -> None:
    """(b - a) / (b + a)."""
    assert (queue_imbalance(12, 4), queue_imbalance(4, 12), queue_imbalance(5, 5)) == (0.5, -0.5, 0.0)
    assert queue_imbalance(2, 1) == 0.3333


def test_weighted_mid() -> None:
    """99.99 with 12 and 100.01 with 4: 100.005."""
    assert weighted_mid(9_999_000_000, 12, 10_001_000_000, 4) == 10_000_500_000
    assert weighted_mid(9_999_000_000, 5, 10_001_000_000, 5) == 10_000_000_000


def test_when_a_move_forgets_the_imbalance_the_first_move_is_all() -> None:
    """Half the seconds nothing, else one tick up: G1 = 4; either imbalance follows: B G1 = 0."""
    model = fit_steps([(HIGH, 0, HIGH), (HIGH, 0, HIGH), (HIGH, 4, HIGH), (HIGH, 4, LOW)])
    assert isinstance(model, MicroPrice)
    assert model.adjustment_e8.tolist() == [[pytest.approx(-4.0), pytest.approx(4.0)]]
    assert model.price_e8(1000, 3, 1002, 1, min_observations=4) == pytest.approx(1005.0)
    assert model.price_e8(1000, 1, 1002, 3, min_observations=4) == pytest.approx(997.0)
    assert model.price_e8(1000, 3, 1002, 1, min_observations=5) is None
    assert (model.transitions, model.moves, model.observations.tolist()) == (4, 2, [[4, 4]])


def test_when_imbalance_outlasts_a_move_more_moves_follow() -> None:
    """Three of four moves keep the imbalance: 4 (1 + 1/2 + 1/4 + …) = 8."""
    model = fit_steps([(HIGH, 4, HIGH), (HIGH, 4, HIGH), (HIGH, 4, HIGH), (HIGH, 4, LOW)])
    assert isinstance(model, MicroPrice)
    assert model.adjustment_e8.tolist() == [[pytest.approx(-8.0, abs=1e-4), pytest.approx(8.0, abs=1e-4)]]


def test_a_change_of_imbalance_alone_is_no_move() -> None:
    """From high, a second without a move leads to low half the time: less is to be expected."""
    model = fit_steps([(HIGH, 0, LOW), (HIGH, 4, HIGH), (HIGH, 4, LOW), (HIGH, 4, HIGH), (HIGH, 4, LOW)])
    assert isinstance(model, MicroPrice)
    # g = 4·4/5 − g/5 by the mirror: g = 8/3; after a move both are as likely.
    assert model.adjustment_e8.tolist() == [[pytest.approx(-8 / 3), pytest.approx(8 / 3)]]


def test_where_it_cannot_be_fitted_it_says_why() -> None:
    """Too few steps, too few moves, a chain that never ends."""
    assert fit_steps([(HIGH, 4, HIGH)], least=2) == "1 of 2 steps"
    assert fit_steps([(HIGH, 0, HIGH)], moves=1) == "the mid moved 0 of 1 times"
    assert fit_steps([(HIGH, 4, LOW)]) == "the expected changes have no finite sum"


def test_a_state_that_never_leaves_has_no_answer() -> None:
    """No move is ever seen from one spread: there is no first move to expect."""
    quotes = np.array([(0, 1, 2, 1), (0, 1, 2, 1), (0, 1, 4, 1), (2, 1, 6, 3)], np.int64).T
    model = fit_micro_price(quotes, np.array([False, True, False, True]), 2, 2, 2, 1, 1)
    assert model == "the expected changes have no finite sum"


@given(
    quotes=st.lists(
        st.tuples(st.integers(100, 110), st.integers(1, 9), st.integers(1, 4), st.integers(1, 9)),
        min_size=3,
        max_size=60,
    ),
    imbalances=st.integers(1, 5),
    spreads=st.integers(1, 3),
)
def test_a_mirrored_market_has_the_mirrored_micro_price(
    quotes: list[tuple[int, int, int, int]], imbalances: int, spreads: int
) -> None:
    """Any quotes: a model is finite and opposite at the two ends, or there is a reason."""
    columns = np.array([(b, q, b + s, r) for b, q, s, r in quotes], np.int64).T
    model = fit_micro_price(columns, np.arange(len(quotes)) > 0, 1, imbalances, spreads, 2, 1)
    if isinstance(model, str):
        assert model
    else:
        adjustment = model.adjustment_e8
        assert np.isfinite(adjustment).all()
        assert np.allclose(adjustment, -adjustment[:, ::-1], atol=1e-3)
