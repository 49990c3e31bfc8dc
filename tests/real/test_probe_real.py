"""A recorded day at other prices, under another name, in a mirror: what the rules make of it."""

from pathlib import Path

import pytest

from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from eventlog.clock import ManualClock
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import read_agg_trades
from exchanges.binance.mapper import BinanceMapper
from market.fixed_point import ONE_E8
from market.instrument import Market
from projections.state import Windows
from replay.decisions import ticks_between
from replay.trials.changes import MarketChange
from replay.trials.counterfactual import views_at
from replay.trials.probe import Decisions, Row, market_changes, probe, select_every_nth
from runtime.analysis_config import AnalysisConfig
from tests.builders import NOW

NAME = LogName("events", Market("binance", "BTCUSDT"))
PARAMETERS = Parameters()

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def rows(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """Every half hour of 2024-01-01 from four in the morning on, through each change."""
    archive = real_data / "aggtrades" / "BTCUSDT-aggTrades-2024-01-01.zip"
    storage = tmp_path_factory.mktemp("probe_day")
    importer = Importer(ColdLog(storage, NAME), ManualClock(NOW))
    import_trades(importer, archive.name, read_agg_trades(archive))
    importer.close()
    log = Log(ColdLog(storage, NAME), None, BinanceMapper("BTCUSDT").decoders)
    morning_ns = 1_704_081_600 * 10**9
    ticks = select_every_nth(ticks_between(log, morning_ns, 2**62), 30)
    rules = RulesAnalyst(PARAMETERS)

    def decide(changed: MarketChange, _: int) -> Decisions:
        sight = AnalysisConfig(changed.symbol or "BTCUSDT", Windows(), PARAMETERS)
        return {view.as_of_seq: rules.decide(view) for view in views_at(log, ticks, sight, changed.batches)}

    tick_e8 = ONE_E8 // 100
    return {row.change: row for row in probe(decide, market_changes(42_500 * ONE_E8, tick_e8, (-1, 1)), tick_e8)}


def test_labels_and_repetition_change_nothing(rows: dict[str, Row]) -> None:
    """Another symbol, dates a year on, the same minute once more: every decision to the tick."""
    assert [rows[name].exactly.value for name in ("relabelled", "asked again")] == [1.0, 1.0]
    assert rows["relabelled"].n == 40


def test_shifts_keep_the_stance_and_the_zones(rows: dict[str, Row]) -> None:
    """A thousand dollars up or down is 2.4 %: widths follow the price, the stance and the places do not."""
    for name in ("-1000", "+1000"):
        assert rows[name].stance.value == 1.0
        assert (rows[name].overlap.value or 0) > 0.99
        assert (rows[name].closely.value or 0) > 0.8


def test_a_mirror_keeps_most(rows: dict[str, Row]) -> None:
    """Equal steps are unequal returns in a mirror: stance and places mostly stay, edges often move a little."""
    assert (rows["mirrored"].stance.value or 0) > 0.95
    assert (rows["mirrored"].overlap.value or 0) > 0.9
    assert 0.2 < (rows["mirrored"].closely.value or 0) < 0.95
