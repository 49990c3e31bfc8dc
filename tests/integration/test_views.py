"""
Views in a real server: however they were changed tick by tick, they say what the folds say.
"""

import json
import random
from typing import Any

import pytest

from collector.views.views import Views, view_key
from eventlog.clock import ManualClock
from market.instrument import Market
from market.timestamps import MINUTE_NS, SECOND_NS, iso
from projections.state import MarketState, TickEntry, Windows
from projections.trades import minute_view
from tests.builders import T0, a_batch, a_snapshot, a_trade, another

MARKET = Market.parse("binance:BTCFDUSD")
WINDOW = 6


def shown(client: Any, name: str) -> list[Any]:
    """A view's list, decoded."""
    return [json.loads(item) for item in client.lrange(view_key(name, MARKET), 0, -1)]


@pytest.mark.parametrize("seed", range(4))
def test_views_equal_the_folds_after_every_tick(client: Any, seed: int) -> None:
    """Late trades, empty minutes, replaced books, a wiped server: the lists are what the folds hold, oldest first."""
    chance = random.Random(seed)
    views = Views(lambda: another(client), MARKET, WINDOW, ManualClock(T0))
    state = MarketState(Windows(bucket_minutes=WINDOW + 2, snapshot_slots=4))
    agg_id = seq = 0
    for step in range(40):
        boundary = T0 + (step + 1) * 20 * SECOND_NS
        facts = []
        for _ in range(chance.randrange(4)):
            agg_id += 1
            at = boundary - chance.choice([1, 1, 3 * MINUTE_NS]) - chance.randrange(SECOND_NS)
            facts.append(a_trade(agg_id, str(100 + chance.randrange(3)), "0.25", max(at, T0), recv_ns=boundary))
        if chance.random() < 0.6:
            facts.append(a_snapshot(at_ns=boundary, update_id=step + 1, recv_ns=boundary))
        if facts:
            state.apply(a_batch(facts, seq + 1))
        seq += len(facts) + 1
        tick = TickEntry(seq, boundary, 20 * SECOND_NS, "live", "live", None)
        state.close(tick)
        if chance.random() < 0.1:
            client.flushall()
            views = Views(lambda: another(client), MARKET, WINDOW, ManualClock(T0))
        views.publish(tick, state)
        minutes = [minute_view.to_json(m, minute) for m, minute in state.buckets.minutes(WINDOW)]
        assert shown(client, "trades_window") == minutes
        books = [(b["last_update_id"], b["timestamp"]) for b in shown(client, "depth_snapshot_5000")]
        assert books == [(s.last_update_id, iso(s.response_ns)) for s in state.snapshots.snapshots()]
        said = client.hgetall(f"views:{{{MARKET}}}")
        assert int(said[b"seq"]) == seq
        assert said[b"digest:minute_buckets"].decode() == state.digests()["minute_buckets"]


def test_a_books_levels_are_decimal_text(client: Any) -> None:
    """`[[price, quantity], …]`, best first, as other programs expect it."""
    state = MarketState(Windows())
    state.apply(a_batch([a_snapshot([("99.5", "2"), ("99", "1")], [("100.5", "0.00001")], T0)]))
    tick = TickEntry(2, T0, MINUTE_NS, "live", "live", None)
    state.close(tick)
    Views(lambda: another(client), MARKET, WINDOW, ManualClock(T0)).publish(tick, state)
    (book,) = shown(client, "depth_snapshot_5000")
    assert (book["symbol"], book["bids"], book["asks"]) == (
        "BTCFDUSD",
        [["99.5", "2"], ["99", "1"]],
        [["100.5", "0.00001"]],
    )


def test_other_markets_append_their_symbol() -> None:
    """The bare names belong to BTCFDUSD."""
    assert view_key("trades_window", MARKET) == "trades_window"
    assert view_key("trades_window", Market.parse("binance:ETHFDUSD")) == "trades_window:ETHFDUSD"
