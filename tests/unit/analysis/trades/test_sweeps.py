"""Runs, which of them are sweeps, and what is drawn beside them."""

import numpy as np
import pytest

from analysis.parameters import OrderFlowParameters
from analysis.trades.sweeps import Sweep, SweepFinder, find_runs
from market.fixed_point import ONE_E8
from projections.trades.trade_columns import Trades
from tests.market_builders import e8
from tests.trade_builders import after, some_trades

PARAMETERS = OrderFlowParameters()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, [(1, 4, 3, 4)]),
        ({"signs": [1, 1, -1, -1]}, [(1, 2, 2, 2), (-1, 1, 1, 1), (-1, 1, 1, 1)]),
        ({"signs": [-1, -1, -1, -1]}, [(-1, 1, 1, 1), (-1, 2, 1, 2), (-1, 1, 1, 1)]),
        ({"ids": [1, 2, 4, 5]}, [(1, 2, 2, 2), (1, 2, 2, 2)]),  # an id is missing
        ({"seconds": [0, 0.001, 0.002, 0.003]}, [(1, 4, 3, 4)]),  # adjacent ms
        ({"seconds": [0, 0.002, 0.002, 0.003]}, [(1, 1, 1, 1), (1, 3, 2, 3)]),
        ({"prices": [100, 101, 100, 101]}, [(1, 2, 2, 2), (1, 2, 2, 2)]),  # price turns back
    ],
)  # fmt: skip
def test_what_makes_a_run(change: dict[str, list[float]], expected: list[tuple[int, ...]]) -> None:
    """Sign, trades, levels and volume of each run of four trades at 100, 101, 101, 102 within a millisecond."""
    trades = some_trades(**({"prices": [100, 101, 101, 102], "seconds": [0, 0, 0, 0]} | change))
    runs = find_runs(trades, PARAMETERS)
    count = zip(
        runs.sign.tolist(), (runs.stop - runs.start).tolist(), runs.levels.tolist(),
        (runs.volume_e8 // ONE_E8).tolist(), strict=True,
    )  # fmt: skip
    assert list(count) == expected


def test_sellers_run_downwards() -> None:
    """Falling prices are one run of a seller and four of a buyer."""
    assert find_runs(some_trades([104, 103, 102, 101], [0] * 4, signs=-1), PARAMETERS).levels.tolist() == [4]
    assert find_runs(some_trades([104, 103, 102, 101], [0] * 4), PARAMETERS).levels.tolist() == [1, 1, 1, 1]


def hour_with_runs(levels: int, quantity: float) -> Trades:
    """2000 single buys of one unit, and at second 3590 one run that takes a quantity at each of some levels."""
    quiet = np.linspace(0, 3580, 2000)
    return some_trades(
        [100] * 2000 + [100 + i for i in range(levels)],
        [*quiet, *[3590] * levels],
        [1] * 2000 + [quantity] * levels,
    )


def test_a_sweep_takes_ten_levels_and_more_than_the_hour_is_used_to() -> None:
    """2001 runs: the 99.9th percentile is the 1999th smallest, one unit."""
    trades = hour_with_runs(10, 2)
    assert SweepFinder(PARAMETERS).find(trades, after(3600)) == [
        Sweep("buy", after(3590), after(3590), 2001, 2010, e8(100), e8(109), 10, 20 * ONE_E8, ONE_E8, 2001)
    ]
    assert SweepFinder(PARAMETERS).find(hour_with_runs(9, 2), after(3600)) == []
    assert SweepFinder(PARAMETERS).find(trades, after(3590)) == []  # not there yet
    assert SweepFinder(PARAMETERS).find(trades, after(3651)) == []  # more than a minute ago
    assert len(SweepFinder(PARAMETERS).find(trades, after(3650))) == 1


def test_ten_levels_of_little_are_no_sweep() -> None:
    """In 400 runs the 99.9th percentile is the largest: five units in all are less than one trade of six."""
    trades = some_trades([100] * 400 + list(range(100, 110)), [*range(400), *[500] * 10], [6, *[1] * 399, *[0.5] * 10])
    assert SweepFinder(PARAMETERS).find(trades, after(540)) == []
    assert [s.min_volume_e8 for s in SweepFinder(PARAMETERS).find(trades.part(1, 410), after(540))] == [5 * ONE_E8]


def test_silence_sweeps_nothing() -> None:
    """No trades, or none in the hour."""
    assert SweepFinder(PARAMETERS).find(Trades.empty(), after(60)) == []
    assert SweepFinder(PARAMETERS).find(some_trades([100]), after(10_000)) == []


def test_kept_runs_are_those_of_the_hour() -> None:
    """Tick after tick over bursts and silences, a late trade in between: what one finder finds, a new one finds."""
    rng = np.random.default_rng(5)
    n = 4000
    seconds = np.sort(
        np.round(rng.exponential(9000, 40).cumsum()[rng.integers(0, 40, n)] / 20 + rng.integers(0, 3, n) / 1e3, 3)
    )
    trades = some_trades(
        (1000 + rng.integers(-1, 2, n).cumsum()).tolist(), seconds.tolist(), rng.integers(1, 9, n).tolist(),
        signs=np.where(rng.random(n) < 0.9, 1, -1).tolist(),
    )  # fmt: skip
    parameters = OrderFlowParameters(sweep_hour_min=3, sweep_levels=2, sweep_quantile=0.5)
    late = np.ones(n, np.bool_)
    late[n // 2] = False
    finder, count = SweepFinder(parameters), 0
    for minute in range(1, int(seconds[-1]) // 60 + 6):
        part = trades if minute % 7 else trades._where(late)
        sweeps = finder.find(part, after(60 * minute))
        assert sweeps == SweepFinder(parameters).find(part, after(60 * minute))
        count += len(sweeps)
    assert count > 20
