"""
Footprint: cumulative volume delta, and rows where one aggressor outweighs the other diagonally (docs/measures.md §4).
"""

from typing import Literal

import msgspec
import numpy as np

from analysis.parameters import OrderFlowParameters
from analysis.trades.volume_profile import build_rows, row_width
from market.arrays import I64, Bools
from market.compiled import compiled
from market.fixed_point import LARGEST_E8
from projections.trades.trade_columns import Trades

Side = Literal["buy", "sell"]


class Cvd(msgspec.Struct, frozen=True):
    """Exact quantities of a span: bought and sold by aggressors, and the cumulative volume delta bought − sold."""

    buy_e8: int
    sell_e8: int
    trades: int

    @property
    def delta_e8(self) -> int:
        """Bought minus sold."""
        return self.buy_e8 - self.sell_e8


class Imbalance(msgspec.Struct, frozen=True):
    """
    A row where one side outweighs the other's diagonal neighbour: buys against the sells a row below, sells against the
    buys a row above.

    Attributes:
        low_e8: the row's lower edge. ratio: volume over the neighbour's, None where that is zero.
    """

    side: Side
    low_e8: int
    volume_e8: int
    ratio: float | None


class Stack(msgspec.Struct, frozen=True):
    """Neighbouring imbalances of one side: from the lowest row's lower edge to the highest row's upper edge."""

    side: Side
    low_e8: int
    high_e8: int
    rows: int


class Footprint(msgspec.Struct, frozen=True):
    """
    Imbalances, lowest row first and buys before sells, and the stacks among them.

    Attributes:
        min_volume_e8: the least volume of an imbalance.
    """

    width_e8: int
    min_volume_e8: int
    imbalances: tuple[Imbalance, ...]
    stacks: tuple[Stack, ...]


def sum_cvd(trades: Trades) -> Cvd:
    """Sum the exact cumulative volume delta of some trades; sums of any size, zero for none."""
    buy_high, buy_low, sell_high, sell_low = _side_sums(trades.quantity_e8, trades.sign)
    return Cvd((int(buy_high) << 32) + int(buy_low), (int(sell_high) << 32) + int(sell_low), len(trades))


def sum_cvd_of_levels(buy_e8: I64, sell_e8: I64, count: I64) -> Cvd:
    """
    Sum the same from a volume profile, which contains the sums of the trades of its span.

    Args:
        buy_e8, sell_e8: (k,) quantities of levels, 1e-8 base.
        count: (k,) number of trades of each.
    """
    return Cvd(_exact_sum(buy_e8), _exact_sum(sell_e8), int(count.sum()))


def build_footprint(
    level_e8: I64, buy_e8: I64, sell_e8: I64, width_e8: int, parameters: OrderFlowParameters
) -> Footprint:
    """
    Find the diagonal imbalances of a profile.

    Args:
        level_e8, buy_e8, sell_e8: (k,) rising levels, with what was bought and sold at each; may be empty.
        width_e8: of a row, as in `volume_profile.build_rows`; a wider one is taken where prices lie very far apart.
        parameters: `imbalance_*`.
    """
    if len(level_e8) == 0:
        return Footprint(width_e8, 0, (), ())
    width_e8 = row_width(level_e8, width_e8)
    bought, sold = build_rows(level_e8, buy_e8, width_e8), build_rows(level_e8, sell_e8, width_e8)
    total = _exact_sum(buy_e8) + _exact_sum(sell_e8)
    min_volume = max(1, round(parameters.imbalance_share * total))
    buys = np.append(bought.total_e8, 0)  # an empty row above and one below
    sells = np.append(0, sold.total_e8)
    buys_outweigh = _outweighs(buys[:-1], sells[:-1], min_volume, parameters.imbalance_ratio)
    sells_outweigh = _outweighs(sells[1:], buys[1:], min_volume, parameters.imbalance_ratio)
    imbalances, stacks = [], []
    for row in np.flatnonzero(buys_outweigh | sells_outweigh).tolist():
        low = bought.price_e8(row)
        if buys_outweigh[row]:
            imbalances.append(_imbalance("buy", low, int(buys[row]), int(sells[row])))
        if sells_outweigh[row]:
            imbalances.append(_imbalance("sell", low, int(sells[row + 1]), int(buys[row + 1])))
    sides: tuple[tuple[Side, Bools], ...] = (("buy", buys_outweigh), ("sell", sells_outweigh))
    for side, is_imbalance in sides:
        edges = np.flatnonzero(np.diff(np.concatenate(([0], is_imbalance.astype(np.int8), [0]))))
        for start, stop in edges.reshape(-1, 2).tolist():
            if stop - start >= parameters.imbalance_stack:
                stacks.append(Stack(side, bought.price_e8(start), bought.price_e8(stop), stop - start))
    return Footprint(width_e8, min_volume, tuple(imbalances), tuple(stacks))


def _outweighs(volume: I64, opposite: I64, min_volume: int, ratio: float) -> Bools:
    is_nonzero = opposite > 0
    ratios = np.round(volume / np.where(is_nonzero, opposite, 1), 4)
    return (volume >= min_volume) & (~is_nonzero | (ratios >= ratio))


def _imbalance(side: Side, low_e8: int, volume: int, opposite: int) -> Imbalance:
    return Imbalance(side, low_e8, volume, round(volume / opposite, 4) if opposite else None)


def _exact_sum(values: I64) -> int:
    """Sum in halves where the sum might wrap; quantities are not negative."""
    if int(values.max(initial=0)) * len(values) <= LARGEST_E8:
        return int(values.sum())
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


@compiled
def _side_sums(quantities, signs):  # type: ignore[no-untyped-def]
    """Upper and lower halves of what buyers and sellers took."""
    buy_high, buy_low, sell_high, sell_low = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for i in range(len(quantities)):
        if signs[i] > 0:
            buy_high += quantities[i] >> 32
            buy_low += quantities[i] & 0xFFFFFFFF
        else:
            sell_high += quantities[i] >> 32
            sell_low += quantities[i] & 0xFFFFFFFF
    return buy_high, buy_low, sell_high, sell_low
