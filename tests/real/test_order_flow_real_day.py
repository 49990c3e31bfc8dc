"""
Order flow on a whole real day: random levels, bars against trades, sweeps and absorption beside their controls.

The day trended upwards by 3.7 %, so that levels are rejected less often than on a quiet one.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from analysis.absorption_control import absorption_control
from analysis.level_search import BROKEN, OPEN, REJECTED
from analysis.level_tests import Reach, against_bars, against_trades, reach_of
from analysis.parameters import Parameters
from analysis.sweeps import sweep_control
from analysis.volatility import sigma
from exchanges.binance.archive import read_agg_trades
from market.fixed_point import I64, ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.trade_columns import Trades
from tests.market_builders import e8

PARAMETERS = Parameters()
FLOW = PARAMETERS.order_flow
TICK = e8("0.01")
MINUTES = 24 * 60
UNDECIDED = 0


@dataclass(frozen=True)
class Day:
    """The day's trades, where each minute begins among them, and its bars."""

    trades: Trades
    edges: I64
    starts: I64
    bars: I64

    def reach(self, minute: int) -> tuple[int, float, Reach]:
        """Price, σ in units of price and distances at the start of a minute."""
        price = int(self.bars[minute - 1, 3])
        end_ns = int(self.starts[minute - 1]) + MINUTE_NS
        unit = sigma(self.starts[:minute], self.bars[:minute, 3], end_ns, 60, 15, TICK)
        reach = reach_of(unit, price, TICK, FLOW)
        assert unit is not None
        assert reach is not None
        return price, unit * price, reach


@pytest.fixture(scope="module")
def day(real_data: Path) -> Day:
    """The day, read from Binance's own file."""
    rows = read_agg_trades(real_data / "aggtrades" / "BTCUSDT-aggTrades-2024-01-01.zip")
    times, prices = rows.trade_time_ns, rows.price_e8
    signs = 1 - 2 * rows.buyer_is_maker.astype(np.int64)
    trades = Trades.of(times, rows.agg_id, prices, rows.quantity_e8, signs)
    starts = int(times[0]) // MINUTE_NS * MINUTE_NS + np.arange(MINUTES) * MINUTE_NS
    edges = np.append(np.searchsorted(times, starts), len(times))
    bars = np.array([_bar(prices[a:b]) for a, b in pairwise(edges)], np.int64)
    return Day(trades, edges, starts, bars)


def _bar(prices: I64) -> tuple[int, int, int, int]:
    return int(prices[0]), int(prices.max()), int(prices.min()), int(prices[-1])


@dataclass(frozen=True)
class Placebo:
    """First tests of random levels: outcome by trades, by bars, by bars read naively, and the distance in σ."""

    exact: I64
    by_bars: I64
    naive: I64
    distance: "np.ndarray"


@pytest.fixture(scope="module")
def placebo(day: Day) -> Placebo:
    """Every other minute, 20 levels each, half below and half above price, 0.5σ to 8σ off, watched for four hours."""
    chance = np.random.default_rng(1)
    columns: tuple[list[I64], ...] = ([], [], [], [])
    for minute in range(60, MINUTES - 60, 2):
        price, unit, reach = day.reach(minute)
        distance = chance.uniform(0.5, 8, 20)
        side = np.where(np.arange(20) % 2, 1, -1)
        levels = np.rint((price + side * distance * unit) / TICK).astype(np.int64) * TICK
        last = min(MINUTES, minute + 240)
        trades = day.trades.part(int(day.edges[minute]), int(day.edges[last]))
        starts, bars = day.starts[minute:last], day.bars[minute:last]
        exact, coarse = against_trades(trades, levels, reach, FLOW), against_bars(starts, bars, levels, reach, FLOW)
        for column, values in zip(
            columns,
            (
                first_outcomes(exact.level, exact.outcome),
                first_outcomes(coarse.level, coarse.outcome),
                naively(bars, levels, reach, side),
                distance,
            ),
            strict=True,
        ):
            column.append(values)
    return Placebo(*(np.concatenate(c) for c in columns))


def first_outcomes(level: I64, outcome: I64) -> I64:
    """The outcome of each of 20 levels' first test."""
    found = np.full(20, UNDECIDED)
    kinds, first = np.unique(level, return_index=True)
    found[kinds] = outcome[first]
    return found


def naively(bars: I64, levels: I64, reach: Reach, side: I64) -> I64:
    """Bars as one is tempted to read them: a rejection in the bar of the touch counts, and goes before a break."""
    found = np.full(20, UNDECIDED)
    for k, (level, up) in enumerate(zip(levels.tolist(), side.tolist(), strict=True)):
        touches = bars[:, 1] >= level - reach.near_e8 if up > 0 else bars[:, 2] <= level + reach.near_e8
        if touches.any():
            rest = bars[int(np.argmax(touches)) :][:60]
            away = rest[:, 2] <= level - reach.away_e8 if up > 0 else rest[:, 1] >= level + reach.away_e8
            through = rest[:, 1] >= level + reach.beyond_e8 if up > 0 else rest[:, 2] <= level - reach.beyond_e8
            if (away | through).any():
                found[k] = REJECTED if away[int(np.argmax(away | through))] else BROKEN
            else:
                found[k] = OPEN
    return found


def rate(outcome: I64) -> float:
    """Rejected over decided."""
    return float((outcome == REJECTED).sum() / np.isin(outcome, (REJECTED, BROKEN)).sum())


def test_random_levels_are_rejected_as_on_any_trending_day(placebo: Placebo) -> None:
    """Four in ten overall, fewer than on a quiet day, and at every distance within what its number leaves to chance."""
    assert 0.39 <= rate(placebo.exact) <= 0.44
    for low, high in ((0.5, 1), (1, 2), (2, 4), (4, 8)):
        inside = (placebo.distance >= low) & (placebo.distance < high)
        assert 0.38 <= rate(placebo.exact[inside]) <= 0.50


def test_bars_are_nearly_as_good_as_trades(placebo: Placebo) -> None:
    """Read with care they are wrong in at most 0.6 % (0.15); naively in more than a tenth (12.4), always flattering."""
    careful = decided_otherwise(placebo.exact, placebo.by_bars)
    naive = decided_otherwise(placebo.exact, placebo.naive)
    flattered = int(((placebo.exact == BROKEN) & (placebo.naive == REJECTED)).sum())
    other = int(((placebo.exact == REJECTED) & (placebo.naive == BROKEN)).sum())
    assert careful <= 0.006
    assert naive >= 0.1
    assert flattered >= 9 * other


def decided_otherwise(exact: I64, other: I64) -> float:
    """Of the tests both decided, the part they decided differently."""
    both = (exact > OPEN) & (other > OPEN)
    return float((exact[both] != other[both]).mean())


def test_sweeps_come_about_twelve_times_an_hour(day: Day) -> None:
    """And price went on in their direction in the next minute, unlike after runs drawn by chance."""
    found = sweep_control(day.trades, 60, np.random.default_rng(1), FLOW)
    assert found.an_hour is not None
    assert found.sweep_bp is not None
    assert found.control_bp is not None
    assert 10 <= found.an_hour <= 14
    assert found.sweep_bp > 0.5 > abs(found.control_bp)


def test_absorption_does_not_beat_its_control(day: Day) -> None:
    """The negative result that is printed wherever absorption is: rejected no more often than an extreme alone."""
    found = absorption_control(day.trades, TICK, ONE_E8, PARAMETERS)
    assert found.absorbed.rate is not None
    assert found.extreme.rate is not None
    assert found.absorbed.n >= 50
    assert found.extreme.n >= 2000
    assert found.absorbed.rate <= found.extreme.rate
    assert f"{found.absorbed.rate:.2f} of the time (n {found.absorbed.n})" in found.note
    assert f"{found.extreme.rate:.2f} (n {found.extreme.n})" in found.note


def test_blocks_bound_every_trade_of_the_day(day: Day) -> None:
    """Every one of the day's trades is in a block whose extremes bound it, so that searches may skip."""
    trades = day.trades
    edges = np.arange(0, len(trades), 256)
    assert (np.maximum.reduceat(trades.price_e8, edges) == trades.block_high_e8).all()
    assert (np.minimum.reduceat(trades.price_e8, edges) == trades.block_low_e8).all()
    assert trades.ordered
    assert int(trades.time_ns[-1] - trades.time_ns[0]) // SECOND_NS == 86_399
