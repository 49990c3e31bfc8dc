"""Cumulative delta and diagonal imbalances, counted by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.parameters import OrderFlowParameters
from analysis.trades.footprint import Cvd, Footprint, Imbalance, Stack, build_footprint, sum_cvd
from market.fixed_point import ONE_E8
from projections.trades.trade_columns import Trades
from tests.trade_builders import some_trades

PARAMETERS = OrderFlowParameters(imbalance_share=0.05)


def test_delta_is_bought_less_sold() -> None:
    """Three bought, half sold."""
    result = sum_cvd(some_trades([100, 101, 100], quantities=[1, 0.5, 2], signs=[1, -1, 1]))
    assert result == Cvd(3 * ONE_E8, ONE_E8 // 2, 3)
    assert result.delta_e8 == 250_000_000
    assert sum_cvd(Trades.empty()) == Cvd(0, 0, 0)


@given(st.lists(st.tuples(st.integers(1, 2**62), st.sampled_from([-1, 1])), max_size=30))
def test_no_sum_wraps(trades: list[tuple[int, int]]) -> None:
    """Thirty quantities near 2^62 are summed exactly."""
    n = len(trades)
    quantities = np.array([q for q, _ in trades], np.int64)
    signs = np.array([s for _, s in trades], np.int64)
    result = sum_cvd(Trades.from_columns(np.arange(n), np.arange(n), np.full(n, 5), quantities, signs))
    assert result.buy_e8 == sum(q for q, s in trades if s > 0)
    assert result.sell_e8 == sum(q for q, s in trades if s < 0)
    assert result.delta_e8 == sum(q * s for q, s in trades)


def test_buys_are_weighed_against_the_sells_one_row_below() -> None:
    """
    Rows 10 … 14. Buys 9 at 11 against sells 3 at 10: 3.0. Buys 8 at 12 against 3 at 11: 2.6667, not enough. Buys 4 at
    14 against nothing at 13. Sells 9 at 12 against buys 2 at 13: 4.5. Sells at 10 against 9, at 11 against 8: no.
    """
    levels = np.array([10, 11, 12, 13, 14])
    buys, sells = np.array([1, 9, 8, 2, 4]), np.array([3, 3, 9, 0, 0])
    assert build_footprint(levels, buys, sells, 1, PARAMETERS) == Footprint(
        1,
        2,  # 5 % of 39
        (
            Imbalance("buy", 11, 9, 3.0),
            Imbalance("sell", 12, 9, 4.5),
            Imbalance("buy", 14, 4, None),
        ),
        (),
    )


def test_three_in_a_row_are_stacked() -> None:
    """Buys at 20, 30 and 40 outweigh, from 20 to 50; two sells in a row are no stack."""
    levels = np.array([10, 20, 25, 30, 40])
    buys, sells = np.array([0, 30, 10, 40, 90]), np.array([10, 4, 6, 20, 0])
    result = build_footprint(levels, buys, sells, 10, PARAMETERS)
    assert [(i.side, i.low_e8, i.volume_e8, i.ratio) for i in result.imbalances] == [
        ("buy", 20, 40, 4.0),
        ("buy", 30, 40, 4.0),
        ("buy", 40, 90, 4.5),
    ]
    assert result.stacks == (Stack("buy", 20, 50, 3),)
    mirror = build_footprint(np.array([10, 20, 30]), np.array([0, 1, 1]), np.array([9, 9, 1]), 10, PARAMETERS)
    assert [i.side for i in mirror.imbalances] == ["sell", "sell", "sell"]
    assert mirror.stacks == (Stack("sell", 10, 40, 3),)


def test_little_volume_is_no_imbalance() -> None:
    """Below its share of the profile a row says nothing; a profile of nothing says nothing."""
    levels, nothing = np.array([10, 11]), np.array([0, 0])
    result = build_footprint(levels, np.array([100, 4]), nothing, 1, PARAMETERS)
    assert [(i.low_e8, i.ratio) for i in result.imbalances] == [(10, None)]
    assert build_footprint(levels, nothing, nothing, 1, PARAMETERS).imbalances == ()
    assert build_footprint(levels[:0], nothing[:0], nothing[:0], 1, PARAMETERS) == Footprint(1, 0, (), ())


def test_a_row_nobody_traded_in_parts_a_stack() -> None:
    """The empty row is there: what is above it stands against nothing, itself it is nothing."""
    result = build_footprint(np.array([10, 20, 40]), np.array([5, 5, 5]), np.zeros(3, np.int64), 10, PARAMETERS)
    assert [i.low_e8 for i in result.imbalances] == [10, 20, 40]
    assert result.stacks == ()
