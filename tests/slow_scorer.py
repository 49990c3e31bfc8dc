"""
The scores of advice from the words of docs/decisions/0020 and docs/measures.md §7, one trade after the other.

Nothing of `replay/scoring` or `replay/inference` is used: what both say is true of the words, not of one program.
"""

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MS, SECOND, MINUTE, HOUR = 10**6, 10**9, 60 * 10**9, 3600 * 10**9
HORIZONS_S = (10, 60, 300, 900, 3600)


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
    """A trade: when it was known, its seq in the log, its price."""

    at_ns: int
    seq: int
    price: int


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
            if other.zone.side == zone.side and abs(d - distances[number]) <= 1.5
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


def try_zone(number: int, idea: Idea, shift: int, trades: Sequence[Trade], rules: Any) -> Tested:
    """A zone, moved by so much, tested from its advice on, and its rungs as orders."""
    advice, zone = idea.publication.advice, idea.zone
    unit = (advice.reference_e8 or 0) * (advice.sigma or 0.0)
    start = idea.publication.published_ns + rules.latency_ms * MS
    stop = idea.publication.published_ns + advice.valid_for_ns
    after = idea.publication.published_seq
    buy, low, high = zone.side == "buy", zone.low_e8 + shift, zone.high_e8 + shift
    away, beyond = (math.ceil(round(unit * sigmas, 6)) for sigmas in (rules.away_sigma, rules.beyond_sigma))
    outcome, touch_ns, expected, touch = "untouched", None, None, None
    for n in range(_first_at(trades, start), _first_at(trades, stop)):
        trade = trades[n]
        if trade.seq > after and (trade.price <= high if buy else trade.price >= low):
            touch, touch_ns, outcome = n, trade.at_ns, "open"
            overshoot = high - trade.price if buy else trade.price - low
            expected = min(1.0, max(0.0, (high - low + beyond - overshoot) / max(high - low + away + beyond, 1e-12)))
            break
    if touch is not None and touch_ns is not None:
        for n in range(touch, _first_at(trades, touch_ns + HOUR)):
            trade = trades[n]
            if trade.seq <= after:
                continue
            if trade.price <= low - beyond if buy else trade.price >= high + beyond:
                outcome = "broken"
                break
            if trade.price >= high + away if buy else trade.price <= low - away:
                outcome = "rejected"
                break
    orders = [_order(rung, rung.price_e8 + shift, buy, (start, stop, after), trades, rules) for rung in zone.ladder]
    return Tested(number, outcome, touch_ns, expected, orders)


def _order(rung: Any, price: int, buy: bool, when: tuple[int, int, int], trades: Sequence[Trade], rules: Any) -> Any:
    start, stop, after = when
    last = _price_at(trades, start)
    order: dict[str, Any] = {"price": price, "weight": rung.weight, "buy": buy}
    order["marketable"] = last is not None and (price >= last if buy else price <= last)
    for model, margin in (("touch", 0), ("through", 1)):
        order[model] = None
        for n in range(_first_at(trades, start), _first_at(trades, stop)):
            trade = trades[n]
            reaches = trade.price <= price - margin if buy else trade.price >= price + margin
            if trade.seq > after and reaches and not order["marketable"]:
                order[model] = trade.at_ns
                break
        order[f"{model} markouts"] = []
        for horizon in HORIZONS_S:
            later = None if order[model] is None else _price_at(trades, order[model] + horizon * SECOND)
            sign = 1 if buy else -1
            gain = None if later is None else sign * (later - price) / price * 1e4 - rules.maker_fee_bps
            order[f"{model} markouts"].append(None if gain is None else round(gain, 4))
    return order


def _price_at(trades: Sequence[Trade], at_ns: int) -> int | None:
    """The last price at or before a moment; None before the first trade and after the last."""
    if not trades or at_ns > trades[-1].at_ns:
        return None
    after = _first_at(trades, at_ns + 1)
    return trades[after - 1].price if after else None


def _first_at(trades: Sequence[Trade], at_ns: int) -> int:
    """The place of the first trade that was known at a moment or later."""
    return bisect.bisect_left(trades, at_ns, key=lambda trade: trade.at_ns)


Sample = tuple[int, float, float]
"""Block, value, weight."""


def compare(own: Sequence[Sample], others: Sequence[Sample]) -> tuple[float | None, float | None, float | None, int]:
    """Mean of the own, mean of the others, standard error of the difference, and blocks, by leaving blocks out."""
    blocks = sorted({b for b, _, _ in own} & {b for b, _, _ in others})
    if not blocks:
        return _mean(own), _mean(others), None, 0
    own, others = ([s for s in side if s[0] in blocks] for side in (own, others))
    rest = []
    for block in blocks:
        one, two = (_mean([s for s in side if s[0] != block]) for side in (own, others))
        if one is not None and two is not None:
            rest.append(one - two)
    error = None
    if len(rest) >= 2:
        middle = sum(rest) / len(rest)
        error = math.sqrt((len(blocks) - 1) / len(blocks) * sum((r - middle) ** 2 for r in rest))
    return _mean(own), _mean(others), error, len(blocks)


def _mean(samples: Sequence[Sample]) -> float | None:
    total = sum(weight for _, _, weight in samples)
    return sum(value * weight for _, value, weight in samples) / total if total else None


def figures_of(ideas: Sequence[Idea], own: Sequence[Tested], others: Sequence[Tested]) -> dict[tuple[str, str], Any]:
    """The compared figures by metric and fill model: own mean, control's mean, standard error, blocks."""

    def samples(tested: Sequence[Tested], value: Callable[[Tested], float | None]) -> list[Sample]:
        rows = ((ideas[t.idea].publication.published_ns // (2 * HOUR), value(t)) for t in tested)
        return [(block, v, 1.0) for block, v in rows if v is not None]

    def rejection(tested: Tested) -> float | None:
        return {"rejected": 1.0, "broken": 0.0}.get(tested.outcome)

    def worths(tested: Sequence[Tested], model: str, horizon: int) -> list[Sample]:
        rows = []
        for t in tested:
            block = ideas[t.idea].publication.published_ns // (2 * HOUR)
            for order in t.orders:
                value = 0.0 if order[model] is None else order[f"{model} markouts"][horizon]
                if value is not None:
                    rows.append((block, value, order["weight"]))
        return rows

    figures = {
        ("rejected", ""): compare(samples(own, rejection), samples(others, rejection)),
        ("rejected_martingale", ""): compare(
            samples(own, rejection), samples(own, lambda t: t.expected if rejection(t) is not None else None)
        ),
    }
    for model in ("touch", "through"):
        for n, horizon in enumerate(HORIZONS_S):
            figures[f"value_{horizon}s_bps", model] = compare(worths(own, model, n), worths(others, model, n))
    return figures
