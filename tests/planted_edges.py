"""
Markets whose price knows of some zones: what is planted is known, so an estimate can be held against it.

A price without memory, a trade a second. When it first touches an advised zone that it would break (or, for a negative
edge, one that would hold), the steps that follow are turned round with some probability: a price of symmetric steps
stays one, but the zone has another outcome than it would have had. Advice knows only what was before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from agents.recommendation import Rung, Zone
from fills.trade_tape import TradeTape
from market.arrays import I64
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from replay.recorded.price_path import PricePath
from replay.scoring.episodes import Publication
from tests.market_builders import T0, an_advice

TICK_E8 = 1_000_000
HOUR_S = 3600
START_E8 = 40_000 * ONE_E8
SIGMA_E8 = 8 * ONE_E8  # of a minute: 2 bp
WARM_UP_MIN = 65


@dataclass(frozen=True, slots=True)
class PlantedMarket:
    """
    Attributes:
        path: its trades. publications: a recommendation a minute.
        touched: of all touched ideas, the share that would have been rejected without the edge, and that was then.
    """

    path: PricePath
    publications: list[Publication]


class _Walk:
    """A price whose later steps can be turned round."""

    def __init__(self, chance: np.random.Generator, seconds: int) -> None:
        sigma = SIGMA_E8 / TICK_E8 / 60**0.5
        self.price = START_E8 // TICK_E8 + np.cumsum(np.rint(chance.normal(0, sigma, seconds)).astype(np.int64))

    def turn(self, after: int) -> None:
        self.price[after + 1 :] = 2 * self.price[after] - self.price[after + 1 :]

    def outcome(self, at: int, zone: "_Planted") -> str:
        """What becomes of a zone that is touched at a second, if nothing is turned."""
        ahead = self.price[at : at + HOUR_S]
        two = round(2 * SIGMA_E8 / TICK_E8)
        down, up = (zone.low - two, zone.high + two)
        far, off = (ahead <= down, ahead >= up) if zone.is_buy else (ahead >= up, ahead <= down)
        first = [int(np.argmax(reached)) if reached.any() else HOUR_S for reached in (far, off)]
        return "open" if min(first) == HOUR_S else "broken" if first[0] <= first[1] else "rejected"


@dataclass(slots=True)
class _Planted:
    is_buy: bool
    low: int
    high: int
    until_min: int
    since_s: int

    def touches(self, price: I64) -> int | None:
        reached = price <= self.high if self.is_buy else price >= self.low
        return int(np.argmax(reached)) if reached.any() else None

    def meets(self, other: "_Planted") -> bool:
        return self.is_buy == other.is_buy and self.low <= other.high and other.low <= self.high


def plant(seed: int, days: int, zones_an_hour: float, edge: float, trap: bool = False) -> PlantedMarket:
    """
    A market with an edge at its advised zones.

    Args:
        seed: of everything.
        days: how long.
        zones_an_hour: new zones, both sides together.
        edge: the probability with which a touched zone that would break is turned into one that holds; negative: with
            which one that would hold is turned into one that breaks.
        trap: whether price turns away before it touches a zone that would hold: its orders fill only when it breaks.
    """
    chance = np.random.default_rng([seed, 5])
    minutes = days * 1440
    walk = _Walk(chance, minutes * 60)
    ideas: list[_Planted] = []  # valid, untouched
    recent: list[_Planted] = []  # of the last hour: what overlaps one is no new idea
    shown: list[_Planted] = []
    publications = []
    for minute in range(WARM_UP_MIN, minutes):
        now_s = minute * 60
        price = int(walk.price[now_s - 1])
        recent = [idea for idea in recent if idea.since_s > now_s - HOUR_S]
        shown = [zone for zone in shown if zone.until_min > minute]
        for _ in range(chance.poisson(zones_an_hour / 60)):
            zone = _draw(chance, price, minute)
            shown.append(zone)
            if not any(zone.meets(idea) for idea in recent):
                recent.append(zone)
                ideas.append(zone)
        publications.append(_publication(shown, price, minute))
        ideas = _let_trade(walk, ideas, now_s + 3, chance, edge, trap)
    price = walk.price * TICK_E8
    at = T0 + np.arange(len(price)) * SECOND_NS
    quantity, sign = np.full(len(price), 10 * ONE_E8), np.where(np.diff(price, prepend=price[0]) > 0, 1, -1)
    path = PricePath.from_tape(TradeTape.from_columns(at, price, quantity, sign), 2 * np.arange(len(price)) + 1)
    return PlantedMarket(path, publications)


def _let_trade(
    walk: _Walk, ideas: list[_Planted], start: int, chance: np.random.Generator, edge: float, trap: bool
) -> list[_Planted]:
    """A minute's trades, with each idea's first touch in turn; the ideas that are still untouched and valid."""
    stop = start + 60
    while True:
        touches = [(at, n) for n, idea in enumerate(ideas) if (at := idea.touches(walk.price[start:stop])) is not None]
        if not touches:
            return [idea for idea in ideas if idea.since_s > stop - HOUR_S]
        at, n = min(touches)
        idea = ideas.pop(n)
        second = start + at
        outcome = walk.outcome(second, idea)
        if trap:
            if outcome == "rejected" and second > start:
                walk.turn(second - 1)
                ideas.append(idea)
                start = second
                continue
        elif outcome == ("broken" if edge > 0 else "rejected") and chance.random() < abs(edge):
            walk.turn(second)
        start = second


def _draw(chance: np.random.Generator, price: int, minute: int) -> _Planted:
    unit = SIGMA_E8 / TICK_E8
    width, away = round(chance.uniform(0.2, 0.8) * unit), round(chance.uniform(1, 6) * unit)
    is_buy = chance.random() < 0.5
    low = price - away - width if is_buy else price + away
    return _Planted(is_buy, low, low + width, minute + int(chance.integers(3, 25)), minute * 60)


def _publication(shown: Sequence[_Planted], price: int, minute: int) -> Publication:
    zones = [_zone(zone, 1 / len(shown)) for zone in shown]
    advice = an_advice(*zones, reference_e8=price * TICK_E8, sigma=SIGMA_E8 / (price * TICK_E8))
    # Known: the trades of the minutes before, seqs 1, 3, 5 and so on.
    return Publication(
        replace(advice, as_of_ns=T0 + minute * MINUTE_NS), T0 + minute * MINUTE_NS + 2 * SECOND_NS, minute * 120
    )


def _zone(zone: _Planted, weight: float) -> Zone:
    low, high = zone.low * TICK_E8, zone.high * TICK_E8
    middle = (zone.low + zone.high) // 2 * TICK_E8
    prices = (high, middle, low) if zone.is_buy else (low, middle, high)
    ladder = tuple(Rung(price, weight / 3) for price in prices)
    side = "buy" if zone.is_buy else "sell"
    return Zone(side, low, high, weight, 0.5, ("own",), ("Z",), 1, ladder)  # type: ignore[arg-type]
