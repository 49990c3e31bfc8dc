"""
Whether absorption says more than its control, a price extreme alone, on the trades of a log.
"""

from dataclasses import dataclass, replace

import numpy as np

from analysis.absorption import NOTE, Side, find_absorption
from analysis.level_search import BROKEN, OPEN, REJECTED
from analysis.level_tests import Reach, reach_of
from analysis.parameters import Parameters
from analysis.volatility import sigma
from market.fixed_point import I64
from market.timestamps import MINUTE_NS
from projections.trade_columns import Trades, first_outside


@dataclass(frozen=True, slots=True)
class Rate:
    """
    What became of n levels after their tick.

    Attributes:
        rate: rejected over decided, None where none was. walk: the same of a random walk that starts where price
            stood at each tick; a group whose price had moved off further has a higher one.
    """

    n: int
    rejected: int
    broken: int
    open: int
    rate: float | None
    walk: float | None


@dataclass(frozen=True, slots=True)
class AbsorptionControl:
    """Levels that absorbed, and the lows and highs of a tick's last minute on sides where nothing was absorbed."""

    absorbed: Rate
    extreme: Rate
    note: str = NOTE


def absorption_control(
    trades: Trades, tick_size_e8: int, bin_e8: int, parameters: Parameters, least_sd: float | None = None
) -> AbsorptionControl:
    """
    Judge every minute of a log's trades by what came after it, within `test_min`.

    Args:
        least_sd: the excess from which volume counts, `absorption_sd` where not given.
    """
    flow = parameters.order_flow
    flow = replace(flow, found_sd=flow.absorption_sd if least_sd is None else least_sd)
    seen: dict[bool, list[tuple[int, float]]] = {True: [], False: []}
    starts, closes, ends = _minutes(trades)
    span_ns = (flow.absorption_baseline_min + 3) * MINUTE_NS
    for m in range(flow.absorption_least_min, len(starts)):
        end_ns = int(starts[m]) + MINUTE_NS
        price = int(closes[m])
        spread = sigma(
            starts[: m + 1], closes[: m + 1], end_ns, parameters.sigma_minutes, parameters.sigma_least, tick_size_e8
        )
        reach = reach_of(spread, price, tick_size_e8, flow)
        if reach is None:
            continue
        recent = trades.between(end_ns - span_ns, end_ns)
        found = {a.side: a.level_e8 for a in find_absorption(recent, reach, end_ns, bin_e8, flow)}
        minute = recent.between(end_ns - MINUTE_NS, end_ns)
        alone: dict[Side, int] = {"bid": int(minute.price_e8.min()), "ask": int(minute.price_e8.max())}
        later = trades.part(int(ends[m]), int(np.searchsorted(trades.time_ns, end_ns + flow.test_min * MINUTE_NS)))
        for side, extreme in alone.items():
            result = _outcome(later, found.get(side, extreme), price, side == "bid", reach)
            if result is not None:
                seen[side in found].append(result)
    return AbsorptionControl(_rate(seen[True]), _rate(seen[False]))


def _minutes(trades: Trades) -> tuple[I64, I64, I64]:
    """Minutes with trades, the last price of each, and the place after its last trade."""
    minutes = trades.time_ns // MINUTE_NS * MINUTE_NS
    ends = np.append(np.flatnonzero(np.diff(minutes)) + 1, len(minutes))[: len(minutes)]
    return minutes[ends - 1], trades.price_e8[ends - 1], ends


def _outcome(later: Trades, level: int, price: int, is_bid: bool, reach: Reach) -> tuple[int, float] | None:
    off = price - level if is_bid else level - price
    if not -reach.beyond_e8 < off < reach.away_e8:
        return None
    low = level - (reach.beyond_e8 if is_bid else reach.away_e8)
    high = level + (reach.away_e8 if is_bid else reach.beyond_e8)
    stop = len(later)
    at = first_outside(later.price_e8, later.block_high_e8, later.block_low_e8, later.block_offset, 0, stop, low, high)
    walk = (reach.beyond_e8 + off) / (reach.beyond_e8 + reach.away_e8)
    if at == stop:
        return OPEN, walk
    return REJECTED if (later.price_e8[at] >= high) == is_bid else BROKEN, walk


def _rate(seen: list[tuple[int, float]]) -> Rate:
    outcomes = [outcome for outcome, _ in seen]
    rejected, broken = outcomes.count(REJECTED), outcomes.count(BROKEN)
    decided = rejected + broken
    walks = [walk for outcome, walk in seen if outcome != OPEN]
    return Rate(
        n=len(seen),
        rejected=rejected,
        broken=broken,
        open=len(seen) - decided,
        rate=round(rejected / decided, 4) if decided else None,
        walk=round(sum(walks) / decided, 4) if decided else None,
    )
