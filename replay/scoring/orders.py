"""
The orders of advised zones: every rung rests from its advice on, and what its fills were worth afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fills.displayed_book import DisplayedBook
from fills.engine import FillRules, fill_orders
from fills.latency import Latency
from fills.orders import Orders, orders_of
from fills.outcome import REFUSED, Outcome
from fills.queue_models import MODELS, QueueModel
from market.arrays import F64, I64, Bools
from market.fixed_point import LARGEST_E8, ONE_E8
from market.timestamps import HOUR_NS
from replay.recorded.price_path import PricePath
from replay.scoring.episodes import Episode
from replay.scoring.outcomes import HORIZONS_S, gains_bps, markouts
from replay.scoring.placebo import MovedZones
from replay.scoring.rules import ScoringRules

_STRETCH_NS = 2 * HOUR_NS  # a busy market changes its book some million times in it


class Books(Protocol):
    """Where displayed books come from."""

    def between(self, from_ns: int, to_ns: int, price_e8: I64) -> DisplayedBook:
        """The sizes shown at some prices, rising, over a stretch of time."""
        ...


@dataclass(frozen=True, slots=True)
class ZoneOrders:
    """
    n resting orders and the zones that they belong to.

    Attributes:
        zone: (n,) the number of each order's zone, an index into what they were made from.
        episode: (n,) that zone's episode. weight: (n,) share of the advice's total.
        sent: what is asked of the exchange.
    """

    zone: I64
    episode: I64
    weight: F64
    sent: Orders

    def __len__(self) -> int:
        return len(self.zone)


@dataclass(frozen=True, slots=True)
class OrderResults:
    """
    What became of n orders under m models of the queue.

    Attributes:
        outcome: of the engine.
        share: (m, n) of each order's quantity that was filled.
        markout: (m, n, h) of what was filled, basis points after fees, for the h horizons of `outcomes.HORIZONS_S`
            after its last fill; NaN without one, or where the record ends before the horizon.
        at_once: (m, n) the same at the price of the trade that made the last fill: what is lost by price having jumped
            past the order, and the fee. On a price without memory every markout is this on average.
    """

    outcome: Outcome
    share: F64
    markout: F64
    at_once: F64

    @property
    def is_refused(self) -> Bools:
        """(n,) whether it would have traded on arrival: a post-only order is refused, under every model."""
        return self.outcome.status[0] == REFUSED

    def values(self, model: int, horizon_s: int) -> F64:
        """
        What each order was worth at a horizon: its markout times the share that was filled, 0 where nothing was.

        Args:
            model: its place among the models.
            horizon_s: one of `outcomes.HORIZONS_S`.
        """
        share, markout = self.share[model], self.markout[model, :, HORIZONS_S.index(horizon_s)]
        return np.where(share > 0, share * markout, 0.0)

    def values_at_once(self, model: int) -> F64:
        """
        What each order was worth at the price of the trade that filled it last; 0 where nothing was filled.

        Args:
            model: its place among the models.
        """
        share = self.share[model]
        return np.where(share > 0, share * self.at_once[model], 0.0)


def orders_of_zones(episodes: Sequence[Episode], zones: MovedZones, path: PricePath, rules: ScoringRules) -> ZoneOrders:
    """
    The orders of zones, one a rung: sent when the advice is out, cancelled when it runs out.

    An order's quantity is its weight's part of `order_value` at its own price.

    Args:
        episodes: what the zones belong to.
        zones: the episodes' zones, moved by so much.
        path: gives the unit of quantities, and which trades came later.
        rules: the latency of requests and of cancels, and the value of a recommendation's orders.
    """
    rungs = [e.zone.ladder for e in episodes]
    own = zones.episode.tolist()
    counts = np.array([len(rungs[n]) for n in own], np.int64)
    zone = np.repeat(np.arange(len(own)), counts)
    episode = zones.episode[zone] if len(own) else zone
    weight = np.array([rung.weight for n in own for rung in rungs[n]], np.float64)
    price = np.array([rung.price_e8 for n in own for rung in rungs[n]], np.int64) + zones.shift_e8[zone]
    quantity = np.floor(weight * rules.order_value / (price / ONE_E8) * path.quantity_unit)
    published_ns = np.array([e.published_ns for e in episodes], np.int64)[episode]
    stop_ns = np.array([e.stop_ns for e in episodes], np.int64)[episode]
    after_seq = np.array([e.published_seq for e in episodes], np.int64)[episode]
    sent = orders_of(
        np.array([e.zone.side == "buy" for e in episodes], np.bool_)[episode], price,
        np.clip(quantity, 1, LARGEST_E8).astype(np.int64), published_ns, stop_ns,
        entry=Latency.constant(rules.latency_ms * 1_000_000), first_trade=path.first_after(after_seq),
    )  # fmt: skip
    return ZoneOrders(zone, episode, weight, sent)


def fill(
    sets: Sequence[ZoneOrders],
    path: PricePath,
    books: Books | None,
    rules: ScoringRules,
    models: Sequence[QueueModel] = MODELS,
) -> list[OrderResults]:
    """
    Let orders rest, and value what was filled.

    Books are read for a stretch of time after the other, and only at the prices of the orders of all sets.

    Args:
        sets: sets of orders; each order is alone.
        path: the trades that fill, and that follow.
        books: what was displayed; None where no book was recorded.
        rules: the maker fee.
        models: m models of the queue.

    Returns:
        What became of each set.
    """
    fill_rules = FillRules(unit_e8=path.quantity_unit)
    if books is None:
        outcomes = [fill_orders(s.sent, path.tape, DisplayedBook.empty(), models, fill_rules) for s in sets]
        return [_valued(s, path, outcome, rules) for s, outcome in zip(sets, outcomes, strict=True)]
    parts = [s.sent.arrival_ns // _STRETCH_NS for s in sets]
    outcomes = [Outcome.none(s.sent.price_e8, models) for s in sets]
    for part in np.unique(np.concatenate(parts)).tolist():
        picked = [np.flatnonzero(own == part) for own in parts]
        sent = [s.sent.pick(index) for s, index in zip(sets, picked, strict=True)]
        prices = np.unique(np.concatenate([orders.price_e8 for orders in sent]))
        end_ns = max(int(orders.end_ns.max()) for orders in sent if len(orders))
        book = books.between(part * _STRETCH_NS, end_ns, prices)
        for outcome, orders, index in zip(outcomes, sent, picked, strict=True):
            outcome.put(index, fill_orders(orders, path.tape, book, models, fill_rules))
    return [_valued(s, path, outcome, rules) for s, outcome in zip(sets, outcomes, strict=True)]


def _valued(orders: ZoneOrders, path: PricePath, outcome: Outcome, rules: ScoringRules) -> OrderResults:
    sent = orders.sent
    share = outcome.filled_e8 / np.maximum(sent.quantity_e8, 1)
    markout, at_once = np.full((*share.shape, len(HORIZONS_S)), np.nan), np.full(share.shape, np.nan)
    model, order = np.nonzero(outcome.last_trade >= 0)
    if len(order):
        # Models often end an order with the same trade: each such pair is valued once.
        pairs, place = np.unique(order * len(path) + outcome.last_trade[model, order], return_inverse=True)
        of_order, trade = pairs // len(path), pairs % len(path)
        is_buy, price = sent.is_buy[of_order], sent.price_e8[of_order]
        markout[model, order] = markouts(path, is_buy, price, trade, rules.maker_fee_bps)[place]
        at_once[model, order] = gains_bps(is_buy, price, path.price_e8[trade], rules.maker_fee_bps)[place]
    return OrderResults(outcome, share, markout, at_once)
