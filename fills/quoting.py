"""
From desired quotes to orders: cancel and replace at each decision, or hold what is still desired.
"""

import msgspec
import numpy as np

from fills.latency import Latency
from fills.orders import Orders, orders_of
from market.arrays import I64, Bools


class Quotes(msgspec.Struct, frozen=True):
    """
    n desired quotes, by time of decision; each replaces the one before it in its slot.

    Attributes:
        slot: which of the strategy's standing quotes it is, e.g. 0 for the bid and 1 for the ask.
        decided_ns: never falling; a decision's cancel and new order leave at that moment.
        is_buy: the side.
        price_e8: the limit, 1e-8 quote. quantity_e8: counts of quantity; 0 withdraws the slot's quote.
    """

    slot: I64
    decided_ns: I64
    is_buy: Bools
    price_e8: I64
    quantity_e8: I64


def orders_of_quotes(
    quotes: Quotes,
    stop_ns: int,
    *,
    hold: bool,
    entry: Latency,
    cancel: Latency | None = None,
    chance: np.random.Generator | None = None,
) -> Orders:
    """
    The orders that keep a strategy's quotes in the market.

    A new order leaves together with the cancel of the one before it: for a moment both may rest. An order that was
    filled is not sent again while its quote is held.

    Args:
        quotes: what is desired, in order of decision.
        stop_ns: when all that still rests is cancelled.
        hold: whether a quote equal to the one before it in its slot leaves that order, with its place in the queue,
            where it is; else each decision cancels and replaces.
        entry, cancel: how long requests and cancels take.
        chance: a seeded generator, where delays are drawn.

    Raises:
        ValueError: decisions that go back in time.
    """
    decided = quotes.decided_ns
    if np.any(np.diff(decided) < 0):
        raise ValueError("quotes must come in order of decision")
    rows: list[int] = []
    cancels: list[int] = []
    standing: dict[int, int] = {}  # slot → place in `rows`
    asked = list(zip(quotes.is_buy.tolist(), quotes.price_e8.tolist(), quotes.quantity_e8.tolist(), strict=True))
    for row, (slot, now) in enumerate(zip(quotes.slot.tolist(), decided.tolist(), strict=True)):
        place = standing.get(slot)
        if place is not None:
            if hold and asked[rows[place]] == asked[row]:
                continue
            cancels[place] = now
            del standing[slot]
        if asked[row][2] > 0:
            standing[slot] = len(rows)
            rows.append(row)
            cancels.append(stop_ns)
    pick = np.array(rows, np.int64)
    return orders_of(
        quotes.is_buy[pick], quotes.price_e8[pick], quotes.quantity_e8[pick], decided[pick],
        np.array(cancels, np.int64), entry=entry, cancel=cancel, chance=chance,
    )  # fmt: skip
