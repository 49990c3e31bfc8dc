"""The order-flow layer at a tick: exact sums over its spans, evidence with its tests' distances, crossings by name."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analysis.book.static_book import NO_BOOK, StaticBook
from analysis.order_flow import OrderFlow, OrderFlowLayer
from analysis.parameters import OrderFlowParameters, Parameters
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, INSTRUMENT, SNAPSHOT
from market.fixed_point import ONE_E8
from market.timestamps import DAY_NS, MINUTE_NS, SECOND_NS
from projections.book.snapshot_window import Snapshot
from projections.state import MarketState, Windows
from runtime.loop import drive
from tests.market_builders import (
    T0,
    Columns,
    a_snapshot,
    batches,
    book_columns,
    e8,
    instrument_columns,
    numbered,
    tick_columns,
    trade_columns,
)

SIGMA = 0.001
NOTHING = StaticBook(NO_BOOK)


def state_of(trades: Columns, minutes: int, books: Sequence[Snapshot] = (), start_ns: int = T0) -> MarketState:
    """A market after some minutes, in levels of a dollar."""
    state = MarketState(Windows(level_e8=ONE_E8))
    parts = {
        INSTRUMENT: instrument_columns(start_ns),
        AGG_TRADE: trades,
        SNAPSHOT: book_columns(books, [b.request_ns for b in books]),
        TICK: tick_columns([start_ns + (m + 1) * MINUTE_NS for m in range(minutes)], lag_ns=1),
    }
    drive(batches(numbered({k: c for k, c in parts.items() if len(c["recv_ns"])})), state, lambda *_: None)
    return state


def analyze_state(
    state: MarketState, sigma: float | None = SIGMA, static: StaticBook = NOTHING, **own: Any
) -> OrderFlow:
    parameters = Parameters(order_flow=OrderFlowParameters(**own))
    return OrderFlowLayer(state, parameters).analyze(state, sigma, static)


def a_trade_a_minute(minutes: int, price: Any = 100, quantities: Any = ONE_E8, sold: Any = False) -> Columns:
    return trade_columns(
        T0 + np.arange(minutes) * MINUTE_NS, np.broadcast_to(np.asarray(price) * ONE_E8, minutes), quantities, sold
    )


def test_cvd_over_its_spans() -> None:
    """One coin bought a minute for ten hours but the last four minutes, two sold in each: 1−8, 56−8, and 236−8."""
    sold = np.arange(600) >= 596
    flow = analyze_state(state_of(a_trade_a_minute(600, quantities=np.where(sold, 2, 1) * ONE_E8, sold=sold), 600))
    assert {m: c.delta_e8 // ONE_E8 for m, c in flow.cvds.items()} == {5: -7, 60: 48, 240: 228}
    assert {m: c.trades for m, c in flow.cvds.items()} == {5: 5, 60: 60, 240: 240}


def test_the_reach_of_a_test() -> None:
    """At 100 with σ 0.1 % a quarter of σ is near, two are away and beyond; without σ there is no test."""
    state = state_of(a_trade_a_minute(20), 20)
    reach = analyze_state(state).reach
    assert reach is not None
    assert (reach.near_e8, reach.away_e8, reach.beyond_e8) == (e8("0.025"), e8("0.2"), e8("0.2"))
    assert analyze_state(state, sigma=None).reach is None
    assert analyze_state(state_of(trade_columns([], []), 2)).reach is None


def test_a_silent_market_shows_nothing() -> None:
    """No trade at all: no footprint, sums of zero, a reason instead of profiles and of book flow."""
    flow = analyze_state(state_of(trade_columns([], []), 2))
    assert (flow.footprint, flow.absorptions, flow.sweeps, flow.naked_points, flow.evidence) == (None, [], [], [], [])
    assert {c.delta_e8 for c in flow.cvds.values()} == {0}
    assert flow.profiles is None
    assert flow.book_flow is None


def test_levels_are_tested_against_the_trades_held() -> None:
    """Price comes down to 99 and leaves it by 0.5 three times: three tests, all rejected; 98 is never touched."""
    prices = np.array([99.5, 99, 99.5] * 3)
    state = state_of(trade_columns(T0 + np.arange(9) * SECOND_NS, np.rint(prices * ONE_E8)), 1)
    layer = OrderFlowLayer(state, Parameters())
    reach = layer.analyze(state, SIGMA, NOTHING).reach
    record, never = layer.record_tests(state, np.array([e8(99), e8(98)]), reach)
    assert (record.tests, record.rejected, record.broken, record.open) == (3, 3, 0, 0)
    assert (never.tests, never.recent_rate) == (0, None)


def a_thin(low: Any, high: Any) -> Any:
    return SimpleNamespace(low_e8=e8(low), high_e8=e8(high))


def test_passages_are_named_as_the_vacuums_are() -> None:
    """Price went through the ask's second void a minute ago; where it was never, nothing; without books, no entry."""
    prices: list[Any] = [100, "100.2", "100.9", 101, 101]
    state = state_of(trade_columns(T0 + np.arange(5) * SECOND_NS, [e8(p) for p in prices]), 1)
    sides: Any = {
        "bid": SimpleNamespace(voids=None),
        "ask": SimpleNamespace(voids=[a_thin(105, 106), a_thin("100.3", "100.8")]),
    }
    flow = analyze_state(state, static=StaticBook(None, sides=sides))
    assert list(flow.crossings) == ["Va0", "Va1"]
    assert flow.crossings["Va0"] is None
    crossing = flow.crossings["Va1"]
    assert crossing is not None
    assert (crossing.start_ns, crossing.stop_ns) == (T0 + SECOND_NS, T0 + 2 * SECOND_NS)
    assert analyze_state(state).crossings == {}
    assert analyze_state(state, sigma=None, static=StaticBook(None, sides=sides)).crossings == {}


def test_the_footprint_is_of_the_last_hour() -> None:
    """Rows of two basis points, at least the buckets' dollar; what was traded before the hour is not in it."""
    old = trade_columns([T0], [e8(100)], e8(1000))
    fresh = trade_columns(T0 + 70 * MINUTE_NS + np.arange(3), [e8(p) for p in (101, 102, 103)])
    trades = {k: [*old[k], *fresh[k]] for k in old} | {"agg_id": [1, 2, 3, 4]}
    flow = analyze_state(state_of(trades, 80))
    assert flow.footprint is not None
    assert flow.footprint.width_e8 == ONE_E8
    assert [(i.side, i.low_e8 // ONE_E8, i.ratio) for i in flow.footprint.imbalances] == [
        ("buy", 101, None), ("buy", 102, None), ("buy", 103, None),
    ]  # fmt: skip
    assert [(s.side, s.low_e8 // ONE_E8, s.high_e8 // ONE_E8) for s in flow.footprint.stacks] == [("buy", 101, 104)]


def test_a_naked_point_is_evidence_of_acceptance() -> None:
    """Yesterday's control row at 90, untouched since: evidence under the id that the tool shows."""
    before = T0 - DAY_NS
    at = [before + n * MINUTE_NS for n in range(30)] + [T0 + n * MINUTE_NS for n in range(10)]
    trades = trade_columns(at, [e8(90)] * 30 + [e8(100)] * 10)
    state = state_of(trades, 24 * 60 + 10, start_ns=before)
    flow = analyze_state(state)
    (point,) = flow.naked_points
    (piece,) = (e for e in flow.evidence if e.basis == "naked_poc")
    assert (piece.id, piece.leg, piece.low_e8, piece.high_e8) == ("N0", "acceptance", point.low_e8, point.high_e8)
    assert point.low_e8 <= e8(90) < point.high_e8
    assert piece.low_e8 <= piece.price_e8 <= piece.high_e8


def an_absorbing_market(last: Any, books: Sequence[Snapshot] = ()) -> MarketState:
    """An hour of small sells, then forty coins sold at 100 within ten seconds while price stays, and a last trade."""
    quiet = T0 + np.arange(122) * (MINUTE_NS // 2)
    at = np.concatenate((quiet, T0 + 60 * MINUTE_NS + (4 + np.arange(40)) * (SECOND_NS // 4)))
    sold = np.concatenate((e8("0.01") * (1 + np.arange(122) % 3), np.full(40, ONE_E8)))
    order = np.argsort(at)
    prices = np.append(np.full(161, e8(100)), e8(last))
    return state_of(trade_columns(at[order], prices, sold[order], True), 61, books)


def absorbing(books: Sequence[Snapshot]) -> OrderFlow:
    return analyze_state(an_absorbing_market(100, books))


def test_what_levels_absorbed_on_their_own_side() -> None:
    """Of the levels within ε of 100 those below the last price took the sells; a bid above it is no level to hold."""
    levels = np.array([e8(p) for p in ("99.97", "99.98", 100, "100.02", 150)])
    for last, expected in (("100.03", levels[1:4]), ("100.01", levels[1:3]), ("99.97", levels[:0])):
        state = an_absorbing_market(last)
        layer = OrderFlowLayer(state, Parameters())
        frame = layer.analyze(state, SIGMA, NOTHING).frame
        result = layer.find_absorption_at(state, levels, frame)
        assert sorted(result) == expected.tolist()
        assert {a.side for a in result.values()} <= {"bid"}
        assert all(e8(39) <= a.volume_e8 < e8("40.1") for a in result.values())
    assert layer.find_absorption_at(state, levels, None) == {}


def test_absorption_is_evidence_around_its_price() -> None:
    """Within a quarter of σ of the price that took it, on the validation leg, under the id that the tool shows."""
    flow = absorbing([])
    (result,) = flow.absorptions
    (piece,) = (e for e in flow.evidence if e.basis == "absorption")
    assert (result.side, result.price_e8, result.replenishment) == ("bid", e8(100), None)
    assert e8(40) <= result.volume_e8 < e8("40.1")
    assert (piece.id, piece.leg, piece.price_e8) == ("A0", "validation", e8(100))
    assert (piece.low_e8, piece.high_e8) == (e8("99.975"), e8("100.025"))


@pytest.mark.parametrize(("after", "refilled"), [("50", 1.0), ("10", 0.0), ("30", 0.5)])
def test_replenishment_is_what_came_back(after: str, refilled: float) -> None:
    """Fifty shown before and forty taken: with fifty shown afterwards all came back, with ten nothing."""
    books = [a_snapshot([(100, size), (99, 1)], [("100.5", 1)], minute, seq=minute + 1)
             for minute, size in ((59, "50"), (60, "50"), (61, after))]  # fmt: skip
    (result,) = absorbing(books).absorptions
    assert result.replenishment == pytest.approx(refilled, abs=0.002)  # a few hundredths were sold before the forty
