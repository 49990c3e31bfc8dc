"""
Laws over the flow of a book that is recorded update by update: its averages, labels and divergences included.

The market is made by chance: one level a side a tick apart, an update and mostly a trade a second, a snapshot and a
tick a minute. In its last minute the quote moves at once by some ticks, and book and trades lean one way or the other.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.flow.book_flow import book_flow
from analysis.parameters import BookFlowParameters
from analysis.render.flow_groups import book_flow_group
from eventlog.facts.entry import Fact
from eventlog.store.batch import Batch
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.state import MarketState, TickEntry, Windows
from runtime.loop import drive
from tests.builders import T0, a_batch, a_diff, a_snapshot, a_tick, a_trade, pieces

WINDOWS = Windows(bucket_minutes=7, snapshot_slots=2, trade_minutes=7, flow_seconds=420)
PARAMETERS = BookFlowParameters()
PIVOT = 100_000
"""The price in ticks at which it begins and is mirrored."""


@dataclass(frozen=True)
class Made:
    """
    A market by chance.

    Attributes:
        trend: ticks that the quote moves by as the last minute begins.
        joined, bought: what is added to the best bid or, below 0, to the best ask every second of it, and who trades.
        burst: what is added to the trade twenty seconds before the end, and five times of it to the best bid or ask.
        tick_e8: 1e-8 quote. times: what every quantity is multiplied by.
        mirrored: bids for asks, sells for buys, prices reflected.
    """

    seed: int = 1
    minutes: int = 8
    trend: int = 0
    joined: int = 0
    bought: int = 0
    burst: int = 0
    tick_e8: int = ONE_E8 // 100
    times: int = 1
    mirrored: bool = False

    def facts(self) -> list[Fact]:
        """In order of arrival."""
        chance = np.random.default_rng(self.seed)
        seconds, bid = self.minutes * 60, PIVOT
        facts, grown, trades = [self._snapshot(0, bid, 20, 20)], 0, 0
        for second in range(seconds):
            leans = second >= seconds - 60
            old, move = bid, int(chance.integers(-1, 2)) * int(chance.random() < 0.1)
            bid += self.trend if second == seconds - 60 else 0 if leans else move
            burst = self.burst if second == seconds - 20 else 0
            grown += abs(self.joined) + 5 * burst if leans else 0
            sizes = chance.integers(17, 24, 2) + np.array([grown * (self.joined > 0), grown * (self.joined < 0)])
            facts.append(self._diff(second, old, bid, *sizes.tolist()))
            buys = self.bought > 0 if leans and self.bought else chance.random() < 0.5
            size, silent = int(chance.integers(1, 4)) + burst, not leans and chance.random() < 0.2
            if not silent:
                trades += 1
                facts.append(self._trade(trades, second, bid + buys, size, not buys))
            if second % 60 == 59:
                facts.append(a_tick(T0 + (second + 1) * SECOND_NS))
                facts.append(self._snapshot(second + 1, bid, *sizes.tolist()))
        return facts

    def _side(self, ticks: Iterable[tuple[int, int]]) -> list[tuple[str, str]]:
        levels = [(2 * PIVOT - tick if self.mirrored else tick, size) for tick, size in ticks]
        return [(self._price(tick), str(size * self.times)) for tick, size in levels]

    def _price(self, tick: int) -> str:
        whole, fraction = divmod(tick * self.tick_e8, ONE_E8)
        return f"{whole}.{fraction:08d}"

    def _sides(self, bids: Any, asks: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        one, other = self._side(bids), self._side(asks)
        return (other, one) if self.mirrored else (one, other)

    def _snapshot(self, second: int, bid: int, bid_size: int, ask_size: int) -> Fact:
        sides = self._sides([(bid, bid_size)], [(bid + 1, ask_size)])
        return a_snapshot(*sides, T0 + second * SECOND_NS, update_id=10 + second)

    def _diff(self, second: int, old: int, bid: int, bid_size: int, ask_size: int) -> Fact:
        sides = self._sides({old: 0, bid: bid_size}.items(), {old + 1: 0, bid + 1: ask_size}.items())
        return a_diff(11 + second, 11 + second, *sides, T0 + second * SECOND_NS + SECOND_NS // 2)

    def _trade(self, agg_id: int, second: int, tick: int, size: int, sold: bool) -> Fact:
        price = self._price(2 * PIVOT - tick if self.mirrored else tick)
        at_ns = T0 + second * SECOND_NS + SECOND_NS // 2
        return a_trade(agg_id, price, str(size * self.times), at_ns, seller=sold != self.mirrored)


def results(batches: Iterable[Batch], tick_e8: int = ONE_E8 // 100) -> dict[int, bytes]:
    """The JSON of book flow at every tick, by its boundary."""
    state, seen = MarketState(WINDOWS), {}

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        found = book_flow(now.book_flow, now.order_book.status, tick_e8, PARAMETERS)
        seen[tick.boundary_ns] = msgspec.json.encode(book_flow_group(found))

    drive(iter(batches), state, on_tick)
    return seen


def at_the_end(market: Made) -> dict[str, Any]:
    """What the last tick shows."""
    shown: dict[str, Any] = msgspec.json.decode(_bytes_at_the_end(market))
    return shown


@cache
def _bytes_at_the_end(market: Made) -> bytes:
    return list(results([a_batch(market.facts())], market.tick_e8).values())[-1]


LEANS = [
    Made(seed, trend=trend, joined=joined, bought=bought)
    for seed, (trend, joined, bought) in enumerate(product((-3, 0, 3), (-12, 0, 12), (-1, 0, 1)))
]
LEANS += [Made(90, 8, trend, side * 4, side, burst) for trend in (-1, 2) for side in (-1, 1) for burst in (0, 60)]


@pytest.mark.slow
def test_the_control_shows_every_kind_and_label() -> None:
    """The laws below are about something: each label, each kind, strengths of many sizes, averages on both sides."""
    shown = [at_the_end(market) for market in LEANS]
    assert {s["fusion"]["label"] for s in shown} == {"strong_buy", "strong_sell", "neutral"}
    assert {s["divergence"]["kind"] for s in shown} == {"bullish", "bearish", "inconsistent", "none"}
    assert len({s["divergence"]["strength"] for s in shown}) > 4
    assert all(any(s["fusion"][f"strong_{side}_seconds"] for s in shown) for side in ("buy", "sell"))
    for name in ("ema_side_60s", "ema_side_300s"):
        assert {s["cvd"][name] for s in shown} == {"above", "below"}
    assert {s["cvd"]["ema_cross"] for s in shown} == {"up", "down", "none"}
    assert {s["book"] for s in shown} == {"live"}


def test_a_label_follows_from_the_figures_beside_it() -> None:
    """Above 2.5 and 0.7 strong one way, below -2.5 and above 0.7 strong the other way, else neutral."""
    for market in LEANS:
        fusion = at_the_end(market)["fusion"]
        strong = abs(fusion["value"]) > 2.5 and fusion["consistency"] > 0.7
        assert fusion["label"] == (("strong_buy" if fusion["value"] > 0 else "strong_sell") if strong else "neutral")
        assert fusion["strong"] == strong
        assert fusion["strong_buy_seconds"] + fusion["strong_sell_seconds"] == fusion["strong_seconds"]
        signs = [value > 0 for _, value, _ in fusion["strongest"]]
        assert sum(signs) <= fusion["strong_buy_seconds"]
        assert len(signs) - sum(signs) <= fusion["strong_sell_seconds"]


LAST = Made(7, minutes=30, trend=-3, joined=8, bought=1)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return a_batch(LAST.facts())


@pytest.fixture(scope="module")
def original(batch: Batch) -> dict[int, bytes]:
    seen = results([batch])
    assert len(seen) == LAST.minutes
    return seen


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 3000), max_size=40))
def test_any_split_shows_the_same(batch: Batch, original: dict[int, bytes], cuts: list[int]) -> None:
    """To the byte, at every tick."""
    assert results(pieces(batch, cuts)) == original


@pytest.mark.slow
def test_a_fact_at_a_time_shows_the_same(original: dict[int, bytes]) -> None:
    """As a live process is fed."""
    facts = LAST.facts()
    assert results(a_batch([fact], seq) for seq, fact in enumerate(facts, 1)) == original


@pytest.mark.parametrize("minute", [22, 26, 30])
def test_a_process_that_just_started_agrees_with_an_old_one(original: dict[int, bytes], minute: int) -> None:
    """From a warm-up before a tick on, it is the same to the byte: an average remembers nothing before its window."""
    facts, end = LAST.facts(), T0 + minute * MINUTE_NS
    late = [f for f in facts if f.recv_ns >= end - WINDOWS.warmup_ns]
    assert len(late) < len(facts)
    seen = results([a_batch(late)])
    assert {at: text for at, text in seen.items() if at >= end} == {
        at: text for at, text in original.items() if at >= end
    }


@pytest.mark.parametrize("minute", [2, 6, 15, 29])
def test_what_comes_after_a_tick_changes_nothing(original: dict[int, bytes], minute: int) -> None:
    """Cut off, or with another market's updates and trades behind it; which do change the ticks after it."""
    facts, end = LAST.facts(), T0 + minute * MINUTE_NS
    head = [f for f in facts if f.recv_ns <= end]
    other = [f for f in replace(LAST, seed=8, trend=50, bought=-1).facts() if f.recv_ns > end]
    before = {at: text for at, text in original.items() if at <= end}
    assert results([a_batch(head)]) == before
    garbled = results([a_batch([*head, *other])])
    assert {at: text for at, text in garbled.items() if at <= end} == before
    assert garbled[T0 + 30 * MINUTE_NS] != original[T0 + 30 * MINUTE_NS]


@pytest.mark.parametrize("factor", [7, *(pytest.param(factor, marks=pytest.mark.slow) for factor in (2, 1000))])
def test_prices_scaled(factor: int) -> None:
    """Every price and the tick times a factor: averages, labels, divergences and strengths stay as they are."""
    for market in LEANS[::3]:
        one, two = at_the_end(market), at_the_end(replace(market, tick_e8=market.tick_e8 * factor))
        for group in ("ofi1", "cvd", "fusion", "divergence"):
            assert one[group] == two[group]


@pytest.mark.parametrize("factor", [7, *(pytest.param(factor, marks=pytest.mark.slow) for factor in (2, 1000))])
def test_sizes_scaled(factor: int) -> None:
    """Every quantity times a factor: averages are multiplied, what has no unit stays as it is."""
    for market in LEANS[::3]:
        one, two = at_the_end(market), at_the_end(replace(market, times=factor))
        assert one["fusion"] == two["fusion"]
        assert one["divergence"] == two["divergence"]
        assert set(one["cvd"]) == set(two["cvd"])
        for name, value in one["cvd"].items():
            if name.startswith(("ema_", "minute", "window")) and isinstance(value, float):
                assert two["cvd"][name] == pytest.approx(factor * value, abs=factor * 1e-4)
            else:
                assert two["cvd"][name] == value


OPPOSITE = {"strong_buy": "strong_sell", "strong_sell": "strong_buy", "bullish": "bearish", "bearish": "bullish",
            "above": "below", "below": "above", "up": "down", "down": "up"}  # fmt: skip


def mirrored(figures: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the other side would show."""
    for name, value in figures.items():
        if isinstance(value, str):
            yield name, OPPOSITE.get(value, value)
        elif name == "strongest":
            yield name, [[at, -fused, consistency] for at, fused, consistency in value]
        elif name in ("strength", "consistency", "strong", "strong_seconds"):
            yield name, value
        else:
            yield name, None if value is None else -value


@pytest.mark.slow
def test_the_flow_in_a_mirror() -> None:
    """
    Bids for asks and sells for buys: sums, averages and z-scores change their sign, labels and kinds their side, and
    strengths stay. Only the trend in bp is measured from another price.
    """
    for market in LEANS:
        one, two = at_the_end(market), at_the_end(replace(market, mirrored=True))
        seconds = "strong_buy_seconds", "strong_sell_seconds"
        assert [one["fusion"].pop(s) for s in seconds] == [two["fusion"].pop(s) for s in seconds[::-1]]
        trends = [shown["divergence"].pop("trend_bp") for shown in (one, two)]
        assert trends[0] == pytest.approx(-trends[1], abs=0.01)
        for group in ("ofi1", "cvd", "fusion", "divergence"):
            assert dict(mirrored(one[group])) == two[group]
