"""Signals: each has a control and is sighted where its finding is, once for as long as it lasts."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from analysis.book.static_book import StaticBook
from analysis.book.wall_life import EndedWall, Ending
from analysis.confluence import Confluence
from analysis.evidence import Basis, Evidence
from analysis.flow.flow_findings import (
    BookFlowFindings,
    CvdFigure,
    DivergenceFigure,
    FlowFigure,
    Fusion,
    KyleFigure,
    LevelFlows,
    NoFusion,
    VpinFigure,
)
from analysis.flow.flow_measures import Divergence
from analysis.flow.flow_quote import Quote
from analysis.observe import Findings
from analysis.order_flow import OrderFlow
from analysis.trades.absorption import Absorption
from analysis.trades.acceptance import Node, Profile
from analysis.trades.footprint import Footprint, Stack
from analysis.trades.level_tests import LevelRecord
from analysis.trades.sweeps import Sweep
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.state import MarketState
from replay.signals.signals import (
    EXTREME_ALONE,
    RANDOM_MINUTE,
    SAME_DISTANCE,
    SIGNALS,
    FirstSightings,
    Sighting,
    find_sightings,
)
from runtime.loop import drive
from tests.market_builders import SMALL_WINDOWS, T0, batches, e8, numbered, tick_columns, trade_columns

SIGMA = 0.001
"""A tenth of a unit at 100; sixteen of them reach from 98.4 to 101.6."""


def a_state() -> MarketState:
    """A minute that traded from 99.9 to 100.2, after one at 95."""
    state = MarketState(SMALL_WINDOWS)
    at = [T0 + s * SECOND_NS for s in (5, 65, 75, 85, 95)]
    trades = trade_columns(at, [e8(p) for p in (95, 100, "99.9", "100.2", 100)])
    ticks = tick_columns([T0 + MINUTE_NS, T0 + 2 * MINUTE_NS], lag_ns=1)
    drive(batches(numbered({AGG_TRADE: trades, TICK: ticks})), state, lambda *_: None)
    return state


STATE = a_state()


def a_flow(**changed: Any) -> OrderFlow:
    """Order flow in which nothing was found."""
    fields: dict[str, Any] = {
        "profiles": None, "evidence": (), "reach": None, "naked_points": (), "cvds": {}, "footprint": None,
        "absorptions": (), "sweeps": (), "crossings": {}, "book_flow": None,
    }  # fmt: skip
    names = OrderFlow.__struct_fields__
    return OrderFlow(**{n: (fields | changed).get(n, 0) for n in names})


def a_book_flow(z: Mapping[str, float | None] | None = None, level_z: float | None = None, **changed: Any) -> Any:
    """Book flow in which nothing is strong; the z-scores of some flows, by name, as given."""
    scores = z or {}
    fields: dict[str, Any] = {
        "book": "live", "window_s": 600, "complete_s": 600, "updates": 1, "resets": 0, "quote": None,
        **{name: FlowFigure(0.0, scores.get(name)) for name in ("ofi1", "ofi5", "ofi_v13")},
        "mlofi": LevelFlows(None), "cvd": CvdFigure(0.0, 0.0, scores.get("cvd"), level_z, {}, None, None),
        "fusion": NoFusion("ofi1", "no z"), "divergence": DivergenceFigure(None, None, reason="no z"),
        "vpin": VpinFigure(None), "kyle": KyleFigure(None), "explains": (),
    }  # fmt: skip
    return BookFlowFindings(**fields | changed)


def a_fusion(value: float, strong: bool = False, uses: str = "ofi1") -> Fusion:
    """Both flows as one."""
    return Fusion(uses, value, 0.5, strong, "neutral", 0, 0, 0, ())


def a_quote(imbalance: float = 0.0, micro: Any = None, bid: Any = "99.5", ask: Any = "100.5") -> Quote:
    """A quote around 100; the micro-price where it is fitted."""
    return Quote(e8(bid), e8(ask), 1.0, imbalance, 1.0, None if micro is None else float(e8(micro)), "as given", 0)


def a_profile(minutes: int, *dips: Any) -> Profile:
    """A profile with low-volume nodes at some prices."""
    lows = tuple(Node(f"P{minutes}.lvn{n}", e8(price), 0.2) for n, price in enumerate(dips))
    return Profile(minutes, minutes, 1, 0, 1, 1, 1, 0.5, None, (1, 2), 0.7, (), lows)


def findings(**changed: Any) -> Findings:
    """Findings at a price of 100 in which nothing was found."""
    fields: dict[str, Any] = {
        "reference_e8": e8(100), "sigma": SIGMA, "static": StaticBook("no book"), "flow": a_flow(), "evidence": (),
        "zones": (), "tests": {}, "absorptions": {},
    }  # fmt: skip
    return Findings(**fields | changed)


def a_piece(basis: Basis, price: Any, name: str = "X") -> Evidence:
    return Evidence(name, basis, "acceptance", e8(price), e8(price), e8(price), 0.5)


def a_resonance(price: Any, legs: int) -> Confluence:
    """A zone on some legs."""
    there = dict(list({"static": 0.5, "acceptance": 0.5, "validation": 0.5}.items())[:legs])
    return Confluence("Z0", e8(price), e8(price), e8(price), there, (), 0.5, 0.5, ())  # type: ignore[arg-type]


def a_record(price: Any, tests: int = 2, rate: float | None = 0.6) -> LevelRecord:
    return LevelRecord(e8(price), tests, 0, 0, 0, None, (), (), rate, 1.0, rate)


def an_absorption(side: Any, price: Any) -> Absorption:
    return Absorption(e8(price), side, e8(price), ONE_E8, 1.0, 1.0, 3.0, 60, 0, T0, T0 + 1, True, 1.0)


def a_sweep(side: Any) -> Sweep:
    fields: dict[str, Any] = dict.fromkeys(Sweep.__struct_fields__, 1)
    return Sweep(**fields | {"side": side})


def a_footprint(*sides: Any) -> Footprint:
    return Footprint(ONE_E8, 1, (), tuple(Stack(s, e8(100), e8(103), 3) for s in sides))


def level(signal: str, price: Any) -> Sighting:
    return Sighting(signal, e8(price) < e8(100), e8(price))


CONTROLS = [Sighting("absorption", True, e8("99.9"), True), Sighting("absorption", False, e8("100.2"), True)]
"""Where nothing absorbed, the extremes of the last minute stand in, and those alone."""


def list_sightings(given_findings: Findings) -> list[Sighting]:
    """All that is sighted but the price extremes."""
    return [s for s in find_sightings(given_findings, STATE, 16.0) if s not in CONTROLS]


BASES: dict[Basis, str] = {
    "wall": "wall", "band": "band", "vacuum_edge": "vacuum edge", "poc": "poc", "hvn": "hvn",
    "value_area": "value area edge", "naked_poc": "naked poc",
}  # fmt: skip


@pytest.mark.parametrize("basis", BASES)
def test_evidence_is_a_level(basis: Basis) -> None:
    """A piece below the price says up, one above it down."""
    given_findings = findings(evidence=(a_piece(basis, 99), a_piece(basis, 101)))
    assert list_sightings(given_findings) == [
        Sighting(BASES[basis], True, e8(99)),
        Sighting(BASES[basis], False, e8(101)),
    ]


def test_evidence_that_is_no_level_of_its_own() -> None:
    """What was rejected or absorbed is sighted as tests and as absorption, not a second time."""
    others = [b for b in get_args(Basis) if b not in BASES]
    assert sorted(others) == ["absorption", "rejection"]
    assert list_sightings(findings(evidence=[a_piece(b, 99) for b in others])) == []


def test_a_major_wall_is_a_wall_too() -> None:
    """Of two walls the major one is sighted under both names."""
    walls = [SimpleNamespace(id=n, wall=SimpleNamespace(major=n == "Wb1")) for n in ("Wb0", "Wb1")]
    static: Any = StaticBook(None, sides={"bid": SimpleNamespace(walls=walls)})  # type: ignore[dict-item]
    given_findings = findings(static=static, evidence=(a_piece("wall", 99, "Wb0"), a_piece("wall", "98.9", "Wb1")))
    assert list_sightings(given_findings) == [level("wall", 99), level("wall", "98.9"), level("major wall", "98.9")]


def test_a_vacuum_that_price_crossed_fast_is_confirmed() -> None:
    """Of three edges the one whose vacuum was passed thin and fast is sighted twice."""
    edges = tuple(a_piece("vacuum_edge", p, n) for p, n in ((99, "Vb0"), ("98.9", "Vb1"), (101, "Va0")))
    passages: dict[str, Any] = {"Vb0": SimpleNamespace(confirmed=False), "Vb1": SimpleNamespace(confirmed=True)}
    signals = list_sightings(findings(evidence=edges, flow=a_flow(crossings=passages | {"Va0": None})))
    assert [s for s in signals if s.signal != "vacuum edge"] == [level("confirmed vacuum", "98.9")]


def test_dips_of_the_profile() -> None:
    """Low-volume nodes of every horizon that shows one."""
    profiles = {60: a_profile(60, "99.5"), 240: None, 1440: a_profile(1440)}
    assert list_sightings(findings(flow=a_flow(profiles=profiles))) == [level("lvn", "99.5")]
    assert list_sightings(findings(flow=a_flow(profiles=None))) == []


@pytest.mark.parametrize(("legs", "signal"), [(1, "zone, one leg"), (2, "zone, two legs"), (3, "zone, triple")])
def test_zones_by_their_legs(legs: int, signal: str) -> None:
    """One, two or three legs are three signals, so that each can be judged."""
    assert list_sightings(findings(zones=(a_resonance(101, legs),))) == [level(signal, 101)]


def test_a_level_that_held_before() -> None:
    """Two tests, most of them rejected, recent ones first; one test, or an even record, is none."""
    tests = {"T0": a_record(99), "T1": a_record(101, tests=1), "T2": a_record(102, rate=0.5), "T3": a_record(98)}
    tests["T4"] = a_record(100, rate=None)
    assert list_sightings(findings(tests={k: v for k, v in tests.items() if k != "T3"})) == [level("held before", 99)]


def test_only_levels_within_reach_and_not_at_the_price() -> None:
    """Sixteen σ are 1.6: 98.4 and 101.6 are in, what is a tick further or at the price is not."""
    pieces = [a_piece("poc", p) for p in ("98.39", "98.4", 100, "101.6", "101.61")]
    assert [s.price_e8 for s in list_sightings(findings(evidence=pieces))] == [e8("98.4"), e8("101.6")]


@pytest.mark.parametrize("unknown", [{"reference_e8": None}, {"sigma": None}])
def test_without_a_price_or_a_unit_nothing_is_sighted(unknown: dict[str, Any]) -> None:
    """Distances could not be measured."""
    assert list(find_sightings(findings(evidence=(a_piece("poc", 99),), **unknown), STATE, 16.0)) == []


def test_absorption_and_its_control() -> None:
    """A bid that absorbed says up; the side that did not is its control at the last minute's extreme."""
    none = list(find_sightings(findings(), STATE, 16.0))
    assert none == CONTROLS
    both = list(find_sightings(findings(flow=a_flow(absorptions=(an_absorption("bid", "99.95"),))), STATE, 16.0))
    assert both == [Sighting("absorption", True, e8("99.95")), CONTROLS[1]]


@pytest.mark.parametrize(("side", "up"), [("buy", True), ("sell", False)])
def test_the_last_sweep_gives_the_direction(side: str, up: bool) -> None:
    """The newest of several counts."""
    other = "sell" if up else "buy"
    assert list_sightings(findings(flow=a_flow(sweeps=(a_sweep(other), a_sweep(side))))) == [
        Sighting("sweep", up, None)
    ]


def test_footprint_stacks() -> None:
    """Each stack says its side's direction."""
    signals = list_sightings(findings(flow=a_flow(footprint=a_footprint("buy", "sell"))))
    assert signals == [Sighting("footprint stack", True, None), Sighting("footprint stack", False, None)]


FLOWS = {"cvd": "cvd", "ofi, best quote": "ofi1", "ofi, five levels": "ofi5", "ofi_v13": "ofi_v13"}


@pytest.mark.parametrize("signal", [*FLOWS, "cvd level"])
@pytest.mark.parametrize(("z", "expected"), [(2.0, [True]), (-2.5, [False]), (1.99, []), (None, [])])
def test_strong_flow_is_a_direction(signal: str, z: float | None, expected: list[bool]) -> None:
    """From two standard deviations on, with their sign; a z that could not be had is none."""
    flow = a_book_flow({FLOWS[signal]: z}) if signal in FLOWS else a_book_flow(level_z=z)
    assert list_sightings(findings(flow=a_flow(book_flow=flow))) == [Sighting(signal, up, None) for up in expected]


def test_fusion_divergence_and_imbalance() -> None:
    """Only a strong fusion, only a divergence with a side, only a quote of three to one."""
    flow = a_book_flow(fusion=a_fusion(-3.0, True), divergence=DivergenceFigure("bullish", 0.5), quote=a_quote(0.5))
    assert list_sightings(findings(flow=a_flow(book_flow=flow))) == [
        Sighting("fusion, strong", False, None), Sighting("divergence", True, None),
        Sighting("queue imbalance", True, None),
    ]  # fmt: skip
    weak = a_book_flow(fusion=a_fusion(3.0), divergence=DivergenceFigure("inconsistent", 0.5), quote=a_quote(-0.49))
    assert list_sightings(findings(flow=a_flow(book_flow=weak))) == []
    assert list_sightings(findings(flow=a_flow(book_flow=a_book_flow()))) == []


@pytest.mark.parametrize(("uses", "expected"), [("ofi1", [True]), ("ofi5", [False])])
def test_flows_against_each_other_follow_the_book(uses: str, expected: list[bool]) -> None:
    """The way of the book's flow that was fused, against the trades."""
    against = DivergenceFigure("inconsistent", 0.5)
    flow = a_book_flow({"ofi1": 1.9, "ofi5": -1.9}, divergence=against, fusion=a_fusion(0.1, uses=uses))
    signals = list_sightings(findings(flow=a_flow(book_flow=flow)))
    assert signals == [Sighting("divergence, inconsistent", up, None) for up in expected]


@pytest.mark.parametrize(
    ("micro", "expected"),
    [("100.25", [True]), ("99.75", [False]), ("100.24", []), (None, [])],  # a quarter of the spread off the mid
)
def test_a_micro_price_that_leans(micro: str | None, expected: list[bool]) -> None:
    """Fitted, and a quarter of the spread off the mid."""
    signals = list_sightings(findings(flow=a_flow(book_flow=a_book_flow(quote=a_quote(micro=micro)))))
    assert signals == [Sighting("micro-price", up, None) for up in expected]


def an_ending(ending: Ending, side: Any = "bid", minutes_ago: int = 1) -> EndedWall:
    return EndedWall(side, e8(99), 0.02, ending, STATE.buckets.end_ns - minutes_ago * MINUTE_NS, None)


def test_a_wall_that_is_gone_opens_the_way() -> None:
    """A bid that was pulled, filled or breached says down, an ask up; a move, or an end three minutes ago, is none."""
    endings = [an_ending("pulled"), an_ending("filled", "ask"), an_ending("breached", minutes_ago=2)]
    others = [an_ending("moved"), an_ending("pulled", minutes_ago=3)]
    assert list_sightings(findings(static=StaticBook("no book", ended_walls=[*others, *endings]))) == [
        Sighting("wall pulled", False, None), Sighting("wall filled", True, None),
        Sighting("wall breached", False, None),
    ]  # fmt: skip


def everything(divergence: Divergence = "bearish") -> Findings:
    """A tick at which every detector found something."""
    walls = [SimpleNamespace(id="Wb0", wall=SimpleNamespace(major=True))]
    flow = a_book_flow(
        dict.fromkeys(("ofi1", "ofi5", "ofi_v13", "cvd"), 3.0),
        3.0,
        fusion=a_fusion(3.0, True),
        divergence=DivergenceFigure(divergence, 0.5),
        quote=a_quote(0.9, "100.9", 99, 101),
    )
    ended = [an_ending(e) for e in ("pulled", "filled", "breached")]
    return findings(
        static=StaticBook(None, sides={"bid": SimpleNamespace(walls=walls)}, ended_walls=ended),  # type: ignore[dict-item]
        evidence=[a_piece(b, 99, "Wb0" if b == "wall" else b) for b in BASES],
        zones=[a_resonance(101, legs) for legs in (1, 2, 3)],
        tests={"T0": a_record(99)},
        flow=a_flow(
            absorptions=(an_absorption("ask", 101),),
            sweeps=(a_sweep("buy"),),
            footprint=a_footprint("buy"),
            book_flow=flow,
            crossings={"vacuum_edge": SimpleNamespace(confirmed=True)},
            profiles={60: a_profile(60, 99)},
        ),
    )


def test_every_signal_is_sighted_and_has_a_control() -> None:
    """No name in the list that nothing yields, none yielded that is not in it; a control for each."""
    signals = [s for kind in ("bearish", "inconsistent") for s in find_sightings(everything(kind), STATE, 16.0)]
    assert {s.signal for s in signals if not s.as_control} == set(SIGNALS)
    assert set(SIGNALS.values()) == {SAME_DISTANCE, EXTREME_ALONE, RANDOM_MINUTE}
    by_level = {s.signal: s.price_e8 is not None for s in signals}
    assert {n for n, is_level in by_level.items() if is_level} == {
        n for n, control in SIGNALS.items() if control != RANDOM_MINUTE
    }


# Once for as long as it lasts


def fresh_at(
    first: FirstSightings, minutes: Iterator[int] | range, list_sightings: Sighting, near: int = 5
) -> list[int]:
    """The minutes at which a sighting was let through."""
    return [m for m in minutes if first.select_new(T0 + m * MINUTE_NS, [list_sightings], near)]


def test_a_level_lasts_an_hour() -> None:
    """Seen at every minute for two hours and a bit it counts at 0, 60 and 120."""
    assert fresh_at(FirstSightings(), range(125), level("poc", 99)) == [0, 60, 120]


def test_a_direction_lasts_five_minutes() -> None:
    """Seen at every minute it counts at 0, 5, 10; the other way is a signal of its own."""
    first = FirstSightings()
    up, down = Sighting("cvd", True, None), Sighting("cvd", False, None)
    assert fresh_at(first, range(12), up) == [0, 5, 10]
    assert first.select_new(T0 + 11 * MINUTE_NS, [down, down], 5) == [down]


def test_levels_nearer_than_a_distance_are_one() -> None:
    """Within five of a known one it is the same, six away another; the distance is to every level known."""
    first = FirstSightings()
    prices = [1000, 1005, 1006, 1011, 1012, 995, 994]
    list_sightings = [Sighting("poc", True, p) for p in prices]
    assert [s.price_e8 for s in first.select_new(T0, list_sightings, 5)] == [1000, 1006, 1012, 994]


def test_what_makes_a_level_another() -> None:
    """The same price under another name, from the other side, or as a control is new; as itself it is not."""
    first = FirstSightings()
    list_sightings = [
        Sighting("poc", True, 1000), Sighting("hvn", True, 1000), Sighting("poc", False, 1000),
        Sighting("absorption", True, 1000), Sighting("absorption", True, 1000, as_control=True),
    ]  # fmt: skip
    assert first.select_new(T0, list_sightings, 5) == list_sightings
    assert first.select_new(T0 + MINUTE_NS, list_sightings, 5) == []
