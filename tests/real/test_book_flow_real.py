"""The rebuilt book and its flow on real recordings, against the venue's own best quotes and published R²."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from analysis.flow.book_flow import book_flow
from analysis.flow.flow_grid import FlowGrid, build_grid
from analysis.flow.flow_measures import FlowR2, measure_r2
from analysis.parameters import BookFlowParameters
from analysis.render.flow_groups import book_flow_group
from eventlog.clock import ManualClock
from eventlog.facts.market import DIFF
from eventlog.names import LogName
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.recordings.recording import append_recording
from market.arrays import I64
from market.instrument import Market
from market.timestamps import SECOND_NS
from projections.book.book_levels import AFTER_GAP, APPLIED, APPLIED_UNQUOTED, STALE, UNUSABLE
from projections.book.order_book import OrderBook
from projections.state import READS, STATE_KINDS, MarketState, Windows
from runtime.loop import drive
from tests.builders import NOW

NAME = LogName("events", Market("binance", "BTCUSDT"))
END_NS = 1_723_161_905 * 10**9
"""The last whole second of the recording of 2024."""
YEARS = {"2021": ("2021-04-04",), "2024": ("2024-08-08", "2024-08-09")}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> dict[str, Log]:
    """Each recording as a log."""
    made = {}
    for year, days in YEARS.items():
        importer = Importer(ColdLog(tmp_path_factory.mktemp(year), NAME), ManualClock(NOW))
        for day in days:
            append_recording(importer, real_data / "recordings" / f"btcusdt-spot-{day}.gz")
        importer.close()
        made[year] = Log(importer.cold, None, BinanceMapper("BTCUSDT").decoders)
    return made


def batches(log: Log) -> Iterator[Batch]:
    """What the folds read."""
    return log.read(kinds=STATE_KINDS, columns=READS)


def book_tickers(folder: Path) -> dict[int, tuple[int, int, int, int]]:
    """The venue's own best quotes by update id, read with nothing but a JSON decoder."""
    found = {}
    for day in YEARS["2024"]:
        with gzip.open(folder / "recordings" / f"btcusdt-spot-{day}.gz") as file:
            for line in file:
                if b"@bookTicker" in line:
                    data = msgspec.json.decode(line.partition(b" ")[2])["data"]
                    bid, bid_quantity, ask, ask_quantity = (int(data[k].replace(".", "")) for k in "bBaA")
                    found[data["u"]] = (bid, bid_quantity, ask, ask_quantity)
    return found


@pytest.mark.parametrize(("year", "diffs", "before", "cut"), [("2021", 899, 1 + 9, 1), ("2024", 6_495, 3, 0)])
def test_no_diff_is_missing_and_no_book_is_crossed(
    logs: dict[str, Log], year: str, diffs: int, before: int, cut: int
) -> None:
    """Those before the snapshot or up to its id, and the one it cuts in two, are not read; all others form flow."""
    book = OrderBook()
    outcome = np.concatenate([s.outcome for b in batches(logs[year]) for s in book.apply(b)])
    assert len(outcome) == diffs
    assert {kind: int((outcome == kind).sum()) for kind in (UNUSABLE, APPLIED, STALE, APPLIED_UNQUOTED, AFTER_GAP)} == {
        UNUSABLE: before,
        APPLIED: diffs - before - cut,
        STALE: 0,
        APPLIED_UNQUOTED: cut,
        AFTER_GAP: 0,
    }
    assert book.usable


def test_the_best_quote_after_each_diff_is_the_venue_s(logs: dict[str, Log], real_data: Path) -> None:
    """1,072 bookTicker messages carry the update id of a diff; all agree, prices and quantities."""
    told = book_tickers(real_data)
    book, compared, equal = OrderBook(), 0, 0
    for batch in batches(logs["2024"]):
        for steps in book.apply(batch):
            for i in np.flatnonzero(steps.outcome == APPLIED).tolist():
                quote = told.get(int(steps.last_update_id[i]))
                if quote is not None:
                    (bid, bid_quantity), (ask, ask_quantity) = steps.tops[i + 1, :, 0].tolist()
                    compared += 1
                    equal += quote == (bid, bid_quantity, -ask, ask_quantity)
    assert (equal, compared) == (1_072, 1_072)


@pytest.fixture(scope="module")
def flows(logs: dict[str, Log]) -> tuple[dict[str, I64], FlowGrid]:
    """The seconds of 2024: diffs in that of their event time, trades in that of their trade time."""
    state = MarketState(Windows())
    drive(batches(logs["2024"]), state, lambda *_: None)
    state.book_flow.close(END_NS)
    grid = build_grid(state.book_flow.seconds())
    found = {"ofi1": grid.ofi_e8[:, 0], "ofi5": grid.ofi_e8.sum(axis=1)}
    return found | {"v13": grid.size_change_x20, "trades": grid.signed_e8}, grid


def ten_seconds(flows: tuple[dict[str, I64], FlowGrid], phase: int) -> dict[str, FlowR2]:
    """Intervals of ten seconds that begin so many seconds after a full ten of the clock."""
    columns, grid = flows
    cut = (phase - grid.start_ns // SECOND_NS) % 10
    return {name: measure_r2(flow[cut:], grid.mid_x2[cut:], grid.complete[cut:], 10) for name, flow in columns.items()}


def test_what_a_second_of_order_flow_explains(flows: tuple[dict[str, I64], FlowGrid]) -> None:
    """Found before by other means: best quote 0.40, trades 0.22, sizes by index 0.00, and 0.06 of the next second."""
    columns, grid = flows
    found = {name: measure_r2(flow, grid.mid_x2, grid.complete, 1) for name, flow in columns.items()}
    assert {name: row.intervals for name, row in found.items()} == dict.fromkeys(columns, 648)
    assert found["ofi1"].r2_same == pytest.approx(0.40, abs=0.01)
    assert found["ofi5"].r2_same == pytest.approx(0.437, abs=0.01)
    assert found["trades"].r2_same == pytest.approx(0.22, abs=0.01)
    assert found["v13"].r2_same == pytest.approx(0.0, abs=0.01)
    assert found["ofi1"].r2_next == pytest.approx(0.06, abs=0.01)
    assert found["trades"].r2_next == pytest.approx(0.0, abs=0.01)


def test_what_ten_seconds_of_order_flow_explain(flows: tuple[dict[str, I64], FlowGrid]) -> None:
    """Found before: best quote 0.62, trades 0.24; that is with intervals on the full ten of the clock."""
    found = ten_seconds(flows, 0)
    assert found["ofi1"].intervals == 64
    assert found["ofi1"].r2_same == pytest.approx(0.62, abs=0.01)
    assert found["ofi5"].r2_same == pytest.approx(0.626, abs=0.01)
    assert found["trades"].r2_same == pytest.approx(0.24, abs=0.01)
    assert found["v13"].r2_same == pytest.approx(0.0, abs=0.01)


def test_sixty_four_intervals_are_few(flows: tuple[dict[str, I64], FlowGrid]) -> None:
    """Begun at other seconds the same ten minutes say 0.51 to 0.63; OFI beats trades, five levels beat one."""
    phases = [ten_seconds(flows, phase) for phase in range(10)]
    best, five, trades = ([row[name].r2_same or 0.0 for row in phases] for name in ("ofi1", "ofi5", "trades"))
    assert (min(best), max(best)) == (pytest.approx(0.51, abs=0.01), pytest.approx(0.63, abs=0.01))
    assert (min(trades), max(trades)) == (pytest.approx(0.08, abs=0.01), pytest.approx(0.24, abs=0.01))
    assert [f > b > 2 * t for f, b, t in zip(five, best, trades, strict=True)] == [True] * 10


def test_book_flow_at_every_tick_of_ten_minutes(logs: dict[str, Log]) -> None:
    """Whole from the second minute on; every figure within its bounds, and the answer within its budget."""
    state = MarketState(Windows())
    seen = []

    def look(*_: object) -> None:
        found = book_flow(state.book_flow, state.order_book.status, state.tick_size_e8 or 1, BookFlowParameters())
        result = book_flow_group(found)
        seen.append((result, len(msgspec.json.encode(result))))

    drive(batches(logs["2024"]), state, look)
    assert len(seen) == 11
    assert max(size for _, size in seen) <= 2_500
    for result, _ in seen[2:]:
        assert result["book"] == "live"
        assert result["resets"] == 0
        assert abs(result["fusion"]["value"]) <= 10
        assert 0 < result["vpin"]["value"] < 1
        assert float(result["quote"]["bid"]) < float(result["quote"]["weighted_mid"]) < float(result["quote"]["ask"])
    assert seen[-1][0]["kyle"]["quote_per_base"] > 0


def test_the_diffs_of_a_log_are_read_without_their_extra(logs: dict[str, Log]) -> None:
    """Only the columns that the book needs."""
    (batch, *_) = [b for b in batches(logs["2021"]) if DIFF in b.rows]
    assert "extra" not in batch.rows[DIFF].columns.table.column_names
