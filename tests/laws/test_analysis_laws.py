"""An analysis is a function of the state at its tick: who looked before and how facts were batched does not matter."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recommendation import violations
from agents.rules import RulesAnalyst
from analysis.observe import Observer
from analysis.parameters import Parameters
from analysis.render.view_json import render_view
from analysis.view import MarketView
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, INSTRUMENT, SNAPSHOT
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.book.snapshot_window import Snapshot
from projections.state import MarketState, TickEntry, Windows
from runtime.decide import Decider
from runtime.loop import drive
from tests.market_builders import (
    MARKET,
    T0,
    Columns,
    Tables,
    a_market,
    batches,
    book_columns,
    instrument_columns,
    last_seq_of,
    numbered,
    rows_between,
    tick_columns,
    trade_columns,
)

pytestmark = pytest.mark.slow

SHORT = Parameters(horizons_min=(10, 20, 30))
WINDOWS = Windows(bucket_minutes=30, snapshot_slots=8, trade_minutes=20)


def seen(tables: Tables, ends: list[int] | None = None, every: int = 1) -> dict[int, bytes]:
    """The views of one observer that looks at every n-th tick, by seq."""
    state = MarketState(WINDOWS)
    observer = Observer(MARKET.symbol, state, SHORT)
    views: dict[int, bytes] = {}
    number = 0

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        nonlocal number
        number += 1
        if number % every == 0:
            views[tick.seq] = render_view(observer.observe(tick, now))

    drive(batches(tables, ends or []), state, on_tick)
    return views


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 25), st.lists(st.integers(1, 1500), max_size=6).map(sorted))
def test_seldom_looks_and_other_batches_see_the_same(seed: int, every: int, ends: list[int]) -> None:
    """An observer that looks now and then, fed in other batches, sees to the byte what one that looks always sees."""
    tables = a_market(seed, 110, per_minute=12)
    always, seldom = seen(tables), seen(tables, ends, every)
    assert len(always) == 110
    assert seldom == {seq: always[seq] for seq in seldom}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(45, 109))
def test_a_fresh_observer_sees_what_an_old_one_sees(seed: int, minute: int) -> None:
    """Started a warm-up ago, or looking for the first time at an old state, it sees the same at its first tick on."""
    tables = a_market(seed, 110, per_minute=12)
    always = seen(tables)
    tick_seqs = sorted(always)
    boundary = T0 + (minute + 1) * MINUTE_NS
    head = next(iter(rows_between(tables, 0, 1).values()))
    arrivals = np.sort(np.concatenate([t.column("recv_ns").to_numpy() for t in tables.values()]))
    after = int(np.searchsorted(arrivals, boundary - WINDOWS.warmup_ns))
    late = rows_between(tables, max(1, after), last_seq_of(tables)) | {INSTRUMENT: head}
    fresh = {s: v for s, v in seen(late).items() if s >= tick_seqs[minute]}
    assert fresh == {s: v for s, v in always.items() if s >= tick_seqs[minute]}
    assert seen(rows_between(tables, 0, tick_seqs[minute]), every=minute + 1) == {
        tick_seqs[minute]: always[tick_seqs[minute]]
    }


def test_a_first_look_after_a_long_time() -> None:
    """
    A state driven for many windows unobserved hides nothing from its first observer, not even a minute whose only
    trade was there before the minute began to count.
    """
    tables = one_trade_a_minute(200)
    always = seen(tables)
    state = MarketState(WINDOWS)
    late: dict[int, bytes] = {}
    observers: list[Observer] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if now.buckets.end_ns >= T0 + 150 * MINUTE_NS:
            if not observers:
                observers.append(Observer(MARKET.symbol, now, SHORT))
            late[tick.seq] = render_view(observers[0].observe(tick, now))

    drive(batches(tables), state, on_tick)
    assert len(late) == 51
    assert late == {seq: always[seq] for seq in late}


def one_trade_a_minute(minutes: int) -> Tables:
    """Each minute has one trade, half a second in; ticks come a second after their boundary, so it is there already."""
    at = T0 + np.arange(minutes + 1) * MINUTE_NS + SECOND_NS // 2
    prices = (2_000_000 + np.cumsum(np.random.default_rng(3).integers(-400, 400, minutes + 1))) * 1_000_000
    parts: dict[str, Columns] = {
        INSTRUMENT: instrument_columns(T0),
        AGG_TRADE: trade_columns(at, prices),
        TICK: tick_columns([T0 + m * MINUTE_NS for m in range(1, minutes + 1)], depth="down", lag_ns=SECOND_NS),
    }
    return numbered(parts)


levels = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10**9)), max_size=4, unique_by=lambda level: level[0])


@st.composite
def scraps(draw: st.DrawFn) -> Tables:
    """A market of almost nothing: up to six trades, up to four books of up to four levels a side, a few ticks."""
    times = sorted(draw(st.lists(st.integers(0, 8 * 60), max_size=6)))
    prices = [draw(st.integers(1, 10**12)) for _ in times]
    trades: Columns = trade_columns(
        T0 + np.array(times, np.int64) * SECOND_NS, prices, [draw(st.integers(1, 10**9)) for _ in times],
        [draw(st.booleans()) for _ in times],
    )  # fmt: skip
    books = []
    base, step = draw(st.integers(100, 10**6)), draw(st.sampled_from([1, 1000, 10**6, 10**8]))
    for minute in sorted(draw(st.sets(st.integers(0, 8), max_size=4))):
        sides = [sorted(draw(levels)), sorted(draw(levels))]
        mid = base + draw(st.integers(-base // 3, base))
        columns = []
        for direction, side in zip((-1, 1), sides, strict=True):
            columns.append(np.array([(mid + direction * (1 + away)) * step for away, _ in side], np.int64))
            columns.append(np.array([quantity for _, quantity in side], np.int64))
        at = T0 + minute * MINUTE_NS
        books.append(Snapshot(0, at, at, minute, 5000, *columns))
    parts: dict[str, Columns] = {
        AGG_TRADE: trades,
        SNAPSHOT: book_columns(books, [b.request_ns for b in books]),
        TICK: tick_columns([T0 + m * MINUTE_NS for m in range(1, 10)], lag_ns=SECOND_NS),
    }
    if draw(st.booleans()):
        parts = {INSTRUMENT: instrument_columns(T0, draw(st.sampled_from([1, 1000, 10**6])))} | parts
    return numbered({k: c for k, c in parts.items() if len(c["recv_ns"])})


@settings(max_examples=150, deadline=None)
@given(scraps())
def test_scraps_of_a_market_never_break_it(tables: Tables) -> None:
    """Whatever little there is, each tick has an analysis without NaN and lawful advice or a reason for none."""
    state = MarketState(Windows())
    least = Parameters(sigma_least=1)
    observer = Observer(MARKET.symbol, state, least)
    decider = Decider(MARKET.symbol, state, RulesAnalyst(least), least)
    views: list[MarketView] = []

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} in an analysis")

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        view = observer.observe(tick, now)
        views.append(view)
        json.loads(render_view(view), parse_constant=refuse)
        decided = decider.decide(tick, now)
        assert render_view(decided.view) == render_view(view)
        assert decided.advice is not None
        assert violations(decided.advice, view) == []
        assert decided.advice.zones or decided.advice.reason

    drive(batches(tables), state, on_tick)
    assert len(views) == 9
    assert all(len({e.id for e in v.evidence}) == len(v.evidence) for v in views)
