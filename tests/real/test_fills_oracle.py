"""
The fill engine beside hftbacktest: random orders on ten recorded minutes, every queue model, each difference named.

hftbacktest pins a numpy that is older than ours, so it lives in an environment of its own; its python is named in
HFTBACKTEST_PYTHON.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fills.engine import FillRules, fill_orders
from fills.latency import Latency
from fills.orders import Orders, orders_of
from fills.outcome import FILLED, REFUSED, Outcome
from fills.queue_models import FAMILY, QueueModel
from market.arrays import I64, Bools
from market.fixed_point import ONE_E8
from tests.fill_market import RecordedMarket, recorded_market
from tests.naive_fills import Change, Order, Trade, Variant, evaluate

pytestmark = pytest.mark.slow

PYTHON_VARIABLE = "HFTBACKTEST_PYTHON"
TICK_E8 = 1_000_000
LOT_E8 = 1000  # of the venue; the peer gets 1e-8, see `some_orders`
ORDERS = 5000
ENTRY_NS = 5_000_000  # of requests and of cancels
LONGEST_S = 120  # of an order, and of one run of the peer
SECOND_NS = 10**9
EXPIRED = 2  # the peer's word for a post-only order that was refused
CALLS = {"risk": "risk_adverse_queue_model", "log": "log_prob_queue_model", "power": "power_prob_queue_model"}


@pytest.fixture(scope="module")
def market(real_data: Path) -> RecordedMarket:
    """The ten minutes of 2024."""
    return recorded_market(sorted((real_data / "recordings").glob("btcusdt-spot-2024-*.gz")))


@pytest.fixture(scope="module")
def orders(market: RecordedMarket) -> Orders:
    """
    Orders of 0.001 to 1 BTC within 20 ticks of the best price, one tick beyond it included, held for 1 to 60 s.

    Quantities are no multiple of the venue's lot, so that none ends exactly with what a trade has left for it: whether
    such an order has left the book is a case of its own in hftbacktest's source.
    """
    chance, book = np.random.Generator(np.random.PCG64(20240808)), market.book
    sent = np.sort(chance.integers(book.from_ns[0] + SECOND_NS, book.until_ns[0] - 70 * SECOND_NS, ORDERS))
    quote = np.searchsorted(book.quote_ns, sent) - 1
    is_buy, off = chance.random(ORDERS) < 0.5, chance.integers(-1, 21, ORDERS) * TICK_E8
    price = np.where(is_buy, book.quote_bid_e8[quote] - off, book.quote_ask_e8[quote] + off)
    lots = np.exp(chance.uniform(np.log(100), np.log(100_000), ORDERS)).astype(np.int64)
    quantity = lots * LOT_E8 + chance.integers(1, LOT_E8, ORDERS)
    cancel = sent + chance.integers(SECOND_NS, 60 * SECOND_NS, ORDERS)
    return orders_of(is_buy, price, quantity, sent, cancel, entry=Latency.constant(ENTRY_NS))


@pytest.fixture(scope="module")
def peer() -> str:
    """A python that has hftbacktest."""
    python = os.environ.get(PYTHON_VARIABLE, sys.executable)
    if subprocess.run([python, "-c", "import hftbacktest"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip(f"hftbacktest is not installed: name a python that has it in {PYTHON_VARIABLE}")
    return python


@pytest.mark.parametrize("model", FAMILY, ids=lambda model: model.name)
def test_fills_equal_those_of_hftbacktest(
    model: QueueModel, peer: str, market: RecordedMarket, orders: Orders, tmp_path: Path
) -> None:
    """At least 99 % of the orders, in quantity and in the time of the last fill; what differs has a name."""
    refused, theirs, their_ns = play(peer, model, market, orders, tmp_path)
    whole = fill_orders(orders, market.tape, market.book, [model], FillRules(fill_whole_beyond=True))
    equal = is_equal(whole, refused, theirs, their_ns)
    names = Counter(
        name_of(model, market, orders, int(k), int(theirs[k]), int(their_ns[k])) for k in np.flatnonzero(~equal)
    )
    ours = fill_orders(orders, market.tape, market.book, [model])
    assert set(names) <= {"queue below zero"}
    assert equal.mean() >= 0.99, f"{equal.mean():.2%} of {len(orders)} orders"
    assert (ours.filled_e8 <= whole.filled_e8).all()  # the one rule that differs by intent: what a trade beyond fills


def is_equal(outcome: Outcome, refused: Bools, filled_e8: I64, last_ns: I64) -> Bools:
    """Whether an order was refused by both, or filled as much and, where it was filled to the end, at the same time."""
    same_end = (outcome.status[0] != FILLED) | (outcome.last_fill_ns[0] == last_ns)
    return ((outcome.status[0] == REFUSED) == refused) & (outcome.filled_e8[0] == filled_e8) & same_end


def name_of(model: QueueModel, market: RecordedMarket, orders: Orders, k: int, filled: int, last_ns: int) -> str:
    """What makes the difference of one order: the slow engine does as they do, one peculiarity at a time."""
    is_buy, price = bool(orders.is_buy[k]), int(orders.price_e8[k])
    order = Order(is_buy, price, int(orders.quantity_e8[k]), int(orders.arrival_ns[k]), int(orders.end_ns[k]))
    at, is_bid, level, _ = market.changes
    side = 1 if is_buy else -1
    near = (at < order.end) & np.where(is_bid == is_buy, level == price, side * (price - level) >= 0)
    changes = [Change(a, b == 1, c, d) for a, b, c, d in market.changes[:, near].T.tolist()]
    tape = market.tape
    inside = (tape.time_ns >= order.arrival) & (tape.time_ns < order.end)
    columns = (tape.time_ns, tape.price_e8, tape.quantity_e8, tape.sign)
    trades = [Trade(*row) for row in zip(*(column[inside].tolist() for column in columns), strict=True)]
    answer = evaluate(order, trades, changes, model.name, ONE_E8, Variant(whole=True, below_zero=True))
    same_end = answer.status != "filled" or answer.fills[-1][0] == last_ns
    return "queue below zero" if sum(q for _, q in answer.fills) == filled and same_end else f"unexplained: order {k}"


def play(
    python: str, model: QueueModel, market: RecordedMarket, orders: Orders, folder: Path
) -> tuple[Bools, I64, I64]:
    """What hftbacktest makes of the orders: refused, filled quantity, time at the exchange."""
    tape, changes = market.tape, market.changes
    at = np.concatenate((tape.time_ns, changes[0]))
    is_change = np.arange(len(at)) >= len(tape)
    order = np.lexsort((np.arange(len(at)), is_change, at))  # a trade before the change that it caused
    order = order[at[order] >= market.book.from_ns[0]]
    request = np.concatenate((orders.sent_ns, orders.cancel_ns))
    by_time = np.argsort(request, kind="stable")
    kind, _, variant = model.name.partition(" ")
    call = CALLS[kind.rstrip("23")] + (
        variant if kind == "log" else kind.removeprefix("power") if kind != "risk" else ""
    )
    np.savez(
        folder / "in.npz",
        at_ns=at[order],
        is_trade=~is_change[order],
        is_buy=np.concatenate((tape.sign > 0, changes[1] == 1))[order],
        price=np.concatenate((tape.price_e8, changes[2]))[order] / ONE_E8,
        quantity=np.concatenate((tape.quantity_e8, changes[3]))[order] / ONE_E8,
        entry_ns=ENTRY_NS, tick=TICK_E8 / ONE_E8, lot=1 / ONE_E8, model=call, power=model.power,
        request_ns=request[by_time],
        request_order=by_time % len(orders),
        request_is_cancel=by_time >= len(orders),
        order_is_buy=orders.is_buy, order_price=orders.price_e8 / ONE_E8, order_quantity=orders.quantity_e8 / ONE_E8,
        end_ns=int(market.book.until_ns[0]),
    )  # fmt: skip
    script = Path(__file__).with_name("hftbacktest_peer.py")
    subprocess.run(
        [python, str(script), str(folder / "in.npz"), str(folder / "out.npz")], check=True, timeout=LONGEST_S
    )
    answer = np.load(folder / "out.npz")
    assert int(answer["broke"]) == -1
    refused = answer["status"] == EXPIRED
    left = np.round(answer["left"] * ONE_E8).astype(np.int64)
    return refused, np.where(refused, 0, orders.quantity_e8 - left), answer["exch_ns"]
