"""
The trades that fill, in the order in which the venue made them, with extremes at two levels so that a search can skip.
"""

import msgspec
import numpy as np

from market.arrays import I64
from projections.trades.trade_columns import Trades

BLOCK = 64  # trades under one pair of extremes: about as many as are compared in the time of one missed cache line
GROUP = 64 * BLOCK  # trades under one pair above it: an hour of a busy market is a handful of them


class TradeTape(msgspec.Struct, frozen=True):
    """
    n trades as columns.

    Attributes:
        time_ns: at the exchange, never falling. sign: +1 where the buyer was the aggressor, −1 where the seller was.
        price_e8: 1e-8 quote. quantity_e8: counts of quantity.
        block_high_e8, block_low_e8, group_high_e8, group_low_e8: extremes of each BLOCK and each GROUP of trades.
    """

    time_ns: I64
    price_e8: I64
    quantity_e8: I64
    sign: I64
    block_high_e8: I64
    block_low_e8: I64
    group_high_e8: I64
    group_low_e8: I64

    @classmethod
    def from_columns(cls, time_ns: I64, price_e8: I64, quantity_e8: I64, sign: I64) -> "TradeTape":
        """
        Build from columns in the order of the venue's trade ids.

        Args:
            time_ns: (n,) times at the exchange; where they fall back, the latest so far counts: ids order, not times.
            price_e8, quantity_e8: (n,) 1e-8 quote and counts of quantity.
            sign: (n,) +1 where the buyer was the aggressor, −1 where the seller was.
        """
        times = np.maximum.accumulate(time_ns) if len(time_ns) else time_ns
        extremes = [_extremes(price_e8, width) for width in (BLOCK, GROUP)]
        return cls(times, price_e8, quantity_e8, sign, *extremes[0], *extremes[1])

    @classmethod
    def from_trades(cls, trades: Trades) -> "TradeTape":
        """Build from the trades of a fold."""
        return cls.from_columns(trades.time_ns, trades.price_e8, trades.quantity_e8, trades.sign)

    def __len__(self) -> int:
        return len(self.time_ns)


def _extremes(price_e8: I64, width: int) -> tuple[I64, I64]:
    if not len(price_e8):
        return price_e8, price_e8
    starts = np.arange(0, len(price_e8), width)
    return np.maximum.reduceat(price_e8, starts), np.minimum.reduceat(price_e8, starts)
