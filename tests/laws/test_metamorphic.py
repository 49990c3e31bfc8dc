"""
Laws over the whole analysis of a whole market: move it, scale it, mirror it, reorder what has no order.

The market is made by chance around planted walls, bands and voids that stand well clear of their thresholds. Prices
lie in the middle of their dollar and the book ends inside the corridor, so that a shift by whole thousands and a mirror
at a whole thousand map bins to bins and rows to rows, and no width in basis points moves a structure over an edge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recommendation import Advice
from agents.rules import RulesAnalyst
from analysis.book.static_book import StaticSide
from analysis.book.voids import LiquidityVoid
from analysis.evidence import Evidence
from analysis.observe import Findings, Observer
from analysis.parameters import Parameters
from analysis.render.view_json import render_view
from analysis.trades.acceptance import Profile
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, INSTRUMENT, SNAPSHOT
from exchanges.binance.levels import parse_book_side
from market.arrays import I64
from market.errors import BadNumber
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.book.snapshot_window import Snapshot
from projections.state import MarketState, TickEntry, Windows, read_ticks
from runtime.loop import drive
from tests import builders
from tests.market_builders import (
    T0,
    Columns,
    batches,
    book_columns,
    instrument_columns,
    numbered,
    tick_columns,
    trade_columns,
)

PIVOT = 100_000
MINUTES = 40
BINS = 800
WINDOWS = Windows(bucket_minutes=60, snapshot_slots=30, trade_minutes=60)
RULES = Parameters(horizons_min=(30, 60), rival_bp=11.0)  # at 10 bp, $100, rows of $20 end just there
SEEDS = [1, 2, 3]


@dataclass(frozen=True)
class Made:
    """A market: trades as columns, and the sizes of both sides of its books by minute and by bin from the mid."""

    mid: int
    times_ns: I64
    price_e8: I64
    quantity_e8: I64
    sold: np.ndarray[Any, np.dtype[np.bool_]]
    bids_e8: I64
    asks_e8: I64

    def books(self) -> list[Snapshot]:
        """A book a minute: one level in the middle of each bin."""
        away = np.arange(BINS) * ONE_E8 + ONE_E8 // 2
        middle = self.mid * ONE_E8
        return [
            Snapshot(
                0, T0 + m * MINUTE_NS, T0 + m * MINUTE_NS, 1000 + m, 5000, middle - away, bids, middle + away, asks
            )
            for m, (bids, asks) in enumerate(zip(self.bids_e8, self.asks_e8, strict=True))
        ]

    def shifted(self, dollars: int) -> "Made":
        """The same market at other prices."""
        return Made(self.mid + dollars, self.times_ns, self.price_e8 + dollars * ONE_E8, self.quantity_e8, self.sold,
                    self.bids_e8, self.asks_e8)  # fmt: skip

    def scaled(self, factor: int) -> "Made":
        """The same market in other sizes."""
        return Made(self.mid, self.times_ns, self.price_e8, self.quantity_e8 * factor, self.sold,
                    self.bids_e8 * factor, self.asks_e8 * factor)  # fmt: skip

    def mirrored(self) -> "Made":
        """Bids for asks, sells for buys, prices reflected at the mid."""
        return Made(self.mid, self.times_ns, 2 * self.mid * ONE_E8 - self.price_e8, self.quantity_e8, ~self.sold,
                    self.asks_e8, self.bids_e8)  # fmt: skip


def made(seed: int) -> Made:
    """A market by chance with a wall at each of 150 and 300 below and 90 and 500 above, and what `_planted` adds."""
    chance = np.random.default_rng(seed)
    n = MINUTES * 30
    times = T0 + np.sort(chance.integers(0, MINUTES * MINUTE_NS, n))
    away = np.rint(chance.normal(0, 45, n)).astype(np.int64)
    away = np.where(chance.random(n) < 0.25, chance.integers(-12, 8, n), away)
    quantity = chance.integers(10**6, 10**7, n)
    sides = np.rint(chance.uniform(80, 120, (2, MINUTES + 1, BINS))).astype(np.int64) * 10**6
    sides += chance.integers(0, 10**5, sides.shape)  # no two bins are equal
    _planted(sides)
    sides -= sides % 4  # medians and half-dollar costs are then whole counts, which scale without rounding
    price = PIVOT * ONE_E8 + away * ONE_E8 + ONE_E8 // 2
    return Made(PIVOT, times, price, quantity, chance.random(n) < 0.5, sides[0], sides[1])


def _planted(sides: I64) -> None:
    """Walls that stand, go, move and are consumed; a band; a void in the last three books."""
    bids, asks = sides
    bids[:, 150] = 6_000_000_017
    bids[20:, 300] = 4_000_000_013
    asks[:, 90] = 3_000_000_011
    asks[:, 600] = 5_000_000_019
    asks[10:33, 700] = 7_000_000_023  # pulled
    bids[12:34, 650] = 7_000_000_029  # moved
    bids[34:, 652] = 7_000_000_031
    bids[:, 430:570] *= 6
    asks[-3:, 230:350] //= 20


def looked(market: Made) -> tuple[Findings, bytes, Advice]:
    """What is found at the last tick, the whole view's bytes, and the advice."""
    trades = trade_columns(
        market.times_ns, market.price_e8, market.quantity_e8, market.sold, np.arange(1, len(market.times_ns) + 1)
    )
    return at_the_end(trades, market.books())


def at_the_end(trades: Columns, books: Sequence[Snapshot]) -> tuple[Findings, bytes, Advice]:
    """What is found at the end of the last minute but one of the books."""
    state = MarketState(WINDOWS)
    observer, rules = Observer("TESTUSDT", state, RULES), RulesAnalyst(RULES)
    found: list[tuple[Findings, bytes, Advice]] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if tick.boundary_ns == T0 + MINUTES * MINUTE_NS:
            view = observer.observe(tick, now)
            found.append((observer.find(now), render_view(view), rules.decide(view)))

    parts = {
        INSTRUMENT: instrument_columns(T0),
        AGG_TRADE: trades,
        SNAPSHOT: book_columns(books, [b.request_ns + SECOND_NS // 2 for b in books]),
        TICK: tick_columns([T0 + m * MINUTE_NS for m in range(1, MINUTES + 1)], lag_ns=SECOND_NS),
    }
    drive(batches(numbered(parts)), state, on_tick)
    return found[0]


def sides_of(found: Findings) -> dict[Any, StaticSide]:
    """Both sides of the newest book."""
    assert found.static.sides is not None
    return dict(found.static.sides)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_control_finds_what_was_planted(seed: int) -> None:
    """The laws below are about something: every kind of structure is there, on the side where it was planted."""
    found, _, advice = looked(made(seed))
    sides = sides_of(found)
    walls = {s: sorted(abs(w.wall.bin.price_e8 // ONE_E8 - PIVOT) for w in sides[s].walls) for s in sides}
    assert walls == {"bid": [151, 301, 653], "ask": [90, 600]}
    assert [len(sides[s].bands) for s in ("bid", "ask")] == [1, 0]
    assert [len(sides[s].voids or []) for s in ("bid", "ask")] == [0, 1]
    assert [(e.side, e.ending) for e in found.static.ended_walls] == [("ask", "pulled"), ("bid", "moved")]
    assert [(sides[s].current_bands, sides[s].thin_cells) for s in ("bid", "ask")] == [(1, 0), (0, 1)]
    assert advice.stance == "two_sided"
    assert len(found.zones) >= 4


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("thousands", [-3, -1, 1, 3])
def test_prices_shifted(seed: int, thousands: int) -> None:
    """
    Every price $1000·k higher: the same walls, endings, bands, voids, control points and value areas with the same
    figures, each $1000·k higher. Only what is measured in cells of distance changes, by what k % of the distance makes:
    ratios to the usual, and a void's quantity and median.
    """
    move = thousands * 1000 * ONE_E8
    (one, _, first), (two, _, second) = looked(made(seed)), looked(made(seed).shifted(thousands * 1000))
    for side, seen in sides_of(one).items():
        other = sides_of(two)[side]
        assert [_moved(w, move) for w in seen.walls] == [_moved(w, 0) for w in other.walls]
        assert other.book.corridor_depth_e8 == seen.book.corridor_depth_e8
        assert len(other.bands) == len(seen.bands)
        for a, b in zip(seen.bands, other.bands, strict=True):
            assert (b.low_e8, b.high_e8, b.quantity_e8) == (a.low_e8 + move, a.high_e8 + move, a.quantity_e8)
            assert b.ratio == pytest.approx(a.ratio, rel=0.05)
        assert seen.voids is not None
        assert other.voids is not None
        assert [(v.low_e8, v.high_e8, v.censored) for v in other.voids] == [
            (v.low_e8 + move, v.high_e8 + move, v.censored) for v in seen.voids
        ]
        for v, w in zip(seen.voids, other.voids, strict=True):
            assert (w.quantity_e8, w.median_e8) == pytest.approx((v.quantity_e8, v.median_e8), rel=0.05)
            assert w.cost - v.cost == pytest.approx(thousands * 1000 * held_inside(seen, v), rel=1e-6)
    assert [(e.side, e.price_e8 + move, e.share, e.ending, e.minute_ns) for e in one.static.ended_walls] == [
        (e.side, e.price_e8, e.share, e.ending, e.minute_ns) for e in two.static.ended_walls
    ]
    for profile, other in profiles_of(one, two):
        assert other.volume_e8 == profile.volume_e8
        assert other.poc_e8 == profile.poc_e8 + move
        assert other.value_area_e8 == tuple(edge + move for edge in profile.value_area_e8)
    assert second.stance == first.stance


def profiles_of(one: Findings, two: Findings) -> Iterator[tuple[Profile, Profile]]:
    """The volume profiles of both by horizon; there is one at least, and the same ones in both."""
    assert one.flow.profiles is not None
    assert two.flow.profiles is not None
    assert {m for m, p in one.flow.profiles.items() if p} == {m for m, p in two.flow.profiles.items() if p} != set()
    for minutes, profile in one.flow.profiles.items():
        other = two.flow.profiles[minutes]
        if profile is not None and other is not None:
            yield profile, other


def held_inside(seen: StaticSide, thin: LiquidityVoid) -> int:
    """What the bins between a void's edges hold: that which its cost is of."""
    near = thin.low_e8 if thin.side == "ask" else thin.high_e8 - ONE_E8
    return int(seen.book.quantities_from(near, (thin.high_e8 - thin.low_e8) // ONE_E8).sum())


def _moved(standing: Any, move: int) -> tuple[Any, ...]:
    wall, life = standing.wall, standing.life
    return (
        standing.id, wall.bin.price_e8 + move, wall.bin.quantity_e8, wall.bin.share, wall.heavy_price_e8 + move,
        wall.heavy_share, wall.appearances, wall.age_min, wall.censored, wall.major, life, standing.persistence,
        standing.pull_probability, standing.minutes_to_consume, standing.strength,
    )  # fmt: skip


QUANTITIES = {"quantity", "corridor_depth", "near_depth", "absorbed", "usual", "cost_to_cross", "volume", "delta"}
ROUNDED = {"minute", "window", "bucket", "ema_60s", "ema_300s", "ema_slope_60s", "ema_slope_300s"}
"""Sums in coins to four decimals, of book flow: a multiple of the rounded is not the rounded multiple."""


def times(value: Any, factor: int, name: str = "") -> Any:
    """A rendered view with every quantity multiplied, all else as it is; digests and rounded sums are left out."""
    if isinstance(value, dict):
        sums = name == "cvd" and value["id"] == "O.cvd"
        inside = {k: "volume" if sums and k != "id" else k for k in value if k != "state"}
        return {k: times(value[k], factor, what) for k, what in inside.items()}
    if name == "heaviest":  # of the footprint: side, row, volume, ratio
        return [[side, row, times(volume, factor, "volume"), ratio] for side, row, volume, ratio in value]
    if isinstance(value, list):
        return [times(v, factor, name) for v in value]
    if isinstance(value, float) and name in ROUNDED | QUANTITIES:
        return None
    if isinstance(value, str) and name in QUANTITIES:
        product = format(Decimal(value) * factor, "f")
        return product.rstrip("0").rstrip(".") if "." in product else product
    return value


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("factor", [2, 3, 10])
def test_sizes_scaled(seed: int, factor: int) -> None:
    """Every size of every trade and level times a factor: quantities are multiplied, all the rest stays to the byte."""
    (_, one, first), (_, two, second) = looked(made(seed)), looked(made(seed).scaled(factor))
    expected, shown = times(msgspec.json.decode(one), factor), times(msgspec.json.decode(two), 1)
    for tool in ("depth_snapshot_analytsis", "orderflow_analysys"):
        assert shown[tool] == expected[tool]
    assert shown == expected
    assert second.render() == first.render()


def _place(piece: Evidence, mirror: bool) -> tuple[Any, ...]:
    """What a piece says but for its id; the price of all but walls is the lower edge of a bin of one dollar."""
    low, high, price = piece.low_e8, piece.high_e8, piece.price_e8
    if piece.basis == "band":
        high += 1  # the last count below the upper edge
    if mirror:
        middle, width = 2 * PIVOT * ONE_E8, 0 if piece.basis == "wall" else ONE_E8
        low, high, price = middle - high, middle - low, middle - price - width
    return piece.basis, piece.horizon_min, low, high, price, piece.strength


@pytest.mark.parametrize("seed", SEEDS)
def test_the_book_in_a_mirror(seed: int) -> None:
    """Bids for asks, prices reflected: each side shows what the other showed, reflected, shuffled books included."""
    one, two = looked(made(seed))[0], looked(made(seed).mirrored())[0]
    middle = 2 * PIVOT * ONE_E8
    for side, opposite in (("bid", "ask"), ("ask", "bid")):
        seen, other = sides_of(one)[side], sides_of(two)[opposite]
        assert [w.distance_bp for w in seen.walls] == [-w.distance_bp for w in other.walls]
        for a, b in zip(seen.walls, other.walls, strict=True):
            assert middle - a.wall.bin.price_e8 - ONE_E8 == b.wall.bin.price_e8
            assert middle - a.wall.heavy_price_e8 == b.wall.heavy_price_e8
            assert a.wall.bin.contrast == b.wall.bin.contrast
            assert _moved(a, 0)[2:4] + _moved(a, 0)[5:] == _moved(b, 0)[2:4] + _moved(b, 0)[5:]
        assert [(middle - b.high_e8, middle - b.low_e8, b.quantity_e8, b.ratio, b.effective, b.near_bp, b.far_bp)
                for b in seen.bands] == [(b.low_e8, b.high_e8, b.quantity_e8, b.ratio, b.effective, b.near_bp, b.far_bp)
                                         for b in other.bands]  # fmt: skip
        assert [(middle - v.high_e8, middle - v.low_e8, v.quantity_e8, v.median_e8, v.near_bp, v.far_bp, v.censored)
                for v in seen.voids or []] == [
            (v.low_e8, v.high_e8, v.quantity_e8, v.median_e8, v.near_bp, v.far_bp, v.censored)
            for v in other.voids or []
        ]  # fmt: skip
        for v, w in zip(seen.voids or [], other.voids or [], strict=True):
            assert v.cost + w.cost == pytest.approx(2 * PIVOT * held_inside(seen, v), rel=1e-9)
        assert (seen.near_depth_e8, seen.outliers, seen.current_bands, seen.thin_cells, seen.null) == (
            other.near_depth_e8, other.outliers, other.current_bands, other.thin_cells, other.null)  # fmt: skip
    swapped = {"bid": "ask", "ask": "bid"}
    assert sorted(
        (swapped[e.side], middle - e.price_e8 - ONE_E8, e.share, e.ending) for e in one.static.ended_walls
    ) == sorted((e.side, e.price_e8, e.share, e.ending) for e in two.static.ended_walls)


@pytest.mark.parametrize("seed", SEEDS)
def test_trades_in_a_mirror(seed: int) -> None:
    """Profiles, evidence and zones are reflected too; what tests made of a zone may differ as σ does, by a little."""
    (one, _, first), (two, _, second) = looked(made(seed)), looked(made(seed).mirrored())
    for profile, other in profiles_of(one, two):
        assert (other.volume_e8, other.trades, other.rival) == (profile.volume_e8, profile.trades, profile.rival)
        assert other.delta_e8 == -profile.delta_e8
        turned = 2 * PIVOT * ONE_E8
        assert other.poc_e8 == turned - profile.poc_e8 - profile.row_e8
        assert other.value_area_e8 == tuple(turned - edge for edge in profile.value_area_e8[::-1])
        assert [(turned - node.price_e8 - ONE_E8, node.prominence) for node in profile.hvn[::-1]] == [
            (node.price_e8, node.prominence) for node in other.hvn
        ]
    shown = [e for e in one.evidence if e.leg != "validation"]
    assert sorted(_place(e, mirror=True) for e in shown) == sorted(
        _place(e, mirror=False) for e in two.evidence if e.leg != "validation"
    )
    stances = {"two_sided": "two_sided", "bid_only": "ask_only", "ask_only": "bid_only", "stand_aside": "stand_aside"}
    assert second.stance == stances[first.stance]
    assert sorted(z.side == "buy" for z in first.zones) == sorted(z.side == "sell" for z in second.zones)
    walls = [{e.price_e8: z for z in found.zones for e in z.evidence if e.basis == "wall"} for found in (one, two)]
    assert sorted(2 * PIVOT * ONE_E8 - p for p in walls[0]) == sorted(walls[1])
    for price, zone in walls[0].items():
        mirrored = walls[1][2 * PIVOT * ONE_E8 - price]
        assert set(mirrored.legs) == set(zone.legs)
        assert mirrored.score == pytest.approx(zone.score, abs=0.05)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6))
def test_trades_that_arrive_together_have_no_order(seed: int) -> None:
    """Trades of one arrival, logged in any order, go by agg id: views and advice are the same to the byte."""
    market = made(1)
    n = len(market.times_ns)
    arrival = np.maximum(-(-market.times_ns // (20 * SECOND_NS)) * 20 * SECOND_NS - 1, market.times_ns)
    mixed = np.lexsort((np.random.default_rng(seed).random(n), arrival))
    seen = []
    for order in (np.arange(n), mixed):
        trades = trade_columns(
            arrival[order], market.price_e8[order], market.quantity_e8[order], market.sold[order], 1 + order,
            market.times_ns[order],
        )  # fmt: skip
        _, view, advice = at_the_end(trades, market.books())
        seen.append((view, advice.render()))
    assert (mixed != np.arange(n)).any()
    assert seen[0] == seen[1]


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=30, unique=True), st.randoms(), st.sampled_from([1, -1]))
def test_levels_of_a_snapshot_have_one_order(ticks: list[int], chance: Any, direction: int) -> None:
    """The venue writes best first; levels in any other order are refused, so no analysis ever sees them."""
    ordered = sorted(ticks, key=lambda t: direction * t)
    levels = [(str(t), "1") for t in ordered]
    prices, _ = parse_book_side(levels, 8, direction)
    assert prices.tolist() == [t * ONE_E8 for t in ordered]
    other = list(levels)
    chance.shuffle(other)
    if other != levels:
        with pytest.raises(BadNumber, match="does not follow"):
            parse_book_side(other, 8, direction)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.randoms())
def test_levels_of_an_update_have_no_order(chance: Any) -> None:
    """The changed levels of one diff, in any order, make the same book and the same analysis."""
    bids = [(f"{99 - i / 10:.1f}", str(i + 1)) for i in range(12)]
    asks = [(f"{101 + i / 10:.1f}", str(i % 3)) for i in range(12)]
    views = []
    for shuffled in (False, True):
        other = [list(bids), list(asks)]
        for side in other if shuffled else []:
            chance.shuffle(side)
        facts = [
            builders.an_instrument(),
            builders.a_snapshot([("99.5", "2"), ("98.3", "1")], [("100.5", "2"), ("101.2", "3")]),
            builders.a_trade(1, "100", at_ns=builders.T0 + SECOND_NS),
            builders.a_diff(11, 12, other[0], other[1], builders.T0 + 2 * SECOND_NS),
            builders.a_tick(),
        ]
        state = MarketState(WINDOWS)
        batch = builders.a_batch(facts)
        state.apply(batch)
        (tick,) = read_ticks(batch.rows[TICK])
        state.close(tick)
        assert state.order_book.status == "live"
        views.append(render_view(Observer("BTCFDUSD", state, RULES).observe(tick, state)))
    assert views[0] == views[1]
