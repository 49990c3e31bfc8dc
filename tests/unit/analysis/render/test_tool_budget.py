"""Both tools' results on a rich market and on absurd ones: small enough, every group under an id, no id twice."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.book.bands import Band
from analysis.book.book_side import SIDES, BookSide, Side
from analysis.book.static_book import CurrentBook, NullCounts, StandingWall, StaticBook, StaticSide
from analysis.book.voids import LiquidityVoid
from analysis.book.wall_life import EndedWall, WallLife
from analysis.book.walls import Wall, WallBin
from analysis.confluence import Confluence
from analysis.flow.flow_findings import (
    BookFlowFindings,
    CvdFigure,
    DivergenceFigure,
    ExplainsFigure,
    FlowFigure,
    Fusion,
    KyleFigure,
    LevelFlows,
    MovingAverage,
    StrongSecond,
    VpinFigure,
)
from analysis.flow.flow_measures import FlowR2
from analysis.flow.flow_quote import Quote
from analysis.observe import Observer
from analysis.order_flow import OrderFlow
from analysis.parameters import Parameters
from analysis.render.tool_budget import ItemList, trim_to
from analysis.render.tool_results import MAX_BYTES, render_flow, render_static
from analysis.render.view_json import render_view
from analysis.trades.absorption import Absorption
from analysis.trades.acceptance import Node, Profile
from analysis.trades.crossings import Crossing
from analysis.trades.footprint import Cvd, Footprint, Imbalance, Stack
from analysis.trades.level_tests import LevelRecord
from analysis.trades.naked_points import NakedPoint
from analysis.trades.sweeps import Sweep
from analysis.view import MarketView
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch
from market.fixed_point import LARGEST_E8, ONE_E8
from market.timestamps import HOUR_NS, MINUTE_NS
from projections.state import MarketState, TickEntry, Windows
from runtime.loop import drive
from simulators.exchange.market.engine import MarketEngine
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.playback.record import batches as recorded
from tests.market_builders import T0, Tables, a_piece, batches, e8, numbered, tick_columns, trade_columns

pytestmark = pytest.mark.slow

DAYS_NS = 71 * HOUR_NS


def size(result: Mapping[str, Any]) -> int:
    return len(msgspec.json.encode(result))


# A rich market


def days_of_trades() -> Tables:
    """Seventy-one hours of a walk around 100,000, four trades a minute, and the tick at their end."""
    chance = np.random.default_rng(6)
    n = DAYS_NS // MINUTE_NS * 4
    prices = 10_000_000 + np.cumsum(chance.integers(-900, 901, n))
    trades = trade_columns(
        T0 - DAYS_NS + np.arange(n) * (MINUTE_NS // 4), prices * 1_000_000, chance.integers(1, 10**6, n) * 1_000,
        chance.random(n) < 0.5,
    )  # fmt: skip
    return numbered({AGG_TRADE: trades, TICK: tick_columns([T0], depth="down")})


def shift_seqs(batch: Batch, rows: int) -> Batch:
    """A batch whose seqs and trade ids begin some rows later."""
    tables = {}
    for kind, part in batch.rows.items():
        table = part.table()
        for name in ("seq", "agg_id"):
            at = table.schema.get_field_index(name)
            if at >= 0:
                table = table.set_column(at, table.schema.field(at), [table.column(name).to_numpy() + rows])
        tables[kind] = table
    return Batch.from_tables(batch.first_seq + rows, batch.last_seq + rows, tables)


def a_rich_market() -> Iterator[Batch]:
    """Three days of trades, the last hour and more with a book a minute and its updates."""
    old = days_of_trades()
    yield from batches(old)
    rows = sum(t.num_rows for t in old.values())
    market = MarketEngine(MarketParameters(), np.random.Generator(np.random.PCG64(12)), T0)
    for batch in recorded(market, T0, 64, with_diffs=True):
        yield shift_seqs(batch, rows)


def views_of(minutes: Sequence[int]) -> list[MarketView]:
    """What is seen at the ends of some minutes."""
    state = MarketState(Windows())
    observer = Observer("BTCFDUSD", state, Parameters())
    side_result: list[MarketView] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if (tick.boundary_ns - T0) // MINUTE_NS in minutes:
            side_result.append(observer.observe(tick, now))

    drive(a_rich_market(), state, on_tick)
    return side_result


@pytest.fixture(scope="module")
def views() -> list[MarketView]:
    return views_of(range(60, 65))


def ids_of(result: Any) -> list[str]:
    if isinstance(result, dict):
        own = [result["id"]] if "id" in result else []
        return own + [name for value in result.values() for name in ids_of(value)]
    return [name for value in result for name in ids_of(value)] if isinstance(result, list) else []


def groups_without_id(result: Mapping[str, Any], path: str = "") -> list[str]:
    """Where a group of figures has no id of its own nor is named by one."""
    groups = []
    for key, value in result.items():
        items = value if isinstance(value, list) else [value]
        for item in items:
            if isinstance(item, dict):
                has_id = "id" in item or key in NAMED_BY_KEY or path.split(".")[-1] in KEYS_ARE_IDS
                groups += [] if has_id else [f"{path}.{key}"]
                groups += groups_without_id(item, f"{path}.{key}")
    return groups


KEYS_ARE_IDS = {"walls", "vacuums_passed", "explains"}
"""Groups whose keys say what an entry is: ids of the other tool's result, or intervals of the same one."""

NAMED_BY_KEY = {"profiles", "walls", "vacuums_passed", "in_shuffled_books", "this_book_alone"}
"""Groups that hold others, or counts of the group they are in."""


def test_the_market_is_rich(views: list[MarketView]) -> None:
    """Sixty books, seventy-two hours, flow of the whole hour and tests of levels are there."""
    for view in views:
        assert view.depth["snapshots"] == 60
        assert [p["covered_min"] for p in view.order_flow["profiles"].values() if p][-1] >= 4300
        assert view.order_flow["book_flow"]["whole_s"] > 3500
        assert len(view.order_flow["tests"]) > 3
        assert view.order_flow["book_flow"]["fusion"]["value"] is not None


def test_both_results_fit(views: list[MarketView]) -> None:
    """At full windows, as compact JSON without NaN."""
    for view in views:
        for result in (view.depth, view.order_flow):
            text = json.dumps(result, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
            assert len(text.encode()) <= MAX_BYTES
            assert json.loads(text) == msgspec.json.decode(msgspec.json.encode(result))


def test_every_group_has_an_id_and_no_two_the_same(views: list[MarketView]) -> None:
    """Over both tools; what is evidence too has the evidence's id and means the same price."""
    for view in views:
        assert groups_without_id(view.depth) == []
        assert groups_without_id(view.order_flow) == []
        ids = ids_of(view.depth) + ids_of(view.order_flow)
        assert len(ids) == len(set(ids)) > 20
        evidence = {e.id: e for e in view.evidence}
        prices = {w["id"]: w["heavy_price"] for s in ("bid", "ask") for w in view.depth[s]["walls"]}
        prices |= {t["id"]: t["level"] for t in view.order_flow["tests"]}
        assert {n: e8(p) for n, p in prices.items() if n in evidence} == {
            n: evidence[n].price_e8 for n in prices if n in evidence
        }
        assert set(ids) & {z.id for z in view.zones} == set()


def test_order_is_the_same_at_every_tick_and_run(views: list[MarketView]) -> None:
    """The same groups in the same order from tick to tick, the same bytes from run to run."""
    for name in ("depth", "order_flow"):
        assert len({tuple(getattr(view, name)) for view in views}) == 1
    assert len({tuple(view.order_flow["book_flow"]) for view in views}) == 1
    assert len({tuple(view.depth[side]) for view in views for side in SIDES}) == 1
    again = views_of([64])
    assert render_view(again[0]) == render_view(views[-1])


# Absurd markets

LARGE = LARGEST_E8 // 3 - 7
"""A price and a quantity of twenty figures."""


def a_sweep(n: int) -> Sweep:
    fields: dict[str, Any] = dict.fromkeys(Sweep.__struct_fields__, LARGE)
    return Sweep(**fields | {"side": "buy", "start_ns": T0 + n, "levels": n})


def a_profile(minutes: int) -> Profile:
    """A profile in the longest figures there are."""
    nodes = [tuple(Node(f"P{minutes}.{kind}{n}", LARGE, 0.1234) for n in range(5)) for kind in ("hvn", "lvn")]
    return Profile(
        minutes, minutes, LARGE, -LARGE, 123_456_789, LARGE, LARGE, 0.1234, LARGE, (LARGE, LARGE), 0.1234, *nodes
    )


def a_book_flow() -> BookFlowFindings:
    """Book flow of which everything is known, in the longest figures there are."""
    figure, strongest = -1234567.1234, tuple(StrongSecond(T0 + n, -10.1234, 0.1234) for n in range(5))
    flow = FlowFigure(figure, -10.1234, "3600 whole seconds of 3600")
    averages = dict.fromkeys((60, 300, 900), MovingAverage(figure, figure, "above"))
    rows = {name: FlowR2(0.1234, 0.1234, 123_456) for name in ("ofi1", "ofi5", "ofi_v13", "trades")}
    return BookFlowFindings(
        book="one_sided", window_s=3600, complete_s=3600, updates=123_456, resets=123_456,
        quote=Quote(LARGE, LARGE, 1234.1234, -0.1234, LARGE / 1, LARGE / 1, "Markov chain of 3600 seconds", 3600),
        ofi1=flow, ofi5=flow, mlofi=LevelFlows((figure,) * 5), ofi_v13=flow,
        cvd=CvdFigure(figure, figure, -10.1234, -10.1234, averages, "none", None, "x" * 40),
        fusion=Fusion("ofi5", -10.1234, 0.1234, True, "strong_sell", 60, 60, 60, strongest),
        divergence=DivergenceFigure("inconsistent", 0.1234, -1234.1234, -10.1234),
        vpin=VpinFigure(0.1234, 50, figure), kyle=KyleFigure(-1.234e-05, 0.1234, 3600),
        explains=(ExplainsFigure(1, 3600, rows), ExplainsFigure(10, 360, rows)),
    )  # fmt: skip


def a_flow(many: int) -> OrderFlow:
    """Order flow with many of everything, in the longest figures there are."""
    crossing = Crossing(T0, T0, 1, 1, LARGE, 1.0, 1.0, 123456.1234, 123456.1234, True, True, True)
    fields: dict[str, Any] = dict.fromkeys(OrderFlow.__struct_fields__, 0)
    fields |= {
        "profiles": {m: a_profile(m) for m in (60, 240, 1440, 2880, 4320)},
        "naked_points": [NakedPoint(T0, LARGE, LARGE + 1, LARGE, 0.1234, 1440)] * many,
        "cvds": {m: Cvd(LARGE, 0, 1) for m in (5, 60, 240)},
        "footprint": Footprint(
            LARGE, 1, tuple(Imbalance("buy", LARGE - n, LARGE - n, 12345.1234) for n in range(many)),
            (Stack("sell", LARGE, LARGE, 12),) * many,
        ),
        "absorptions": [
            Absorption(LARGE, side, LARGE, LARGE, 1.0, 1.0, 12.1234, 60, LARGE, T0, T0, True, 1.0, -1234.1234)
            for side in SIDES
        ],
        "sweeps": [a_sweep(n) for n in range(many)],
        "crossings": {f"V{side[0]}{n}": crossing for side in SIDES for n in range(many)},
        "book_flow": a_book_flow(),
    }  # fmt: skip
    return OrderFlow(**fields)


def zones_of(many: int) -> tuple[list[Confluence], dict[str, LevelRecord]]:
    """Zones that were tested, the first the strongest."""
    record = LevelRecord(LARGE, 999, 999, 999, 999, T0, ("rejected",) * 5, ("above",) * 5, 0.1234, 1.1234, 0.1234)
    tests = {f"T{n}": record for n in range(many)}
    zones = [
        Confluence(f"Z{n}", 1, 1, 1, {}, (), 1 / (n + 1), 1 / (n + 1), (a_piece(f"T{n}", 1, 1, 1),))
        for n in range(many)
    ]  # fmt: skip
    return zones, tests


def make_absorptions(many: int) -> dict[str, Absorption]:
    """Zones that absorbed, the last the most."""
    return {
        f"T{n}": Absorption(LARGE, "bid", LARGE, LARGE, 1.0, 1.0, n + 1.0, 60, LARGE, T0, T0, True, 1.0, -1234.1234)
        for n in range(many)
    }


@pytest.mark.parametrize("many", [0, 3, 60])
def test_the_largest_flow_fits(many: int) -> None:
    """What is listed and what is counted make up all there is, and the strongest and newest are kept."""
    zones, tests = zones_of(many)
    result = render_flow(a_flow(many), zones, tests, make_absorptions(many), 8)
    assert size(result) <= MAX_BYTES
    for name in ("tests", "naked_points", "sweeps"):
        assert len(result[name]) + result[f"more_{name}"] == many
    at_zones = result["absorption"]["at_zones"]
    assert len(at_zones) + result["absorption"]["more_at_zones"] == many
    assert [z for _, _, _, z, _ in at_zones] == [many - n for n in range(len(at_zones))]
    for name in ("heaviest", "stacks"):
        assert len(result["footprint"][name]) + result["footprint"][f"more_{name}"] == many
    assert [t["id"] for t in result["tests"]] == [f"T{n}" for n in range(len(result["tests"]))]
    assert [s["levels"] for s in result["sweeps"]] == [many - 1 - n for n in range(len(result["sweeps"]))]
    assert min(many, 1) <= len(result["tests"]) < 10


def a_wall(side: Side, n: int) -> StandingWall:
    wall = Wall(WallBin(LARGE - n, LARGE, 0.1234, 12345.12), LARGE, 0.1234, 5, 59, True, True)
    life = WallLife("absorbing", LARGE, -1234.1234)
    return StandingWall(f"W{side[0]}{n}", side, wall, life, -1234.12, 1.0, 0.1234, 12345.12)


def a_side(side: Side, many: int) -> StaticSide:
    """A side with many of everything."""
    book = BookSide(side, LARGE, ONE_E8, np.array([LARGE]), 1, float(LARGE), 1234.12, np.array([1.0]))
    return StaticSide(
        book=book, walls=[a_wall(side, n) for n in range(many)], outliers=many,
        bands=[Band(side, LARGE, LARGE, LARGE, LARGE, 12.12, 123.12, 123.12, 123.12)] * many, current_bands=many,
        voids=[LiquidityVoid(side, *[LARGE] * 4, float(LARGE), float(LARGE), 123.12, 123.12, False)] * many,
        thin_cells=many, null=NullCounts(1.23, 1.23, 1.23),
    )  # fmt: skip


def test_the_largest_books_fit() -> None:
    """Walls, bands, voids and endings in the longest figures: the heaviest walls stay, each list adds up."""
    sides = {side: a_side(side, 40) for side in SIDES}
    ended_walls = [EndedWall("ask", LARGE, 0.1234, "pulled", T0 + n * MINUTE_NS, LARGE) for n in range(40)]
    besides = [WallBin(LARGE + i * ONE_E8, 2**60, 0.9999, 12345.67) for i in range(20)]
    books = {s: side_result.book for s, side_result in sides.items()}
    now = CurrentBook(books, dict.fromkeys(books, besides), {s: side_result.bands for s, side_result in sides.items()})
    static = StaticBook(None, 60, float(LARGE), ONE_E8, sides, ended_walls, now)
    result = render_static(static, 0.000123456, "a fit " + "with a long name " * 20, 8)
    assert size(result) <= MAX_BYTES
    for side, side_result in sides.items():
        output = result[side]
        for name in ("walls", "bands", "vacuums"):
            items = getattr(side_result, "voids" if name == "vacuums" else name)
            assert len(output[name]) + output[f"more_{name}"] == len(items) == 40
        assert [w["id"] for w in output["walls"]] == [f"W{side[0]}{n}" for n in range(len(output["walls"]))]
        assert output["walls"]
    assert len(result["ended"]["last"]) + result["ended"]["more"] == result["ended"]["pulled"] == 40
    assert set(result["book_now"]["walls"]) == {w["id"] for s in ("bid", "ask") for w in result[s]["walls"]}


# The rule itself


@given(st.lists(st.text(max_size=30), max_size=12), st.lists(st.integers(0, 10**6), max_size=12), st.integers(0, 300))
def test_nothing_goes_uncounted_and_nothing_goes_for_nothing(texts: list[str], numbers: list[int], most: int) -> None:
    """Heads of the lists remain, what went is counted, it fits or nothing is left, and one item more would not fit."""
    result: dict[str, Any] = {"a": list(texts), "more_a": 0, "b": list(numbers), "more_b": 5}
    full_size = size(result)
    lists = [ItemList(result, "a", "more_a"), ItemList(result, "b", "more_b")]
    cut = trim_to(result, lists, most)
    assert cut is result
    assert result["a"] == texts[: len(result["a"])]
    assert result["b"] == numbers[: len(result["b"])]
    assert (len(result["a"]) + result["more_a"], len(result["b"]) + result["more_b"]) == (len(texts), len(numbers) + 5)
    assert size(result) <= most or (result["a"], result["b"]) == ([], [])
    if full_size <= most:
        assert (result["more_a"], result["more_b"]) == (0, 5)


def test_what_is_said_elsewhere_of_a_dropped_item_goes_with_it() -> None:
    """The heavier list gives first; a wall's word in the book now goes with the wall."""
    walls = [{"id": f"W{n}", "text": "x" * 100} for n in range(3)]
    now = {f"W{n}": n for n in range(3)}
    result: dict[str, Any] = {"walls": walls, "more": 0, "now": now, "few": ["y"], "more_few": 0, "none": None, "m": 0}
    lists = [ItemList(result, "few", "more_few"), ItemList(result, "walls", "more", now), ItemList(result, "none", "m")]
    trim_to(result, lists, 250)
    assert ([w["id"] for w in result["walls"]], result["more"], list(now)) == (["W0"], 2, ["W0"])
    assert (result["few"], result["none"]) == (["y"], None)
