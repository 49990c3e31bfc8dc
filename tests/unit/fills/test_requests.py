"""Latency, quotes that become orders, and the interval over models."""

import math

import numpy as np
import pytest

from fills.interval import interval_over_models
from fills.latency import Latency
from fills.quoting import Quotes, orders_of_quotes
from tests.fill_builders import NO_DELAY


def chance(seed: int) -> np.random.Generator:
    """A seeded generator."""
    return np.random.Generator(np.random.PCG64(seed))


def test_a_constant_needs_no_chance() -> None:
    """Every delay is the same."""
    assert Latency.constant(5).draw(3).tolist() == [5, 5, 5]


def test_delays_are_drawn_from_the_samples() -> None:
    """The same seed draws the same; every sample comes up."""
    latency = Latency((1, 10, 100))
    one, two = latency.draw(200, chance(1)), latency.draw(200, chance(1))
    assert (one == two).all()
    assert set(one.tolist()) == {1, 10, 100}
    with pytest.raises(ValueError, match="no generator"):
        latency.draw(1)


@pytest.mark.parametrize("samples", [(), (5, -1)])
def test_delays_that_cannot_be(samples: tuple[int, ...]) -> None:
    """None at all, or one below zero."""
    with pytest.raises(ValueError, match="one delay or more"):
        Latency(samples)


def quotes(*rows: tuple[int, int, bool, int, int]) -> Quotes:
    """Rows of slot, time, side, price, quantity."""
    slot, decided, is_buy, price, quantity = np.array(rows, np.int64).reshape(-1, 5).T.copy()
    return Quotes(slot, decided, is_buy == 1, price, quantity)


MINUTES = quotes(
    (0, 60, True, 100, 5), (1, 60, False, 103, 5),
    (0, 120, True, 100, 5), (1, 120, False, 104, 5),
    (0, 180, True, 99, 5), (1, 180, False, 104, 0),
)  # fmt: skip


def rows(quoted: Quotes, hold: bool) -> list[tuple[int, int, int]]:
    """The orders as sent, cancelled, price."""
    orders = orders_of_quotes(quoted, 240, hold=hold, entry=NO_DELAY)
    return list(zip(orders.sent_ns.tolist(), orders.cancel_ns.tolist(), orders.price_e8.tolist(), strict=True))


def test_cancel_and_replace_each_minute() -> None:
    """Every decision sends the quote anew; a quantity of zero withdraws it."""
    assert rows(MINUTES, hold=False) == [
        (60, 120, 100), (60, 120, 103), (120, 180, 100), (120, 180, 104), (180, 240, 99),
    ]  # fmt: skip


def test_hold_what_is_still_desired() -> None:
    """An equal quote keeps its order and its place in the queue."""
    assert rows(MINUTES, hold=True) == [(60, 180, 100), (60, 120, 103), (120, 180, 104), (180, 240, 99)]


def test_no_quotes_and_quotes_out_of_order() -> None:
    """No orders; and an error."""
    assert rows(quotes(), hold=True) == []
    with pytest.raises(ValueError, match="order of decision"):
        rows(quotes((0, 60, True, 1, 1), (0, 50, True, 1, 1)), hold=True)


def test_the_new_order_and_the_cancel_race() -> None:
    """Both leave at once: with a slow cancel two orders rest for a while."""
    orders = orders_of_quotes(
        MINUTES, 240, hold=False, entry=Latency.constant(1), cancel=Latency((2, 9)), chance=chance(3)
    )
    assert (orders.arrival_ns == orders.sent_ns + 1).all()
    assert set((orders.end_ns - orders.cancel_ns).tolist()) <= {2, 9}


def test_a_sign_that_survives() -> None:
    """Above zero, or below it, under every model; the models of the extremes are named."""
    up = interval_over_models({"touch": 0.4, "log": 0.1, "through": 0.2})
    assert (up.low, up.high, up.low_model, up.high_model, up.sign, up.survives) == (0.1, 0.4, "log", "touch", 1, True)
    assert interval_over_models({"touch": -0.4, "through": -0.1}).sign == -1


@pytest.mark.parametrize(
    "values",
    [{"touch": 1.0, "through": -1.0}, {"touch": 1.0, "through": 0.0}, {}, {"touch": 1.0, "through": None},
     {"touch": 1.0, "through": math.nan}],
)  # fmt: skip
def test_a_sign_that_does_not(values: dict[str, float | None]) -> None:
    """Both signs, a zero, or a model without a figure: there is no conclusion."""
    assert not interval_over_models(values).survives
