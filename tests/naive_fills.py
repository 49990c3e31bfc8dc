"""
A second fill engine, slow and written from the words of docs/fills.md: one order, one model, one event after the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade; `sign` is +1 where the buyer was the aggressor."""

    at: int
    price: int
    quantity: int
    sign: int


@dataclass(frozen=True, slots=True)
class Change:
    """From when on a level shows which size."""

    at: int
    is_bid: bool
    price: int
    size: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the exchange meets it; it rests from `arrival` up to, without, `end`."""

    is_buy: bool
    price: int
    quantity: int
    arrival: int
    end: int


@dataclass(frozen=True, slots=True)
class Variant:
    """
    What another engine does otherwise.

    Attributes:
        whole: a trade beyond the price fills all, and so does the other side's best price that reaches the order.
        below_zero: a fall of the size may take more from ahead of the order than is there; the next trade fills that.
    """

    whole: bool = False
    below_zero: bool = False


@dataclass(slots=True)
class Answer:
    """Status as in `STATUSES`, fills as (time, quantity), and what was ahead at arrival, None for unknown."""

    status: str
    fills: list[tuple[int, int]]
    ahead: int | None


def share_behind(name: str, front: float, back: float) -> float:
    """The share of a fall that is behind the order: the formulas as they are printed."""
    kind, _, power = name.partition(" ")
    n = float(power or 1)
    if kind == "log":
        f = math.log(1 + back)
        return f / (math.log(1 + back + front) if power else f + math.log(1 + front))
    if kind == "power":
        return back**n / (back**n + front**n)
    if kind == "power2":
        return back**n / (back + front) ** n
    return float(1 - (front / (front + back)) ** n)


def evaluate(
    order: Order, trades: Sequence[Trade], changes: Sequence[Change], name: str, unit: int, variant: Variant = Variant()
) -> Answer:
    """
    Walk one order through everything that happened.

    Args:
        order: one order.
        trades, changes: in order; at the same time trades come first.
        name: of a model of `MODELS`.
        unit: counts of quantity in one base unit.
        variant: what is done otherwise.
    """
    sizes: dict[tuple[bool, int], int] = {}
    events = sorted([(t.at, 0, n) for n, t in enumerate(trades)] + [(c.at, 1, n) for n, c in enumerate(changes)])
    before = [event for event in events if event[0] < order.arrival]
    for _, kind, n in before:
        if kind:
            sizes[changes[n].is_bid, changes[n].price] = changes[n].size
    is_known = any(kind for _, kind, _ in before)
    ahead = sizes.get((order.is_buy, order.price), 0) if is_known else None
    last = next((trades[n] for _, kind, n in reversed(before) if not kind), None)
    if is_marketable(order, sizes if is_known else None, last):
        return Answer("refused post-only", [], ahead)
    walk = Walk(order, name, unit, variant, ahead, sizes, is_known)
    after = [event for event in events[len(before) :] if event[0] < order.end]
    for place, (at, kind, n) in enumerate(after):
        if kind:
            walk.change(changes[n])
            if place + 1 == len(after) or after[place + 1][0] != at:
                walk.settle(at)
        else:
            walk.trade(trades[n])
        if not walk.left:
            break
    is_over = bool(trades) and order.end <= max(t.at for t in trades)
    status = "partial" if walk.fills else "cancelled" if is_over else "unfilled"
    return Answer("filled" if not walk.left else status, walk.fills, ahead)


def best(sizes: dict[tuple[bool, int], int], is_bid: bool) -> int | None:
    """The best price of a side."""
    prices = [price for (side, price), size in sizes.items() if side == is_bid and size > 0]
    return None if not prices else max(prices) if is_bid else min(prices)


def is_marketable(order: Order, sizes: dict[tuple[bool, int], int] | None, last: Trade | None) -> bool:
    """Whether an order would trade at once."""
    if sizes is not None:
        other = best(sizes, not order.is_buy)
        return other is not None and (order.price >= other if order.is_buy else order.price <= other)
    if last is None:
        return False
    side = 1 if order.is_buy else -1
    distance = side * (order.price - last.price)
    return distance > 0 or (distance == 0 and last.sign == side)


class Walk:
    """One order on its way."""

    def __init__(
        self, order: Order, name: str, unit: int, variant: Variant, ahead: int | None,
        sizes: dict[tuple[bool, int], int], is_known: bool,
    ) -> None:  # fmt: skip
        self.order, self.name, self.unit, self.variant = order, name, unit, variant
        self.sizes, self.is_known = sizes, is_known
        self.reaching: set[int] = set()  # levels of the other side at the order's price or beyond
        self.front = math.inf if name == "through" or ahead is None else float(ahead)
        self.front = 0.0 if name == "touch" else self.front
        self.left, self.traded = order.quantity, 0
        self.fills: list[tuple[int, int]] = []

    def fill(self, at: int, quantity: int) -> None:
        """Take what is left of the order, at most."""
        amount = min(quantity, self.left)
        if amount > 0:
            self.left -= amount
            self.fills.append((at, amount))

    def trade(self, trade: Trade) -> None:
        """A trade: beyond the price, at it, or out of reach."""
        side = 1 if self.order.is_buy else -1
        distance, opposes = side * (self.order.price - trade.price), trade.sign != side
        if distance < 0 or (self.variant.whole and not opposes):
            return
        waits = math.isinf(self.front)  # nothing is known of the queue, or the model is `through`
        if distance > 0 or (not opposes and not waits):
            self.front = math.inf if waits else 0.0
            self.fill(trade.at, self.left if self.variant.whole else trade.quantity)
            return
        self.traded += trade.quantity if opposes else 0
        self.front -= trade.quantity
        if self.front < 0:
            amount = math.floor(0.5 - self.front)
            self.front = 0.0
            if not self.variant.below_zero:
                amount = min(amount, trade.quantity)
            self.fill(trade.at, amount)

    def change(self, change: Change) -> None:
        """A level shows another size."""
        key = change.is_bid, change.price
        size, self.sizes[key] = self.sizes.get(key, 0), change.size
        side = 1 if self.order.is_buy else -1
        if change.is_bid != self.order.is_buy and side * (self.order.price - change.price) >= 0:
            (self.reaching.add if change.size else self.reaching.discard)(change.price)
        if key != (self.order.is_buy, self.order.price) or not self.is_known or self.name in ("touch", "through"):
            return
        fall, self.traded = size - self.traded - change.size, 0
        if self.name == "risk adverse" or fall < 0:
            self.front = min(self.front, change.size)
            return
        front, back = self.front, size - self.front
        behind = (
            1.0
            if front == 0 or (front < 0 and not self.variant.below_zero)
            else share_behind(self.name, front / self.unit, back / self.unit)
        )
        self.front = min(front - (1 - behind) * fall + min(back - behind * fall, 0), change.size)
        if not self.variant.below_zero:
            self.front = max(self.front, 0.0)

    def settle(self, at: int) -> None:
        """All changes of a moment are in: the other side may have reached the order."""
        if self.variant.whole and self.reaching:
            self.fill(at, self.left)
