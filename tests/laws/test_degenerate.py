"""Markets that hardly are any: each is looked at and advised on with a word on what is missing, and never breaks."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from agents.recommendation import Advice, parse, violations
from agents.rules import RulesAnalyst
from analysis.book.static_book import CROSSED, EMPTY_SIDE, NO_BOOK
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

RULES = Parameters()
MINUTES = 60
NO_SIGMA = "fewer than 15 minutes of trades: no volatility yet"
STANDS_ASIDE = ("too little trade on record to measure a distance", "no evidence within reach of the price")

Seen = list[tuple[MarketView, Advice, dict[str, Any]]]


def walk(price: float = 100_000.0, minutes: Sequence[int] = range(MINUTES), step: float = 20.0) -> Columns:
    """Six trades a minute that go up and down around a price, buys and sells in turn."""
    at = [m * MINUTE_NS + k * 9 * SECOND_NS for m in minutes for k in range(6)]
    away = np.rint(np.sin(np.arange(len(at)) * 0.7) * step * 100).astype(np.int64) * 10**6
    sizes = (1 + np.arange(len(at)) % 7) * 10**6
    return trade_columns(T0 + np.array(at, np.int64), e8(price) + away, sizes, np.arange(len(at)) % 2 == 0)


def a_book(minute: int, price: float = 100_000.0, wall: float = 40.0) -> Snapshot:
    """A thousand bins of one a side, and a wall sixty dollars off the mid on both."""
    held = [wall if i == 60 else 1 for i in range(1000)]
    bids = [(price - 0.5 - i, q) for i, q in enumerate(held)]
    return a_snapshot(bids, [(price + 0.5 + i, q) for i, q in enumerate(held)], minute, seq=minute + 1)


def books(make: Any, minutes: int = MINUTES + 1) -> list[Snapshot]:
    """One book a minute."""
    return [make(minute) for minute in range(minutes)]


def seen(
    trades: Columns | None = None,
    snapshots: Sequence[Snapshot] = (),
    instrument: Columns | None = None,
    ticks: Sequence[int] = (1, 2, 16, 30, 59, 60),
    windows: Windows = Windows(),
) -> Seen:
    """What is seen and advised at the ends of some minutes, and the view's JSON, which may hold neither NaN nor ∞."""
    state = MarketState(windows)
    observer, rules = Observer("TESTUSDT", state, RULES), RulesAnalyst(RULES)
    found: Seen = []

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} in an analysis")

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        view = observer.observe(tick, now)
        advice = rules.decide(view)
        json.loads(advice.render(), parse_constant=refuse)
        found.append((view, advice, json.loads(render_view(view), parse_constant=refuse)))

    parts: Mapping[str, Columns] = {
        INSTRUMENT: instrument_columns(T0) if instrument is None else instrument,
        AGG_TRADE: trade_columns([], []) if trades is None else trades,
        SNAPSHOT: book_columns(snapshots, [b.request_ns for b in snapshots]),
        TICK: tick_columns([T0 + m * MINUTE_NS for m in ticks], lag_ns=SECOND_NS),
    }
    drive(batches(numbered({k: c for k, c in parts.items() if len(c["recv_ns"])})), state, on_tick)
    return found


def faults(found: Seen) -> list[str]:
    """What a sound look at anything never shows."""
    wrong = []
    for view, advice, shown in found:
        wrong += violations(advice, view)
        ids = [e.id for e in view.evidence]
        if len(ids) != len(set(ids)):
            wrong.append(f"ids twice among {ids}")
        if parse(advice.render()).zones != advice.zones:
            wrong.append("advice that cannot be read back")
        if not advice.zones and advice.reason not in STANDS_ASIDE:
            wrong.append(f"stands aside for {advice.reason!r}")
        if not all(0 <= e.strength <= 1 and e.low_e8 <= e.price_e8 <= e.high_e8 for e in view.evidence):
            wrong.append("evidence without a place or beyond all strength")
        for tool in ("depth_snapshot_analytsis", "orderflow_analysys"):
            if len(json.dumps(shown[tool], separators=(",", ":"))) > 10_000:
                wrong.append(f"{tool} is too long to read")
    return wrong


def test_the_control_is_an_ordinary_market() -> None:
    """What the cases below lack is here: walls on both sides, zones on both sides, no word of warning."""
    found = seen(walk(), books(a_book))
    assert faults(found) == []
    view, advice, shown = found[-1]
    assert (view.warnings, advice.stance) == ((), "two_sided")
    assert [len(shown["depth_snapshot_analytsis"][s]["walls"]) for s in ("bid", "ask")] == [1, 1]
    assert shown["depth_snapshot_analytsis"]["bid"]["vacuums"] == []


def test_nothing_at_all() -> None:
    """No trade, no book, no grid: three warnings, nothing found by either tool, advice to stand aside."""
    found = seen(instrument={"recv_ns": []})
    assert faults(found) == []
    for view, advice, shown in found:
        assert view.warnings == (NO_BOOK, "no trade in the window", "no instrument on record: tick size unknown")
        assert shown["depth_snapshot_analytsis"] == {"found": "nothing", "reason": NO_BOOK}
        assert (shown["evidence"], shown["resonance"]) == ([], [])
        assert (advice.stance, advice.reason) == ("stand_aside", STANDS_ASIDE[0])


@pytest.mark.parametrize(
    ("bids", "asks", "reason"),
    [
        ([], [], EMPTY_SIDE),
        ([(99_999, 1)], [], EMPTY_SIDE),
        ([], [(100_001, 1)], EMPTY_SIDE),
        ([(100_001, 1), (100_000, 2)], [(100_000, 1), (100_001, 1)], CROSSED),
        ([(100_000, 1)], [(100_000, 1)], CROSSED),
    ],
)
def test_a_book_that_is_none(bids: Any, asks: Any, reason: str) -> None:
    """Empty, one-sided, crossed or locked: the reason is in the result and in the warnings, trades are still read."""
    found = seen(walk(), books(lambda m: a_snapshot(bids, asks, m, seq=m + 1)))
    assert faults(found) == []
    for view, _, shown in found:
        assert view.warnings[0] == reason
        assert shown["depth_snapshot_analytsis"] == {"found": "nothing", "reason": reason}
        assert not any(e.leg == "static" for e in view.evidence)
        assert shown["orderflow_analysys"]["profiles"]["60min"] is not None


def test_one_bad_book_among_good_ones() -> None:
    """A crossed or empty book in every fifth minute hides that minute's walls and no others, and ends none."""
    odd = [a_snapshot([(100_001, 1)], [(100_000, 1)], m, seq=m + 1) if m % 10 == 5 else
           a_snapshot([], [(100_000, 1)], m, seq=m + 1) if m % 10 == 0 else a_book(m) for m in range(60)]  # fmt: skip
    found = seen(walk(), odd, ticks=(16, 34, 59))
    assert faults(found) == []
    view, _, shown = found[-1]
    assert view.warnings == ()
    assert [len(shown["depth_snapshot_analytsis"][s]["walls"]) for s in ("bid", "ask")] == [1, 1]
    ended = shown["depth_snapshot_analytsis"]["ended"]
    assert [ended[kind] for kind in ("filled", "breached", "moved", "pulled")] == [0, 0, 0, 0]
    assert shown["depth_snapshot_analytsis"]["ask"]["vacuums"] == []


def test_one_level_a_side() -> None:
    """The thinnest book has a mid and depth; its only bins are walls by their share, and no cell fits a void."""
    found = seen(walk(step=2.0), books(lambda m: a_snapshot([(99_990.5, 1)], [(100_009.5, 2)], m, seq=m + 1)))
    assert faults(found) == []
    depth = found[-1][2]["depth_snapshot_analytsis"]
    assert [depth[s]["corridor_depth"] for s in ("bid", "ask")] == ["1", "2"]
    assert [(w["share"], w["contrast"]) for s in ("bid", "ask") for w in depth[s]["walls"]] == [(1.0, None)] * 2
    assert [depth[s]["bands"] for s in ("bid", "ask")] == [[], []]
    assert [depth[s]["vacuums"] for s in ("bid", "ask")] == [None, None]


@pytest.mark.parametrize("quantity", [10**10, 4 * 10**10])
def test_a_book_of_one_giant_level(quantity: int) -> None:
    """Ten or forty billion coins at one price, next to ones: a wall of nearly the whole side, and nothing wraps."""
    found = seen(walk(), books(lambda m: a_book(m, wall=quantity)))
    assert faults(found) == []
    depth = found[-1][2]["depth_snapshot_analytsis"]
    assert [[w["share"] for w in depth[s]["walls"]] for s in ("bid", "ask")] == [[1.0], [1.0]]
    assert depth["bid"]["corridor_depth"] == f"{quantity + 899}"


def test_an_order_at_a_thousand_times_the_price() -> None:
    """One ask far out of this world neither makes a billion bins nor changes what is seen near the price."""

    def far(minute: int) -> Snapshot:
        near = a_book(minute)
        asks = [(p / ONE_E8, q / ONE_E8) for p, q in zip(near.ask_price_e8.tolist(), near.ask_quantity_e8.tolist(),
                                                        strict=True)]  # fmt: skip
        bids = [(99_999.5 - i, 40 if i == 60 else 1) for i in range(1000)]
        return a_snapshot(bids, [*asks, (99_000_000.0, 5000)], minute, seq=minute + 1)

    found = seen(walk(), books(far, 20), ticks=(16, 19))
    assert faults(found) == []
    near = seen(walk(), books(a_book, 20), ticks=(16, 19))
    shown, usual = (f[-1][2]["depth_snapshot_analytsis"]["ask"]["walls"] for f in (found, near))
    assert shown == usual


def test_sixty_equal_books() -> None:
    """A book that never changes: its walls have stood for at least an hour, nothing ended, nothing is thin."""
    found = seen(walk(), books(a_book), ticks=(60,))
    depth = found[-1][2]["depth_snapshot_analytsis"]
    assert faults(found) == []
    assert depth["snapshots"] == 60
    assert [(w["age_min"], w["age_censored"]) for s in ("bid", "ask") for w in depth[s]["walls"]] == [(59, True)] * 2
    assert [depth[s]["vacuums"] for s in ("bid", "ask")] == [[], []]
    assert [depth[s]["this_book_alone"] for s in ("bid", "ask")] == [{"walls": 1, "bands": 0, "vacuums": 0}] * 2
    assert depth["ended"]["last"] == []


@pytest.mark.parametrize("silent", [range(20, 30), range(50, 60)])
def test_ten_minutes_without_a_trade(silent: range) -> None:
    """Silence in the middle or up to the tick: the closes stand still, the last price holds, advice goes on."""
    found = seen(walk(minutes=[m for m in range(MINUTES) if m not in silent]), books(a_book))
    assert faults(found) == []
    view, advice, _ = found[-1]
    assert view.sigma is not None
    assert (view.warnings, advice.stance) == ((), "two_sided")


def test_all_volume_at_one_price() -> None:
    """σ is one tick, the profile one row that holds all; nothing lies within sixteen ticks: advice to stand aside."""
    still = walk(step=0.0)
    found = seen(still, books(a_book))
    assert faults(found) == []
    view, advice, shown = found[-1]
    assert view.sigma == round(0.01 / 100_000, 9)
    profile = shown["orderflow_analysys"]["profiles"]["60min"]
    assert (profile["poc"], profile["value_area"], profile["value_area_share"]) == ("100000", ["100000", "100020"], 1.0)
    assert (profile["rival"], profile["hvn"], profile["lvn"]) == (0.0, [], [])
    assert (advice.stance, advice.reason) == ("stand_aside", STANDS_ASIDE[1])


def test_too_few_minutes_for_a_volatility() -> None:
    """With ten minutes of trades σ is unknown, which is said; there are walls and profiles, and no zones."""
    found = seen(walk(minutes=range(10)), books(a_book, 11), ticks=(5, 10))
    assert faults(found) == []
    for view, advice, shown in found:
        assert (view.sigma, view.zones) == (None, ())
        assert view.warnings == (NO_SIGMA,)
        assert shown["depth_snapshot_analytsis"]["bid"]["walls"][0]["distance_sigma"] is None
        assert (advice.stance, advice.reason) == ("stand_aside", STANDS_ASIDE[0])


@pytest.mark.parametrize("part", [0.7, 1.3])
def test_a_jump_of_thirty_per_cent(part: float) -> None:
    """Price and book are elsewhere from one minute to the next; nothing of the old place is advised as near."""
    before, after = walk(minutes=range(40)), walk(100_000.0 * part, minutes=range(40, MINUTES))
    trades = {k: np.concatenate([np.asarray(before[k]), np.asarray(after[k])]) for k in before}
    trades |= {k: np.arange(1, len(trades["recv_ns"]) + 1) for k in ("agg_id", "first_trade_id", "last_trade_id")}
    found = seen(trades, books(lambda m: a_book(m, 100_000.0 if m < 40 else 100_000.0 * part)),
                 ticks=(39, 40, 41, 42, 45, 60))  # fmt: skip
    assert faults(found) == []
    view, _, shown = found[-1]
    assert view.sigma is not None
    assert view.sigma > 0.03
    walls = [w for s in ("bid", "ask") for w in shown["depth_snapshot_analytsis"][s]["walls"]]
    assert [abs(w["distance_bp"]) < 100 for w in walls] == [True, True]


def test_a_price_of_one_tick() -> None:
    """A coin at 0.00000001 to 0.00000003: bins of one count, no zone that nothing could prove wrong, no division."""
    at = T0 + np.arange(MINUTES * 4) * (MINUTE_NS // 4)
    trades = trade_columns(at, 1 + np.arange(len(at)) % 3, 10**12, np.arange(len(at)) % 2 == 0)
    thin = books(
        lambda m: a_snapshot([("0.00000001", 10**6)], [(f"0.0000000{i}", 10**5) for i in (2, 3, 4)], m, seq=m + 1)
    )
    for level in (1, ONE_E8):
        found = seen(trades, thin, instrument_columns(T0, 1), windows=Windows(level_e8=level))
        assert faults(found) == []
        assert [v.reference_e8 is not None and v.reference_e8 <= 3 for v, _, _ in found] == [True] * 6
        assert found[-1][2]["mid"] == "0.000000015"


def test_no_grid_on_record() -> None:
    """Without an instrument the tick is what prices show, and that is said; all else is as ever."""
    found, known = seen(walk(), books(a_book), instrument={"recv_ns": []}), seen(walk(), books(a_book))
    assert faults(found) == []
    view, advice, _ = found[-1]
    assert view.warnings == ("no instrument on record: prices step by 0.01 as far as was seen",)
    assert (view.tick_size_e8, advice.stance) == (ONE_E8 // 100, "two_sided")
    assert advice.zones == known[-1][1].zones


def test_a_tick_wider_than_the_market() -> None:
    """With ticks of a thousand dollars what zones there are lie on them, however many prices lie in between."""
    found = seen(walk(), books(a_book), instrument_columns(T0, 1000 * ONE_E8))
    assert faults(found) == []
    zones = found[-1][1].zones
    assert all(z.low_e8 % (1000 * ONE_E8) == z.high_e8 % (1000 * ONE_E8) == 0 for z in zones)


def test_trades_of_one_side_only() -> None:
    """Only sells: asks are never consumed, so there is no time to consume them, and the delta is the volume."""
    trades = dict(walk()) | {"buyer_is_maker": np.ones(MINUTES * 6, bool)}
    found = seen(trades, books(a_book))
    assert faults(found) == []
    shown = found[-1][2]
    assert [w["minutes_to_consume"] for w in shown["depth_snapshot_analytsis"]["ask"]["walls"]] == [None]
    assert shown["depth_snapshot_analytsis"]["bid"]["walls"][0]["minutes_to_consume"] is not None
    profile = shown["orderflow_analysys"]["profiles"]["60min"]
    assert profile["delta"] == f"-{profile['volume']}"
