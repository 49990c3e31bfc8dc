"""Where trade went on, over horizons: control point, rival, value area, nodes, and the evidence they give."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.evidence import Evidence
from analysis.parameters import Parameters
from analysis.render.flow_groups import profiles_group
from analysis.trades.acceptance import build_profiles
from analysis.trades.volume_profile import build_rows, find_control_point, find_value_area
from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch
from eventlog.transfer.importing import table
from market.arrays import I64
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from projections.trades.minute_buckets import MinuteBuckets
from projections.trades.volume_profile import IncrementalProfile
from tests.market_builders import T0, e8, trade_columns

RULES = Parameters()
VECTOR = {100: 5, 101: 12, 102: 30, 103: 20, 104: 15, 105: 10, 106: 5, 107: 3}
"""docs/measures.md §3: volume by row of one dollar."""


def render(
    volumes: Mapping[int, Mapping[Any, float]], reference: Any, end_minute: int = 1, horizons: tuple[int, ...] = (60,),
    rules: Parameters = RULES,
) -> tuple[dict[str, Any], dict[str, Evidence]]:  # fmt: skip
    """Profiles and evidence by id of volumes bought at some prices in some minutes, in levels of a dollar."""
    rows = [(T0 + m * MINUTE_NS, e8(p), e8(q)) for m, by_price in volumes.items() for p, q in by_price.items()]
    buckets = MinuteBuckets(max(horizons))
    if rows:
        times, prices, quantities = (np.array(c, np.int64) for c in zip(*rows, strict=True))
        columns = {"seq": np.arange(1, len(rows) + 1), **trade_columns(times, prices, quantities)}
        buckets.apply(Batch.from_tables(1, len(rows), {AGG_TRADE: table(AGG_TRADE, columns)}))
    buckets.close(T0 + end_minute * MINUTE_NS)
    profiles = [IncrementalProfile(buckets, h) for h in horizons]
    for profile in profiles:
        profile.refresh()
    result, evidence = build_profiles(profiles, None if reference is None else e8(reference), ONE_E8, rules)
    return profiles_group(result, 8), {e.id: e for e in evidence}


def of_vector() -> I64:
    """The vector's rows."""
    return build_rows(np.array(list(VECTOR)) * ONE_E8, np.array(list(VECTOR.values())), ONE_E8).total_e8


def test_the_value_area_of_the_published_vector() -> None:
    """Two rows a step: POC 102, [100, 104], 82 %. One row a step: [101, 104], 77 %."""
    start = find_control_point(build_rows(np.array(list(VECTOR)) * ONE_E8, of_vector(), ONE_E8), ONE_E8).row
    assert start == 2
    two, one = find_value_area(of_vector(), start, 0.7), find_value_area(of_vector(), start, 0.7, step=1)
    assert (two.low, two.high, two.share) == (0, 4, 0.82)
    assert (one.low, one.high, one.share) == (1, 4, 0.77)


def test_the_vector_as_it_is_told() -> None:
    """At a reference of 5000 rows are a dollar wide: the same figures, the area's upper edge included."""
    result, evidence = render({0: {4_900 + p: q for p, q in VECTOR.items()}}, 5_000)
    told_of = result["60min"]
    assert (told_of["row"], told_of["poc"], told_of["volume"], told_of["delta"]) == ("1", "5002", "100", "100")
    assert (told_of["value_area"], told_of["value_area_share"]) == (["5000", "5005"], 0.82)
    assert (told_of["covered_min"], told_of["trades"], told_of["rival_poc"]) == (1, 8, None)
    assert evidence["P60.poc"] == Evidence("P60.poc", "poc", "acceptance", e8(5_002), e8(5_003), e8(5_002), 1.0, 60)
    edges = [(evidence[f"P60.{name}"].low_e8, evidence[f"P60.{name}"].strength) for name in ("val", "vah")]
    assert edges == [(e8(5_000), 0.4), (e8(5_004), 0.4)]


def test_rows_are_two_basis_points_of_price() -> None:
    """$20 at 100000 (of 10, 20 and 50 the nearest to 20) and $10 at 60000; the heavy dollar in the row is its price."""
    at = {100_013: 1.0, 100_017: 3.0, 100_025: 2.0}
    result, evidence = render({0: at}, 100_000)
    assert (result["60min"]["row"], result["60min"]["poc"]) == ("20", "100000")
    assert evidence["P60.poc"].price_e8 == e8(100_017)
    assert render({0: {60_003: 1.0}}, 60_000)[0]["60min"]["row"] == "10"


def test_an_equal_control_point_is_the_one_nearer_the_middle_then_the_lower() -> None:
    """Of equal rows the one nearest the profile's centre; of two as near the lower."""
    assert render({0: {5_000: 9, 5_003: 9, 5_004: 9, 5_007: 1}}, 5_000)[0]["60min"]["poc"] == "5003"
    assert render({0: {5_000: 1, 5_001: 9, 5_004: 9, 5_005: 1}}, 5_000)[0]["60min"]["poc"] == "5001"
    assert render({0: {5_000: 9, 5_004: 9, 5_007: 1}}, 5_000)[0]["60min"]["poc"] == "5004"


@pytest.mark.parametrize(
    ("far", "rival", "ambiguous"), [(9.1, 0.91, True), (9.0, 0.9, False), (8.0, 0.8, False), (10.0, 1.0, True)]
)
def test_a_rival_above_nine_tenths_makes_it_ambiguous(far: float, rival: float, ambiguous: bool) -> None:
    """Both prices are then given, each at 0.7 of the weight; at nine tenths or less there is one point of control."""
    result, evidence = render({0: {5_003: 10.0, 5_004: 0.5, 5_011: far}}, 5_000)
    assert result["60min"]["rival"] == rival
    assert result["60min"]["rival_poc"] == ("5011" if ambiguous else None)
    assert ("P60.rival" in evidence) == ambiguous
    assert evidence["P60.poc"].strength == (0.7 if ambiguous else 1.0)


def test_a_row_within_ten_basis_points_is_no_rival() -> None:
    """At 5000 ten basis points are five dollars: a row five away belongs to the same place, one six away does not."""
    assert render({0: {5_000: 10.0, 5_005: 9.9}}, 5_000)[0]["60min"]["rival"] == 0.0
    assert render({0: {5_000: 10.0, 5_006: 9.9}}, 5_000)[0]["60min"]["rival"] == 0.99


def test_horizons_that_show_no_more_are_null() -> None:
    """After 90 minutes the hour and the four hours say something, the day nothing that the four hours did not."""
    minutes: dict[int, dict[Any, float]] = {m: {5_000 + m % 3: 1.0} for m in range(90)}
    result, evidence = render(minutes, 5_000, 90, (60, 240, 1440))
    assert [name for name, profile in result.items() if profile] == ["60min", "240min"]
    assert [result[n]["covered_min"] for n in ("60min", "240min")] == [60, 90]
    assert [result[n]["volume"] for n in ("60min", "240min")] == ["60", "90"]
    assert {e.horizon_min for e in evidence.values()} == {60, 240}


def test_nothing_traded() -> None:
    """Without a price there is nothing, with the reason; with one and no closed minute each horizon is null."""
    assert render({}, None) == ({"found": "nothing", "reason": "no trade in the window"}, {})
    assert render({}, 5_000) == ({"60min": None}, {})


def test_nodes_are_peaks_and_dips() -> None:
    """Two heaps of volume thirty dollars apart: a node at each, a dip half-way, weighted by prominence."""
    heap = {0: 9, 1: 6, 2: 3}
    volumes: dict[Any, float] = {4_980 + s * d: 10.0 * q for d, q in heap.items() for s in (1, -1)}
    volumes |= {5_010 + s * d: 5.0 * q for d, q in heap.items() for s in (1, -1)} | {4_970: 1.0, 5_020: 1.0}
    result, evidence = render({0: volumes}, 5_000, rules=replace(RULES, node_prominence=0.1))
    assert [row[1] for row in result["60min"]["hvn"]] == ["4980", "5010"]
    assert [row[2] for row in result["60min"]["hvn"]] == [1.0, 0.5]
    assert [row[1] for row in result["60min"]["lvn"]] == ["4995"]
    assert [row[0] for row in result["60min"]["hvn"]] == ["P60.hvn0", "P60.hvn1"]
    assert {(e.price_e8, e.strength) for e in evidence.values() if e.basis == "hvn"} == {
        (e8(4_980), 0.6), (e8(5_010), 0.3),
    }  # fmt: skip


def test_a_trade_far_out_of_this_world() -> None:
    """One trade at a billion times the price gets wide rows, not a billion of them."""
    result, _ = render({0: {1: 5.0, 2: 1.0, 10**9: 1.0}}, 1)
    assert result["60min"]["row"] == "2000"
    assert (result["60min"]["poc"], result["60min"]["trades"]) == ("0", 3)
