"""
Trades as columns for tests of order flow: prices in whole units, times in seconds after T0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from market.fixed_point import ONE_E8
from market.timestamps import SECOND_NS
from projections.trades.trade_columns import Trades
from tests.market_builders import T0, e8


def some_trades(
    prices: Sequence[Any],
    seconds: Sequence[float] | None = None,
    quantities: Any = 1,
    signs: Any = 1,
    ids: Sequence[int] | None = None,
) -> Trades:
    """n trades, one a second and one unit bought where not said."""
    n = len(prices)
    at = np.arange(n) if seconds is None else np.asarray(seconds, np.float64)
    return Trades.from_columns(
        T0 + np.rint(at * SECOND_NS).astype(np.int64),
        np.arange(1, n + 1) if ids is None else np.asarray(ids, np.int64),
        np.array([e8(p) for p in prices], np.int64),
        np.rint(np.broadcast_to(np.asarray(quantities, np.float64), n) * ONE_E8).astype(np.int64),
        np.broadcast_to(np.asarray(signs, np.int64), n).copy(),
    )


def after(seconds: float) -> int:
    """A time in seconds after T0, ns."""
    return T0 + round(seconds * SECOND_NS)
