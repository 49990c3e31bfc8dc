"""
The orders of advised zones: every rung rests from its advice on, and what each fill was worth afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market.arrays import F64, I64, Bools
from replay.scoring.episodes import Episode
from replay.scoring.outcomes import fills, markouts
from replay.scoring.placebo import MovedZones
from replay.scoring.price_path import PricePath
from replay.scoring.rules import ScoringRules

MODELS = {"touch": False, "through": True}
"""Fill models that bracket the truth, and whether a trade must go strictly beyond the price."""


@dataclass(frozen=True, slots=True)
class Orders:
    """
    n resting orders.

    Attributes:
        zone: (n,) the number of the zone that each belongs to, an index into what they were made from.
        episode: (n,) that zone's episode. weight: (n,) share of the advice's total.
        is_buy, price_e8: (n,) side, and limit price, 1e-8 quote. start_ns, stop_ns: (n,) when it rests.
        after_seq: (n,) trades up to this seq do not count.
        marketable: (n,) whether it would have traded on arrival: a post-only order is refused, and never fills.
    """

    zone: I64
    episode: I64
    weight: F64
    is_buy: Bools
    price_e8: I64
    start_ns: I64
    stop_ns: I64
    after_seq: I64
    marketable: Bools

    def __len__(self) -> int:
        return len(self.zone)


def orders_of(episodes: Sequence[Episode], zones: MovedZones, path: PricePath, rules: ScoringRules) -> Orders:
    """
    The orders of zones: a rung each.

    Args:
        episodes: what the zones belong to.
        zones: the episodes' zones, moved by so much.
        path: says what the price was when they arrived.
        rules: the latency.
    """
    rungs = [e.zone.ladder for e in episodes]
    own = zones.episode.tolist()
    counts = np.array([len(rungs[n]) for n in own], np.int64)
    zone = np.repeat(np.arange(len(own)), counts)
    episode = zones.episode[zone] if len(own) else zone
    price = np.array([rung.price_e8 for n in own for rung in rungs[n]], np.int64) + zones.shift_e8[zone]
    published_ns = np.array([e.first.published_ns for e in episodes], np.int64)[episode]
    is_buy = np.array([e.zone.side == "buy" for e in episodes], bool)[episode]
    start_ns = published_ns + rules.latency_ms * 1_000_000
    last = path.price_at(start_ns)
    return Orders(
        zone=zone,
        episode=episode,
        weight=np.array([rung.weight for n in own for rung in rungs[n]], np.float64),
        is_buy=is_buy,
        price_e8=price,
        start_ns=start_ns,
        stop_ns=np.array([e.stop_ns for e in episodes], np.int64)[episode],
        after_seq=np.array([e.first.published_seq for e in episodes], np.int64)[episode],
        marketable=(last > 0) & np.where(is_buy, price >= last, price <= last),
    )


def fill(path: PricePath, orders: Orders, model: str) -> I64:
    """
    The trade that would have filled each order, as an index into the path; −1 for none.

    Args:
        path: the trades that fill.
        orders: n orders.
        model: a name of `MODELS`.
    """
    index = fills(
        path, orders.is_buy, orders.price_e8, orders.start_ns, orders.stop_ns, orders.after_seq, MODELS[model]
    )
    return np.where(orders.marketable, -1, index)


def worth_of(path: PricePath, orders: Orders, index: I64, rules: ScoringRules) -> F64:
    """
    The markout of each order's fill, basis points after fees, NaN without one.

    Args:
        path: the trades that followed.
        orders: n orders.
        index: the trade that filled each, −1 for none.
        rules: the maker fee.

    Returns:
        (n, h) for the h horizons of `outcomes.HORIZONS_S`.
    """
    return markouts(path, orders.is_buy, orders.price_e8, index, rules.maker_fee_bps)
