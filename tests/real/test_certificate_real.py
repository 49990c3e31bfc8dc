"""Real days and minutes, certified: what is proven of them is what they are known to hold."""

from pathlib import Path

import pytest

from eventlog.clock import ManualClock
from eventlog.names import LogName
from eventlog.proof.certificate import Certificate, certify, find_difference
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import read_agg_trades
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.recordings.recording import append_recording
from market.instrument import Market
from market.timestamps import DAY_NS, parse_iso
from tests.builders import NOW, T0

NAME = LogName("events", Market("binance", "BTCUSDT"))


def imported(storage: Path, *files: Path) -> Log:
    """A log of these files."""
    mapper = BinanceMapper("BTCUSDT")
    importer = Importer(ColdLog(storage, NAME), ManualClock(NOW + 10_000 * DAY_NS))
    for path in files:
        if path.suffix == ".zip":
            import_trades(importer, path.name, read_agg_trades(path))
        else:
            append_recording(importer, path)
    importer.close()
    return Log(ColdLog(storage, NAME), None, mapper.decoders)


def test_the_real_day_is_complete(real_data: Path, tmp_path: Path) -> None:
    """Every trade of Binance's own archive file, in one run of agg ids and one of trade ids."""
    log = imported(tmp_path, real_data / "aggtrades" / "BTCUSDT-aggTrades-2024-01-01.zip")
    found = certify(log, T0)
    assert (found.complete, found.reasons, found.unproven_trades) == (True, [], [])
    assert found.trades.count == 863_403
    assert found.trades.agg_ids == [(2_807_759_891, 2_808_623_293)]
    assert found.trades.trade_ids == [(3_344_774_379, 3_345_889_001)]
    assert (found.ticks.present, found.ticks.expected) == (1440, 1440)
    assert find_difference(log, found) is None


@pytest.fixture(scope="module")
def midnight(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificate, Certificate]:
    """The two days that eleven recorded minutes touch."""
    recordings = real_data / "recordings"
    files = [recordings / f"btcusdt-spot-2024-08-{day}.gz" for day in ("08", "09")]
    log = imported(tmp_path_factory.mktemp("midnight"), *files)
    return certify(log, parse_iso("2024-08-08")), certify(log, parse_iso("2024-08-09"))


def test_recorded_updates_are_one_chain_over_midnight(midnight: tuple[Certificate, Certificate]) -> None:
    """No diff is missing in any of 6,495; trades are single ones and chain as well."""
    before, after = midnight
    assert (before.sound, after.sound) == (True, True)
    assert before.updates.count + after.updates.count == 6_495
    assert before.trades.count + after.trades.count == 19_904
    assert [len(each.updates.chained) for each in midnight] == [1, 1]
    assert before.updates.chained[0][1] + 1 == after.updates.chained[0][0]
    assert before.trades.agg_ids[0][1] + 1 == after.trades.agg_ids[0][0]


def test_eleven_minutes_are_no_day(midnight: tuple[Certificate, Certificate]) -> None:
    """What lies before and after them is told as not proven, trades and book; what lies between is proven."""
    before, after = midnight
    assert (before.complete, after.complete) == (False, False)
    assert [len(each.unproven_trades) for each in midnight] == [1, 1]
    assert before.unproven_trades[0][0] == parse_iso("2024-08-08")
    assert after.unproven_trades[0][1] == parse_iso("2024-08-10")
    assert [len(each.unproven_depth) for each in midnight] == [1, 1]
