"""
Outcomes of price levels (touched, rejected, broken) and of orders (filled, and what a fill was worth afterwards).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market.arrays import F64, I64
from market.timestamps import MINUTE_NS, SECOND_NS
from replay.recorded.price_path import PricePath

UNTOUCHED, OPEN, REJECTED, BROKEN = 0, 1, 2, 3  # places in OUTCOMES; they are stored in files
OUTCOMES = ("untouched", "open", "rejected", "broken")

HORIZONS_S = (10, 60, 300, 900, 3600)
"""Markout horizons."""

TEST_NS = 60 * MINUTE_NS
"""How long a touched level has to be rejected or broken."""


@dataclass(frozen=True, slots=True)
class Levels:
    """
    n levels under test. Prices are exact; a buy level lies below the price it is measured from.

    Attributes:
        is_buy: whether the level is below the price. low_e8, high_e8: its interval, both ends included, 1e-8 quote.
        away_e8: the distance off its near edge at which it is rejected, 1e-8 quote.
        beyond_e8: the distance past its far edge at which it is broken, 1e-8 quote.
        start_ns, stop_ns: a touch counts from the first up to, without, the second.
        after_seq: the last seq in the log when the level was published: only trades made after all up to it count.
    """

    is_buy: npt.NDArray[np.bool_]
    low_e8: I64
    high_e8: I64
    away_e8: I64
    beyond_e8: I64
    start_ns: I64
    stop_ns: I64
    after_seq: I64

    def __len__(self) -> int:
        return len(self.low_e8)


@dataclass(frozen=True, slots=True)
class LevelOutcomes:
    """
    The outcomes of n levels.

    Attributes:
        outcome: UNTOUCHED, OPEN, REJECTED or BROKEN, an index into OUTCOMES.
        touch_ns, touch_e8: when the level was first touched, and the price of that trade, 1e-8 quote; −1 for none.
    """

    outcome: I64
    touch_ns: I64
    touch_e8: I64


def outcomes_at(path: PricePath, levels: Levels) -> LevelOutcomes:
    """
    Test levels against exact trades, in agg_id order.

    A level is touched by the first trade at its near edge or beyond. From that trade on it is broken by a trade
    `beyond` past its far edge, rejected by one `away` off its near edge, whichever comes first; a price that jumps
    past both is a break. Neither within an hour of the touch, or before the record ends: open. Trades that were in the
    log when the level was published do not count, nor those made before one of them.
    """
    start = np.maximum(path.index_at(levels.start_ns), path.first_after(levels.after_seq))
    stop, is_buy = path.index_at(levels.stop_ns), levels.is_buy
    touch = path.find_first_beyond(is_buy, start, stop, np.where(is_buy, levels.high_e8, levels.low_e8))
    is_touched = touch >= 0
    first = np.maximum(touch, 0)
    ends = path.index_at((path.at_ns[first] if len(path) else levels.start_ns) + TEST_NS)
    last = np.where(is_touched, ends, 0)  # what was not touched is not searched
    far = np.where(is_buy, levels.low_e8 - levels.beyond_e8, levels.high_e8 + levels.beyond_e8)
    off = np.where(is_buy, levels.high_e8 + levels.away_e8, levels.low_e8 - levels.away_e8)
    break_index = path.find_first_beyond(is_buy, first, last, far)
    rejection_index = path.find_first_beyond(~is_buy, first, last, off)
    no_index = np.int64(2**62)
    break_index = np.where(break_index < 0, no_index, break_index)
    rejection_index = np.where(rejection_index < 0, no_index, rejection_index)
    outcome = np.where(break_index <= rejection_index, BROKEN, REJECTED)
    outcome = np.where((break_index == no_index) & (rejection_index == no_index), OPEN, outcome)
    touch_ns, touch_e8 = (
        np.where(is_touched, column[first] if len(path) else -1, -1) for column in (path.at_ns, path.price_e8)
    )
    return LevelOutcomes(np.where(is_touched, outcome, UNTOUCHED), touch_ns, touch_e8)


def markouts(path: PricePath, is_buy: npt.NDArray[np.bool_], price_e8: I64, fill: I64, fee_bps: float) -> F64:
    """
    The markout of each of n fills, in basis points of its price after fees, against last trades.

    Args:
        path: the trades that followed.
        is_buy: n sides.
        price_e8: n prices filled at, 1e-8 quote.
        fill: index into the path of the trade that filled each, −1 for none.
        fee_bps: the maker fee, basis points; negative for a rebate.

    Returns:
        (n, h) for the h horizons of HORIZONS_S; NaN without a fill, or where the path ends before the horizon.
    """
    fill_ns = path.at_ns[np.maximum(fill, 0)] if len(path) else np.zeros(len(fill), np.int64)
    out = np.full((len(fill), len(HORIZONS_S)), np.nan)
    for column, horizon_s in enumerate(HORIZONS_S):
        later = path.price_at(fill_ns + horizon_s * SECOND_NS)
        is_known = (fill >= 0) & (later >= 0)
        out[is_known, column] = gains_bps(is_buy, price_e8, later, fee_bps)[is_known]
    return out


def gains_bps(is_buy: npt.NDArray[np.bool_], price_e8: I64, later_e8: I64, fee_bps: float) -> F64:
    """
    What each of n fills is worth at a later price, basis points after fees, to 4 decimals.

    Args:
        is_buy: n sides.
        price_e8, later_e8: n prices filled at, and n to value them at, 1e-8 quote.
        fee_bps: the maker fee, basis points; negative for a rebate.
    """
    sign = np.where(is_buy, 1.0, -1.0)
    gain: F64 = np.round(sign * (later_e8 - price_e8) / price_e8 * 1e4 - fee_bps, 4)
    return gain
