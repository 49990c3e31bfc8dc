"""The market makers of the papers: their tables are met, within the error of as many paths."""

import numpy as np
import pytest

from market.arrays import F64
from replay.baselines.quotes import avellaneda_stoikov, glft

PATHS = 4000
STEPS, STEP = 200, 0.005
SIGMA, K, A = 2.0, 1.5, 140.0


def play(gamma: float, follows_inventory: bool) -> tuple[F64, F64, float]:
    """Profits and final inventories of paths, and the mean spread: the experiment of Avellaneda, Stoikov 2008, §3."""
    chance = np.random.default_rng(1)
    mid, cash, inventory = np.full(PATHS, 100.0), np.zeros(PATHS), np.zeros(PATHS)
    flats = [avellaneda_stoikov(0.0, 0.0, SIGMA, 1 - step * STEP, gamma, K) for step in range(STEPS)]
    mean_spread = float(np.mean([flat.ask - flat.bid for flat in flats]))
    for step, flat in enumerate(flats):
        remaining = 1 - step * STEP
        held = avellaneda_stoikov(0.0, 1.0, SIGMA, remaining, gamma, K)
        shift = (held.ask - flat.ask) * inventory if follows_inventory else np.zeros(PATHS)
        half = (flat.ask - flat.bid if follows_inventory else mean_spread) / 2
        below, above = half - shift, half + shift
        bought = chance.random(PATHS) < A * np.exp(-K * below) * STEP
        sold = chance.random(PATHS) < A * np.exp(-K * above) * STEP
        cash += np.where(sold, mid + above, 0.0) - np.where(bought, mid - below, 0.0)
        inventory += bought.astype(float) - sold
        mid += SIGMA * STEP**0.5 * np.where(chance.random(PATHS) < 0.5, 1.0, -1.0)
    return cash + inventory * mid, inventory, mean_spread


@pytest.mark.parametrize(
    ("gamma", "spread", "profit", "deviation", "inventory"),
    [(0.1, 1.49, 65.0, 6.6, 2.9), (0.01, 1.35, 68.6, 8.7, 5.1), (1.0, 3.02, 31.4, 5.0, 1.7)],
)
def test_the_table_of_the_inventory_strategy(
    gamma: float, spread: float, profit: float, deviation: float, inventory: float
) -> None:
    """Spread, profit, its deviation and that of the last inventory; the paper has a thousand paths."""
    profits, last, mean_spread = play(gamma, follows_inventory=True)
    assert mean_spread == pytest.approx(spread, abs=0.02)
    assert profits.mean() == pytest.approx(profit, abs=4 * deviation / 1000**0.5)
    assert profits.std() == pytest.approx(deviation, rel=0.1)
    assert last.std() == pytest.approx(inventory, rel=0.1)


@pytest.mark.parametrize(("gamma", "profit", "inventory"), [(0.1, 68.4, 8.4), (0.01, 68.8, 8.7), (1.0, 44.0, 5.1)])
def test_the_table_of_the_symmetric_strategy(gamma: float, profit: float, inventory: float) -> None:
    """The mean spread around the mid, whatever is held: more profit, and several times the inventory."""
    profits, last, _ = play(gamma, follows_inventory=False)
    assert profits.mean() == pytest.approx(profit, abs=4 * 13 / 1000**0.5)
    assert last.std() == pytest.approx(inventory, rel=0.1)
    if gamma < 1:
        assert 12.5 <= profits.std() <= 14.5  # the paper prints 12.7 and 12.8; a hundred thousand paths 13.3 to 13.8


def test_quotes_by_hand() -> None:
    """One unit held at σ 2, half the time left, γ 0.1, k 1.5: 0.2 below the mid, 1.4908 apart."""
    quote = avellaneda_stoikov(100.0, 1.0, 2.0, 0.5, 0.1, 1.5)
    assert (quote.bid + quote.ask) / 2 == pytest.approx(99.8)
    assert quote.ask - quote.bid == pytest.approx(0.2 + 20 * np.log(1 + 0.1 / 1.5))


def test_the_stationary_quotes() -> None:
    """Guéant, Lehalle, Fernandez-Tapia with the figures of a market in ticks."""
    quote = glft(2.986162360812285, 0.04235741115084049, 0.05, 0.05, 1.0, 10.69)
    assert (quote.half, quote.skew) == (20.47208533844371, 9.76326865029227)
