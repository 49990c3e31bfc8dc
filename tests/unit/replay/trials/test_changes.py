"""Markets made other markets: every price, time and side moves as it is said to, and nothing else does."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rules import RulesAnalyst
from eventlog.store.batch import Batch
from eventlog.store.log import Log
from market.fixed_point import ONE_E8
from replay.decisions import ticks_between
from replay.trials.changes import NO_CHANGE, OTHER_SYMBOL, YEAR_NS, MarketChange, mirror_sum_e8
from replay.trials.counterfactual import live_ticks, select_ticks, views_at
from runtime.analysis_config import AnalysisConfig
from tests.builders import a_batch, a_diff, a_snapshot, a_tick, a_trade, an_instrument
from tests.market_builders import SIGHT, SMALL, a_market, a_zone, batches, e8, write_log

TICK_E8 = ONE_E8 // 100
MIRROR = mirror_sum_e8(e8("20123.45"), 1000 * ONE_E8, TICK_E8)


def tables_of(changed_batches: Iterable[Batch]) -> dict[str, pa.Table]:
    """All rows by kind."""
    tables: dict[str, list[pa.Table]] = {}
    for batch in changed_batches:
        for kind, rows in batch.rows.items():
            tables.setdefault(kind, []).append(rows.table())
    return {kind: pa.concat_tables(parts).combine_chunks() for kind, parts in tables.items()}


def a_stretch() -> list[Batch]:
    """One entry of each kind, in two batches that share their tables."""
    facts = [
        an_instrument(),
        a_snapshot([("99.5", "2"), ("98.25", "1")], [("100.5", "2"), ("101.25", "3")]),
        a_trade(1, "100.25"),
        a_trade(2, "99.75"),
        a_diff(11, 12, [("99.5", "0")], [("100.75", "4"), ("102", "5")]),
        a_tick(),
    ]
    original = a_batch(facts)
    return list(original.split_after(np.array([original.first_seq + 2], np.int64)))


def test_prices_are_shifted() -> None:
    """Trades and every level of books and updates, and no quantity or time."""
    before, after = tables_of(a_stretch()), tables_of(MarketChange("", shift_e8=10 * ONE_E8).batches(a_stretch()))
    assert after["agg_trade"]["price_e8"].to_pylist() == [e8("110.25"), e8("109.75")]
    assert after["snapshot"]["bid_price_e8"].to_pylist() == [[e8("109.5"), e8("108.25")]]
    assert after["diff"]["ask_price_e8"].to_pylist() == [[e8("110.75"), e8("112")]]
    prices = {"price_e8", "bid_price_e8", "ask_price_e8"}
    for kind, table in before.items():
        names = [name for name in table.column_names if name not in prices]
        assert after[kind].select(names).equals(table.select(names))


def test_a_mirror_swaps_the_sides() -> None:
    """Prices and their images sum to the mirror; bids become asks, best first; the aggressor is the other."""
    before, after = tables_of(a_stretch()), tables_of(MarketChange("", mirror_e8=e8("200")).batches(a_stretch()))
    assert after["agg_trade"]["price_e8"].to_pylist() == [e8("99.75"), e8("100.25")]
    assert after["agg_trade"]["buyer_is_maker"].to_pylist() == [
        not seller for seller in before["agg_trade"]["buyer_is_maker"].to_pylist()
    ]
    assert after["snapshot"]["bid_price_e8"].to_pylist() == [[e8("99.5"), e8("98.75")]]
    assert after["snapshot"]["ask_price_e8"].to_pylist() == [[e8("100.5"), e8("101.75")]]
    assert after["snapshot"]["bid_quantity_e8"].equals(before["snapshot"]["ask_quantity_e8"])
    assert after["diff"]["bid_price_e8"].to_pylist() == [[e8("99.25"), e8("98")]]
    assert after["diff"]["ask_quantity_e8"].to_pylist() == [[0]]


def test_labels_are_changed() -> None:
    """The symbol of the grid, and every time by 52 weeks; an interval is no time, and what was null stays so."""
    relabelling = MarketChange("", symbol=OTHER_SYMBOL, later_ns=YEAR_NS)
    before, after = tables_of(a_stretch()), tables_of(relabelling.batches(a_stretch()))
    assert after["instrument"]["symbol"].to_pylist() == [OTHER_SYMBOL]
    times = {("agg_trade", "trade_time_ns"), ("agg_trade", "recv_ns"), ("snapshot", "request_ns"),
             ("diff", "event_time_ns"), ("tick", "boundary_ns"), ("instrument", "recv_ns")}  # fmt: skip
    for kind, name in sorted(times):
        time_columns = np.array(after[kind][name].to_pylist()) - np.array(before[kind][name].to_pylist())
        assert set(time_columns.tolist()) == {YEAR_NS}
    assert after["tick"]["interval_ns"].equals(before["tick"]["interval_ns"])
    assert YEAR_NS % (7 * 86_400 * 10**9) == 0


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (MarketChange("", shift_e8=123 * ONE_E8), MarketChange("", shift_e8=-123 * ONE_E8)),
        (MarketChange("", mirror_e8=MIRROR), MarketChange("", mirror_e8=MIRROR)),
        (MarketChange("", later_ns=YEAR_NS), MarketChange("", later_ns=-YEAR_NS)),
    ],
)
def test_there_and_back_is_nothing(there: MarketChange, back: MarketChange) -> None:
    """A change undone leaves the log as it was, cut into batches anywhere."""
    market = a_market(7, 12)
    cut = list(batches(market, [100, 101, 250]))
    assert tables_of(back.batches(there.batches(cut))) == tables_of(batches(market))
    assert tables_of(NO_CHANGE.batches(cut)) == tables_of(batches(market))


@given(st.integers(1, 10**7), st.integers(0, 10**7), st.sampled_from([1, 100, 10_000]))
def test_a_mirror_keeps_ticks_dollars_and_rows(ticks: int, near: int, row: int) -> None:
    """The image of a tick is a tick, and prices share a dollar or a row exactly when their images do."""
    mirror = mirror_sum_e8(near * TICK_E8, 1000 * ONE_E8, TICK_E8)
    price, width = ticks * TICK_E8, row * TICK_E8
    image = mirror - price
    assert image % TICK_E8 == 0
    low = price // width * width
    inside = {(mirror - p) // width for p in (low, price, low + width - TICK_E8)}
    assert len(inside) == 1


@given(st.integers(1, 10**6), st.integers(0, 500), st.sampled_from(["buy", "sell"]))
def test_zones_are_mapped_back(low: int, width: int, side: Any) -> None:
    """What was decided about the image is said about the market itself: a shift undone, a mirrored side turned."""
    zone, shifted = (a_zone(side, f"{move + low / 100:.2f}", f"{move + (low + width) / 100:.2f}") for move in (0, 5))
    assert MarketChange("", shift_e8=5 * ONE_E8).original_zone(shifted) == (side, zone.low_e8, zone.high_e8)
    side_back, image_low, image_high = MarketChange("", mirror_e8=MIRROR).original_zone(zone)
    assert (side_back, image_high - image_low) == ("sell" if side == "buy" else "buy", width * TICK_E8)
    again = a_zone(side_back, f"{image_low / ONE_E8:.2f}", f"{image_high / ONE_E8:.2f}")
    assert MarketChange("", mirror_e8=MIRROR).original_zone(again) == (side, zone.low_e8, zone.high_e8)


def test_stances_are_mapped_back() -> None:
    """A mirror turns one-sided stances, nothing else does."""
    mirror_change, shifted = MarketChange("", mirror_e8=1), MarketChange("", shift_e8=1)
    assert [mirror_change.original_stance(s) for s in ("bid_only", "ask_only", "two_sided", "stand_aside")] == [
        "ask_only", "bid_only", "two_sided", "stand_aside"
    ]  # fmt: skip
    assert shifted.original_stance("bid_only") == "bid_only"


def test_the_rules_do_not_read_labels(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Under another name and date the same market gives the same advice, to the byte but for both."""
    log: Log = write_log(tmp_path_factory.mktemp("log"), a_market(61, 50), segments=2)
    live = live_ticks(log, ticks_between(log, 0, 2**62))
    ticks = select_ticks(live, live.seq.tolist()[-10:])
    relabelling = MarketChange("", symbol=OTHER_SYMBOL, later_ns=YEAR_NS)
    sight = AnalysisConfig(OTHER_SYMBOL, SIGHT.windows, SIGHT.parameters)
    rules = RulesAnalyst(SMALL)
    plain = [rules.decide(v) for v in views_at(log, ticks, SIGHT)]
    other = [rules.decide(v) for v in views_at(log, ticks, sight, relabelling.batches)]
    assert [(a.zones, a.stance, a.reference_e8, a.sigma) for a in other] == [
        (a.zones, a.stance, a.reference_e8, a.sigma) for a in plain
    ]
    assert {a.symbol for a in other} == {OTHER_SYMBOL}
    assert [a.as_of_ns - YEAR_NS for a in other] == [a.as_of_ns for a in plain]
    assert sum(len(a.zones) for a in plain) > 10
