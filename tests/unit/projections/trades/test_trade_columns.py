"""Columns of trades: parts, spans, and searches that skip blocks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.trades.trade_columns import BLOCK, Trades, first_outside
from tests.trade_builders import after, some_trades


def test_no_trades_is_a_market_too() -> None:
    """Spans and parts of nothing are nothing."""
    none = Trades.empty()
    assert (len(none), len(none.between(0, 10)), len(none.part(0, 0)), none.ordered) == (0, 0, 0, True)
    assert len(some_trades([])) == 0


def test_times_that_fall_are_told() -> None:
    """A span is then searched trade by trade."""
    trades = some_trades([1, 2, 3, 4], seconds=[0, 5, 4, 6])
    assert not trades.ordered
    assert trades.between(after(4), after(6)).agg_id.tolist() == [2, 3]
    assert trades.between(after(0), after(7)) is trades


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 4 * BLOCK), st.data())
def test_a_search_finds_what_a_plain_one_finds(seed: int, n: int, data: st.DataObject) -> None:
    """In a part of a part, for any bounds: the first trade at or below one price or at or above another."""
    prices = 1000 + np.cumsum(np.random.default_rng(seed).integers(-2, 3, n))
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, n))
    part = some_trades(prices.tolist()).part(start // 2, n).part(start - start // 2, n - start // 2)
    below, above = data.draw(st.integers(960, 1000)), data.draw(st.integers(1000, 1040))
    result = first_outside(
        part.price_e8, part.block_high_e8, part.block_low_e8, part.block_offset, 0, stop - start, below * 10**8,
        above * 10**8,
    )  # fmt: skip
    outside = np.flatnonzero((prices[start:stop] <= below) | (prices[start:stop] >= above))
    assert result == (outside[0] if len(outside) else stop - start)
