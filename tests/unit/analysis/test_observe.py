"""The observer shows what the state holds at a tick, and says what it lacks instead of failing."""

import json
from collections.abc import Sequence

import numpy as np

from analysis.book.static_book import NO_BOOK
from analysis.observe import Observer
from analysis.parameters import Parameters
from analysis.render.view_json import render_view
from analysis.view import MarketView
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, INSTRUMENT, SNAPSHOT
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.book.snapshot_window import Snapshot
from projections.state import MarketState, TickEntry, Windows
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

EMPTY = trade_columns([], [])


def views_of(
    trades: Columns = EMPTY,
    books: Sequence[Snapshot] = (),
    ticks: Sequence[int] = (1,),
    parameters: Parameters = Parameters(),
    windows: Windows = Windows(),
    instrument: Columns | None = None,
    depth: str = "live",
) -> list[MarketView]:
    """What is seen at ticks at the end of some minutes; books arrive when they were asked for."""
    state = MarketState(windows)
    observer = Observer("TESTUSDT", state, parameters)
    views: list[MarketView] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        views.append(observer.observe(tick, now))

    parts = {
        INSTRUMENT: instrument_columns(T0) if instrument is None else instrument,
        AGG_TRADE: trades,
        SNAPSHOT: book_columns(books, [b.request_ns for b in books]),
        TICK: tick_columns([T0 + m * MINUTE_NS for m in ticks], depth=depth, lag_ns=SECOND_NS),
    }
    drive(batches(numbered({k: c for k, c in parts.items() if len(c["recv_ns"])})), state, on_tick)
    return views


def steady(minutes: int, price: float = 100.0, per_minute: int = 2) -> Columns:
    """Trades every half minute that alternate by 1."""
    at = T0 + np.arange(minutes * per_minute) * (MINUTE_NS // per_minute)
    return trade_columns(at, e8(price) + np.arange(len(at)) % 2 * ONE_E8, ONE_E8, np.arange(len(at)) % 2 == 0)


def as_json(view: MarketView) -> dict[str, object]:
    """The view as canonical JSON gives it; NaN and Infinity are no JSON."""

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} in a view")

    return json.loads(render_view(view), parse_constant=refuse)


def test_nothing_on_record() -> None:
    """A tick of an empty market is a view of nothing with three warnings."""
    (view,) = views_of(instrument={"recv_ns": []})
    output = as_json(view)
    assert output["evidence"] == []
    assert output["orderflow_analysys"]["profiles"] == {"found": "nothing", "reason": "no trade in the window"}  # type: ignore[index]
    assert output["depth_snapshot_analytsis"] == {"found": "nothing", "reason": NO_BOOK}
    assert (output["reference"], output["mid"], output["sigma"]) == (None, None, None)
    assert view.warnings == (NO_BOOK, "no trade in the window", "no instrument on record: tick size unknown")


def test_one_trade_in_the_open_minute() -> None:
    """A trade of the minute after the tick gives a last price and no profile, whatever the horizon."""
    (view,) = views_of(trade_columns([T0 + MINUTE_NS + 1], [e8(100)]))
    assert view.reference_e8 == e8(100)
    assert set(as_json(view)["orderflow_analysys"]["profiles"].values()) == {None}  # type: ignore[index]
    assert view.evidence == ()


def test_one_trade_in_a_closed_minute() -> None:
    """The shortest horizon shows it, the others show no more and are null; there is no volatility."""
    (view,) = views_of(trade_columns([T0 + 1], [e8(100)], e8("0.25")))
    profiles = as_json(view)["orderflow_analysys"]["profiles"]  # type: ignore[index]
    assert [name for name, p in profiles.items() if p] == ["60min"]
    assert profiles["60min"] == {
        "id": "P60", "covered_min": 1, "volume": "0.25", "delta": "0.25", "trades": 1, "row": "0.02",
        "poc": "100", "rival": 0.0, "rival_poc": None, "value_area": ["100", "100.02"], "value_area_share": 1.0,
        "hvn": [], "lvn": [],
    }  # fmt: skip
    assert view.sigma is None
    assert view.warnings[-1] == "fewer than 15 minutes of trades: no volatility yet"
    assert {e.id for e in view.evidence} == {"P60.poc", "P60.val", "P60.vah"}


def test_a_longer_horizon_is_shown_when_it_covers_more() -> None:
    """After 61 minutes the 4 h profile says more than the 1 h one, and the 24 h one still nothing new."""
    view = views_of(steady(90), ticks=(60, 61, 90))
    names = [[n for n, p in as_json(v)["orderflow_analysys"]["profiles"].items() if p] for v in view]  # type: ignore[index]
    assert names == [["60min"], ["60min", "240min"], ["60min", "240min"]]


def test_sells_eat_bids() -> None:
    """Minutes to consume a bid wall come from the sells of the hour on record, an ask wall's from the buys."""
    sells = trade_columns([T0 + 1, T0 + 2], [e8(100), e8(100)], [e8(60), e8(240)], [True, False])
    book = [(100 - i / 100, 40 if i == 12 else "0.1") for i in range(80)]
    asks = [(200 - float(p), q) for p, q in book]
    books = [a_snapshot([(round(p - 0.01, 2), q) for p, q in book], [(round(p, 2), q) for p, q in asks], m, m + 1)
             for m in range(3)]  # fmt: skip
    (view,) = views_of(sells, books, ticks=(2,))
    minutes_by_side = {s: [w["minutes_to_consume"] for w in view.depth[s]["walls"]] for s in ("bid", "ask")}
    assert minutes_by_side == {"bid": [1.33], "ask": [0.33]}


def test_one_snapshot_shows_depth_and_no_wall() -> None:
    """A single book has a mid and depth; a wall needs three."""
    book = a_snapshot([(100 - i, 90 if i == 3 else 1) for i in range(50)], [(101 + i, 1) for i in range(50)])
    (view,) = views_of(steady(1), [book])
    assert view.mid_e8 == e8("100.5")
    assert view.depth["bid"]["walls"] == []
    assert NO_BOOK not in view.warnings


def test_an_old_book_is_said() -> None:
    """A tick whose depth is stale, or down while an older book is still shown, warns of it."""
    book = a_snapshot([(100, 1)], [(101, 1)])
    for depth in ("stale", "down"):
        (view,) = views_of(steady(1), [book], depth=depth)
        assert "the newest book is stale" in view.warnings
    (view,) = views_of(steady(1), [book])
    assert "the newest book is stale" not in view.warnings


def test_a_book_leaves_with_its_window() -> None:
    """Sixty minutes after the last book there is none."""
    book = a_snapshot([(100, 1)], [(101, 1)])
    first, last = views_of(steady(1), [book], ticks=(59, 60))
    assert (first.mid_e8, last.mid_e8) == (e8("100.5"), None)
    assert NO_BOOK in last.warnings


def test_a_halted_market_is_said() -> None:
    """The venue's status is passed on when it is not TRADING."""
    (view,) = views_of(steady(1), instrument=instrument_columns(T0, status="HALT"))
    assert "the venue says HALT" in view.warnings


def test_only_horizons_inside_the_window_are_looked_at() -> None:
    """A state that keeps two hours has no 4 h profile."""
    (view,) = views_of(steady(3), ticks=(3,), windows=Windows(bucket_minutes=120))
    assert list(view.order_flow["profiles"]) == ["60min"]


def test_acceptance_counts_horizons_that_say_something_of_their_own() -> None:
    """
    After 20 minutes the 1 h profile is the only one shown, and what it finds is the whole leg; after 61 minutes the 4 h
    one says more and the leg is the mean of both.
    """
    for minutes, names in ((20, {60}), (61, {60, 240})):
        (view,) = views_of(steady(minutes, per_minute=5), ticks=(minutes,))
        legs = {}
        for zone in (z for z in view.zones if "acceptance" in z.legs):
            best = {h: max((e.strength for e in zone.evidence if e.horizon_min == h), default=0.0) for h in names}
            legs[zone.id] = (zone.legs["acceptance"], round(sum(best.values()) / len(names), 4))
        assert {e.horizon_min for e in view.evidence if e.leg == "acceptance"} == names
        assert legs
        assert all(leg == mean for leg, mean in legs.values())


def test_parameters_have_one_digest() -> None:
    """Equal thresholds have equal digests, other thresholds another; it is part of the view."""
    assert Parameters().digest() == Parameters().digest()
    assert Parameters(wall_share=0.02).digest() != Parameters().digest()
    (view,) = views_of()
    assert as_json(view)["parameters"] == Parameters().digest()


def a_walled_book(minute: int) -> Snapshot:
    """Bids a hundredth apart from 99.99 down with a wall at 99.60, asks the same upwards without one."""
    bids = [(round(99.99 - i / 100, 2), 60 if i == 39 else 1) for i in range(120)]
    return a_snapshot(bids, [(round(100.01 + i / 100, 2), 1) for i in range(120)], minute, seq=minute + 1)


def test_a_wall_that_was_tested_is_a_zone_with_its_tests() -> None:
    """Price falls to the wall at 99.60 each minute and leaves it again: a zone on it, thirty tests, all rejected."""
    at = T0 + np.arange(90) * (MINUTE_NS // 3)
    away = np.array([0, -40, -5, 0, -40, 5] * 15)  # closes ten cents apart: σ is 0.1 %, a test within 2.5 cents
    trades = trade_columns(at, e8(100) + away * 10**6, ONE_E8, away < 0)
    (view,) = views_of(trades, [a_walled_book(m) for m in range(31)], ticks=(30,))
    (wall,) = view.depth["bid"]["walls"]
    zone = next(z for z in view.zones if wall["id"] in [e.id for e in z.evidence])
    pieces = {e.id: e for e in zone.evidence}
    (rejection,) = (e for e in pieces.values() if e.basis == "rejection")
    record = next(t for t in view.order_flow["tests"] if t["id"] == rejection.id)
    assert rejection in view.evidence
    assert zone.legs["validation"] == rejection.strength
    assert (record["tests"], record["rejected"], record["level"]) == (30, 30, "99.6")
    assert (record["from"], record["recent"]) == ("above", ["rejected"] * 3)
    assert rejection.low_e8 < zone.price_e8 == rejection.price_e8 < rejection.high_e8
    assert (wall["life"], wall["absorbed"]) == ("tested", "30")
    assert set(zone.legs) | set(zone.missing) == {"static", "acceptance", "validation"}


def test_every_id_that_is_shown_is_there() -> None:
    """What zones cite is evidence, ids are unique, and each zone lies on one side of the price."""
    at = T0 + np.arange(120) * (MINUTE_NS // 4)
    trades = trade_columns(at, e8(100) + np.arange(120) % 13 * 3 * 10**6, ONE_E8, np.arange(120) % 3 == 0)
    (view,) = views_of(trades, [a_walled_book(m) for m in range(31)], ticks=(30,))
    ids = [e.id for e in view.evidence]
    assert len(ids) == len(set(ids))
    assert [z.id for z in view.zones] == [f"Z{n}" for n in range(len(view.zones))]
    assert {e.id for z in view.zones for e in z.evidence} <= set(ids)
    assert view.reference_e8 is not None
    sides = [{e.price_e8 < view.reference_e8 for e in z.evidence} for z in view.zones]
    assert [len(s) for s in sides] == [1] * len(view.zones)
    assert all(z.high_e8 < view.reference_e8 or z.low_e8 > view.reference_e8 for z in view.zones)
    assert len(view.zones) > 0
