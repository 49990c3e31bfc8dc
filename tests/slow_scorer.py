"""
The scores of advice from the words of docs/decisions/0020, docs/fills.md and docs/measures.md §7, one trade after the
other.

Nothing of `replay/scoring`, `replay/inference` or `fills` is used: what they say is true of the words, not of one
program. Orders walk by `tests/naive_fills.py`, which is of the words too.
"""

import bisect
import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests import naive_fills

MS, SECOND, MINUTE, HOUR, DAY = 10**6, 10**9, 60 * 10**9, 3600 * 10**9, 86_400 * 10**9
HORIZONS_S = (10, 60, 300, 900, 3600)
QUEUES = (
    "touch", "through", "risk adverse", "log", "log 2", "power 1", "power 2", "power 3", "power2 2", "power3 2",
    "power3 3",
)  # fmt: skip


@dataclass
class Idea:
    """An episode: what was advised first, when, and how often it came back."""

    publication: Any
    zone: Any
    last_ns: int
    minutes: int = 1


@dataclass
class Tested:
    """A zone at a place: what became of it and of its orders."""

    idea: int
    outcome: str
    touch_ns: int | None
    expected: float | None
    orders: list[dict[str, Any]]


@dataclass
class Trade:
    """A trade: when it was made, its seq in the log, price and quantity, +1 where the buyer was the aggressor."""

    at_ns: int
    seq: int
    price: int
    quantity: int
    sign: int


Shown = Callable[[int, bool, int], "list[tuple[int, int]] | None"]
"""
From a price, whether it is a bid, and a time to the sizes that the level shows, each with the time from which on, the
last one before that time included; None where the size is not known then.
"""


def nothing_shown(price: int, is_bid: bool, at_ns: int) -> None:
    """No book was recorded."""


def ideas_of(publications: Sequence[Any]) -> list[Idea]:
    """A zone that overlaps none of its side that came back within the hour is a new idea."""
    ideas: list[Idea] = []
    for publication in publications:
        now = publication.published_ns
        alive = [i for i in ideas if now - i.last_ns <= i.publication.advice.valid_for_ns]
        for zone in publication.advice.zones:
            meets = [i for i in alive if i.zone.side == zone.side and i.zone.low_e8 <= zone.high_e8
                     and zone.low_e8 <= i.zone.high_e8]  # fmt: skip
            for idea in meets:
                if idea.last_ns != now:
                    idea.minutes += 1
                    idea.last_ns = now
            if not meets:
                ideas.append(Idea(publication, zone, now))
                alive.append(ideas[-1])
    return ideas


def shifts_of(ideas: Sequence[Idea], tick: int, count: int, seed: int) -> list[tuple[int, int]]:
    """The placebos: the number of the idea, and how far each is moved."""
    distances: list[float] = []
    for idea in ideas:
        advice, zone = idea.publication.advice, idea.zone
        unit = (advice.reference_e8 or 0) * (advice.sigma or 0.0)
        if advice.reference_e8 is None or unit == 0:
            distances.append(math.nan)
        elif zone.side == "buy":
            distances.append((advice.reference_e8 - zone.high_e8) / unit)
        else:
            distances.append((zone.low_e8 - advice.reference_e8) / unit)
    drawn: list[tuple[int, int]] = []
    for number, idea in enumerate(ideas):
        advice, zone = idea.publication.advice, idea.zone
        unit = (advice.reference_e8 or 0) * (advice.sigma or 0.0)
        ticks = [
            round((d - distances[number]) * unit / tick)
            for other, d in zip(ideas, distances, strict=True)
            if other.zone.side == zone.side
            and abs(d - distances[number]) <= 1.5
            and idea.publication.published_ns // DAY - other.publication.published_ns // DAY in (0, 1)
        ]
        order = np.random.Generator(np.random.PCG64([seed, number])).permutation(np.array(ticks, np.int64)).tolist()
        used: set[int] = set()
        for step in order:
            shift = step * tick * (-1 if zone.side == "buy" else 1)
            low, high = zone.low_e8 + shift, zone.high_e8 + shift
            lowest = min([low, *(r.price_e8 + shift for r in zone.ladder)])
            own_side = high < advice.reference_e8 if zone.side == "buy" else low > advice.reference_e8
            met = any(low <= z.high_e8 and z.low_e8 <= high for z in advice.zones)
            if shift and shift not in used and lowest > 0 and own_side and not met and len(used) < count:
                used.add(shift)
                drawn.append((number, shift))
    return drawn


def try_zone(
    number: int, idea: Idea, shift: int, trades: Sequence[Trade], newest: Sequence[int], rules: Any,
    shown: Shown = nothing_shown,
) -> Tested:  # fmt: skip
    """A zone, moved by so much, tested from its advice on, and its rungs as orders."""
    advice, zone = idea.publication.advice, idea.zone
    unit = (advice.reference_e8 or 0) * (advice.sigma or 0.0)
    out, stop = idea.publication.published_ns, idea.publication.published_ns + advice.valid_for_ns
    news = bisect.bisect_right(newest, idea.publication.published_seq)  # made after every trade in the log by then
    buy, low, high = zone.side == "buy", zone.low_e8 + shift, zone.high_e8 + shift
    away, beyond = (math.ceil(round(unit * sigmas, 6)) for sigmas in (rules.away_sigma, rules.beyond_sigma))
    outcome, touch_ns, expected, touch = "untouched", None, None, None
    for n in range(max(news, _first_at(trades, out + rules.latency_ms * MS)), _first_at(trades, stop)):
        trade = trades[n]
        if trade.price <= high if buy else trade.price >= low:
            touch, touch_ns, outcome = n, trade.at_ns, "open"
            overshoot = high - trade.price if buy else trade.price - low
            expected = min(1.0, max(0.0, (high - low + beyond - overshoot) / max(high - low + away + beyond, 1e-12)))
            break
    if touch is not None and touch_ns is not None:
        for n in range(touch, _first_at(trades, touch_ns + HOUR)):
            trade = trades[n]
            if trade.price <= low - beyond if buy else trade.price >= high + beyond:
                outcome = "broken"
                break
            if trade.price >= high + away if buy else trade.price <= low - away:
                outcome = "rejected"
                break
    orders = [_order(rung, rung.price_e8 + shift, buy, (out, stop, news), trades, rules, shown) for rung in zone.ladder]
    return Tested(number, outcome, touch_ns, expected, orders)


def newest_of(trades: Sequence[Trade]) -> list[int]:
    """For each trade the lowest seq of it and of all that were made after it: by then it or one of those was known."""
    newest = [trade.seq for trade in trades]
    for n in range(len(newest) - 2, -1, -1):
        newest[n] = min(newest[n], newest[n + 1])
    return newest


def _order(
    rung: Any, price: int, buy: bool, when: tuple[int, int, int], trades: Sequence[Trade], rules: Any, shown: Shown
) -> dict[str, Any]:
    out, stop, news = when
    arrival, end = out + rules.latency_ms * MS, stop + rules.latency_ms * MS
    quantity = max(1, math.floor(rung.weight * rules.order_value / (price / 1e8) * 1e8))
    start, side = max(news, _first_at(trades, arrival)), 1 if buy else -1
    last = trades[start - 1] if start else None
    order: dict[str, Any] = {"price": price, "weight": rung.weight, "buy": buy, "quantity": quantity}
    order["marketable"] = last is not None and (
        side * (price - last.price) > 0 or (price == last.price and last.sign == side)
    )
    rows = shown(price, buy, arrival)
    ahead = None if rows is None else next((size for at, size in reversed(rows) if at < arrival), 0)
    order["ahead"] = ahead
    stop_at = max(start, _first_at(trades, end))
    changes = [row for row in rows or [] if arrival <= row[0] < end]
    for name in QUEUES:
        if ahead is None and name not in (
            "touch",
            "through",
        ):  # each waits as `through` does
            for what in ("", " share", " markouts", " at once"):
                order[f"{name}{what}"] = order[f"through{what}"]
            continue
        passing = (n for n in range(start, stop_at) if side * (price - trades[n].price) >= 0)
        reaching = (trades[n] for n in passing)
        fills, paid = ([], 0) if order["marketable"] else _walk(name, order, (arrival, end), ahead, reaching, changes)
        filled = sum(amount for _, amount in fills)
        order[name] = (filled, fills[0][0], fills[-1][0]) if fills else None
        order[f"{name} share"] = filled / quantity
        order[f"{name} markouts"] = []
        for horizon in HORIZONS_S:
            later = _price_at(trades, fills[-1][0] + horizon * SECOND) if fills else None
            order[f"{name} markouts"].append(None if later is None else _gain(side, price, later, rules))
        order[f"{name} at once"] = _gain(side, price, paid, rules) if fills else None
    return order


def _gain(side: int, price: int, later: int, rules: Any) -> float:
    """Basis points after fees of a fill at a price, valued at another."""
    return round(side * (later - price) / price * 1e4 - rules.maker_fee_bps, 4)


def _walk(
    name: str, order: dict[str, Any], when: tuple[int, int], ahead: int | None, passing: Iterable[Trade],
    changes: Sequence[tuple[int, int]],
) -> tuple[list[tuple[int, int]], int]:  # fmt: skip
    """
    The fills of an order, and the price of the trade that made the last: what trades at its price or beyond, and what
    its level shows, in order of time.
    """
    own = naive_fills.Order(order["buy"], order["price"], order["quantity"], *when)
    sizes = {} if ahead is None else {(order["buy"], order["price"]): ahead}
    walk = naive_fills.Walk(own, name, 10**8, naive_fills.Variant(), ahead, sizes, ahead is not None)
    traded, shown = ((t.at_ns, 0, t) for t in passing), ((at, 1, (at, size)) for at, size in changes)
    paid = 0
    for _, kind, said in heapq.merge(traded, shown, key=lambda event: event[:2]):
        before = len(walk.fills)
        if kind:
            walk.change(naive_fills.Change(said[0], order["buy"], order["price"], said[1]))
        else:
            walk.trade(naive_fills.Trade(said.at_ns, said.price, said.quantity, said.sign))
        if len(walk.fills) > before:
            paid = said.price
        if not walk.left:
            break
    return walk.fills, paid


def _price_at(trades: Sequence[Trade], at_ns: int) -> int | None:
    """The last price at or before a moment; None before the first trade and after the last."""
    if not trades or at_ns > trades[-1].at_ns:
        return None
    after = _first_at(trades, at_ns + 1)
    return trades[after - 1].price if after else None


def _first_at(trades: Sequence[Trade], at_ns: int) -> int:
    """The place of the first trade that was known at a moment or later."""
    return bisect.bisect_left(trades, at_ns, key=lambda trade: trade.at_ns)


Sample = tuple[int, float, float, float]
"""Block, value, weight, and what chance gives of the value."""


@dataclass
class Compared:
    """Means of both, the difference of what they are above chance, its standard error by leaving blocks out."""

    own: float | None
    others: float | None
    difference: float | None
    error: float | None
    blocks: int
    degrees: int  # of freedom

    @property
    def means(self) -> tuple[float | None, float | None, float | None]:
        return self.own, self.others, self.difference


def compare(own: Sequence[Sample], others: Sequence[Sample]) -> Compared:
    """The own samples beside the others, in the blocks of time that hold both."""
    blocks = sorted({sample[0] for sample in own} & {sample[0] for sample in others})
    if not blocks:
        return Compared(_mean(own), _mean(others), None, None, 0, 0)
    own, others = ([s for s in side if s[0] in blocks] for side in (own, others))
    rest, rest_blocks = [], []
    for block in blocks:
        one, two = (_surplus([s for s in side if s[0] != block]) for side in (own, others))
        if one is not None and two is not None:
            rest.append(one - two)
            rest_blocks.append(block)
    error = None
    if len(rest) >= 2:
        middle = sum(rest) / len(rest)
        error = math.sqrt((len(blocks) - 1) / len(blocks) * sum((r - middle) ** 2 for r in rest))
    whole = (_surplus(own) or 0.0) - (_surplus(others) or 0.0)
    return Compared(_mean(own), _mean(others), whole, error, len(blocks), _degrees(own, rest_blocks))


def _degrees(own: Sequence[Sample], blocks: Sequence[int]) -> int:
    """One less than so many equal blocks as have the same sum of squared shares of the own weights."""
    sizes = [sum(weight for b, _, weight, _ in own if b == block) for block in blocks]
    if len(sizes) < 2:
        return 0
    return min(len(sizes) - 1, max(1, round(sum(sizes) ** 2 / sum(size**2 for size in sizes)) - 1))


def _mean(samples: Sequence[Sample]) -> float | None:
    total = sum(weight for _, _, weight, _ in samples)
    return sum(value * weight for _, value, weight, _ in samples) / total if total else None


def _surplus(samples: Sequence[Sample]) -> float | None:
    return _mean([(block, value - chance, weight, 0.0) for block, value, weight, chance in samples])


def figures_of(ideas: Sequence[Idea], own: Sequence[Tested], others: Sequence[Tested]) -> dict[tuple[str, str], Any]:
    """The compared figures by metric and fill model."""

    def rejections(tested: Sequence[Tested]) -> list[Sample]:
        rows = ((ideas[t.idea].publication.published_ns // (2 * HOUR), rejection(t), t.expected) for t in tested)
        return [(block, v, 1.0, chance or 0.0) for block, v, chance in rows if v is not None]

    def rejection(tested: Tested) -> float | None:
        return {"rejected": 1.0, "broken": 0.0}.get(tested.outcome)

    def worths(tested: Sequence[Tested], model: str, horizon: int) -> list[Sample]:
        rows = []
        for t in tested:
            block = ideas[t.idea].publication.published_ns // (2 * HOUR)
            for order in t.orders:
                markout = order[f"{model} markouts"][horizon]
                if order[model] is None:
                    rows.append((block, 0.0, order["weight"], 0.0))
                elif markout is not None:
                    share, at_once = order[f"{model} share"], order[f"{model} at once"]
                    rows.append((block, share * markout, order["weight"], share * at_once))
        return rows

    figures = {
        ("rejected", ""): compare(rejections(own), rejections(others)),
        ("rejected_martingale", ""): compare(
            [(block, v, 1.0, 0.0) for block, v, _, _ in rejections(own)],
            [(block, chance, 1.0, 0.0) for block, _, _, chance in rejections(own)],
        ),
    }

    def fills(tested: Sequence[Tested], model: str) -> list[Sample]:
        """A minute after their last fill, by what was filled of their weight."""
        return [
            (ideas[t.idea].publication.published_ns // (2 * HOUR), order[f"{model} markouts"][1],
             order["weight"] * order[f"{model} share"], order[f"{model} at once"])
            for t in tested for order in t.orders if order[f"{model} markouts"][1] is not None
        ]  # fmt: skip

    for model in QUEUES:
        figures["adverse_selection_60s_bps", model] = compare(fills(own, model), fills(others, model))
        for n, horizon in enumerate(HORIZONS_S):
            figures[f"value_{horizon}s_bps", model] = compare(worths(own, model, n), worths(others, model, n))
    return figures
