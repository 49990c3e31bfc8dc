"""Quotes of market makers: A and k from the past alone, orders as many and as far apart as those of the advice."""

import numpy as np
import pytest

from agents.recommendation import Rung
from fills.trade_tape import TradeTape
from market.timestamps import HOUR_NS, MINUTE_NS, SECOND_NS
from replay.baselines.intensity import Intensity, fit_intensity
from replay.baselines.makers import Quoting, half_of_avellaneda_stoikov, half_of_glft
from replay.recorded.price_path import PricePath
from tests.market_builders import T0, a_zone, e8, published
from tests.null_markets import a_martingale

TICK = e8("0.1")
BUY = a_zone("buy", "98.8", 99, weight=0.5, ladder=(Rung(e8(99), 0.3), Rung(e8("98.8"), 0.2)))
FAR = a_zone("buy", 97, "97.2", weight=0.25, ladder=(Rung(e8("97.2"), 0.25),))
SELL = a_zone("sell", 102, "102.2", weight=0.25, ladder=(Rung(e8(102), 0.25),))


def a_path_of_reaches(a: float, k: float, minutes: int, seed: int = 1) -> PricePath:
    """Each minute goes up and down from 100 by exponential reaches, so that A and k are what they were drawn with."""
    chance = np.random.default_rng(seed)
    # P(reach ≥ δ) = 1 − exp(−A·exp(−k·δ)): the distribution function is exp(−A·exp(−k·δ)), Gumbel's.
    reach = np.maximum((np.log(a) - np.log(-np.log(chance.random((minutes, 2))))) / k, 0.0)
    price = 100e8 * np.stack((np.ones(minutes), 1 + reach[:, 0], 1 - reach[:, 1], np.ones(minutes)), axis=1)
    time = T0 + np.arange(minutes)[:, None] * MINUTE_NS + np.array([0, 10, 20, 30]) * SECOND_NS
    ones = np.ones(price.size, np.int64)
    tape = TradeTape.from_columns(time.ravel(), np.rint(price.ravel()).astype(np.int64), ones, ones)
    return PricePath.from_tape(tape, np.arange(1, price.size + 1))


@pytest.mark.parametrize(("a", "k"), [(0.9, 2000.0), (3.0, 5000.0)])
def test_a_and_k_are_found(a: float, k: float) -> None:
    """Drawn with known A and k, a day of minutes gives them back within a tenth, on any of five seeds."""
    for seed in range(5):
        fit = fit_intensity(a_path_of_reaches(a, k, 1440, seed).minutes, T0 + 1440 * MINUTE_NS)
        assert fit is not None
        assert fit.k == pytest.approx(k, rel=0.1)
        assert fit.a == pytest.approx(a, rel=0.15)


def test_a_fit_does_not_look_ahead() -> None:
    """Whatever trades at the moment or after it, the fit is the same."""
    path = a_martingale(3)
    until = T0 + 5 * HOUR_NS
    cut = int(path.index_at(np.array([until]))[0])
    price = path.price_e8.copy()
    price[cut:] *= 3
    other = PricePath.from_tape(TradeTape.from_columns(path.at_ns, price, price, price), path.seq)
    assert fit_intensity(path.minutes, until) == fit_intensity(other.minutes, until) is not None


@pytest.mark.parametrize("minutes", [0, 1, 59])
def test_a_short_past_gives_no_fit(minutes: int) -> None:
    """Under an hour of minutes with trades."""
    assert fit_intensity(a_path_of_reaches(1.0, 2000.0, minutes).minutes, T0 + minutes * MINUTE_NS) is None


def test_a_price_that_never_moves_gives_no_fit() -> None:
    """No minute reaches anything."""
    at = T0 + np.arange(300) * MINUTE_NS
    ones = np.ones(300, np.int64)
    path = PricePath.from_tape(TradeTape.from_columns(at, ones, ones, ones), ones)
    assert fit_intensity(path.minutes, T0 + 300 * MINUTE_NS) is None


def test_spreads_by_hand() -> None:
    """The paper's own figures, in fractions of a price of 1: γ is a fifteenth of k."""
    reached = Intensity(a=1.0, k=1500.0)
    risk = 100.0 * 0.001**2 * 60 / 2
    assert half_of_avellaneda_stoikov(reached, 0.001) == pytest.approx(risk + np.log(1 + 1 / 15) / 100.0)
    growth = 1 + 1 / 15
    second = np.sqrt(100 / (2 * 1500) * growth**16)
    assert half_of_glft(reached, 0.001) == pytest.approx(np.log(growth) / 100 + second * 0.001 / 2)


def test_all_zones_of_a_side_move_together() -> None:
    """The nearest begins at the quote, the others as far behind it as before; the first hour has no past to fit."""
    path = a_path_of_reaches(1.0, 2000.0, 300)
    early, late = published(BUY, SELL, minute=30, sigma=0.001), published(FAR, BUY, SELL, minute=245, sigma=0.001)
    quote = Quoting(path.minutes, lambda reached, sigma: 0.005, TICK)
    first, second = quote(early), quote(late)
    assert first.advice.zones == ()
    assert [(z.side, z.low_e8, z.high_e8) for z in second.advice.zones] == [
        ("buy", e8("97.5"), e8("97.7")),
        ("buy", e8("99.3"), e8("99.5")),
        ("sell", e8("100.5"), e8("100.7")),
    ]
    assert [r.price_e8 for r in second.advice.zones[1].ladder] == [e8("99.5"), e8("99.3")]


def test_without_sigma_nothing_is_quoted() -> None:
    """Risk cannot be measured."""
    quote = Quoting(a_path_of_reaches(1.0, 2000.0, 300).minutes, half_of_glft, TICK)
    assert quote(published(BUY, minute=245, sigma=None)).advice.zones == ()
