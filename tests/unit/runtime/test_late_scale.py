"""A log that does not hold its instrument yet: quantities are counted rightly from the moment it does."""

from pathlib import Path
from typing import Any

from eventlog.facts.market import AGG_TRADE
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from exchanges.binance.mapper import BinanceMapper
from runtime.late_scale import LateScale
from tests.builders import EVENTS, MARKET, T0, a_cold_log, a_trade, a_writer, an_instrument

MANY = an_instrument(step="1.00", largest="92141578736.00")


def late(cold: ColdLog, hot: HotLog | None) -> tuple[LateScale, Log]:
    """A reader that was made before there was anything to read."""
    scale = LateScale(BinanceMapper(MARKET.symbol), cold, hot)
    return scale, Log(cold, hot, scale.decoders)


def quantities(log: Log) -> list[int]:
    """Of every trade, in counts."""
    return [q for batch in log.read(kinds=[AGG_TRADE]) if batch.rows for q in batch.rows[AGG_TRADE]["quantity_e8"]]


def test_the_scale_is_learned_when_the_instrument_comes(tmp_path: Path, client: Any) -> None:
    """Before it eight decimals; with it, in the same read, those of a market counted whole."""
    scale, log = late(ColdLog(tmp_path, EVENTS), HotLog(client, EVENTS))
    assert (scale.learn(), scale.is_known) == (8, False)
    writer = a_writer(tmp_path, client)
    writer.append([a_trade(1, "0.00001", "7")])
    assert quantities(log) == [700_000_000]
    assert not scale.is_known
    writer.append([MANY, a_trade(2, "0.00001", "480000000000")])
    assert quantities(log) == [7, 480_000_000_000]
    assert (scale.learn(), scale.is_known) == (0, True)
    writer.close()


def test_an_archived_instrument_is_found(tmp_path: Path) -> None:
    """Wherever in the log it stands."""
    cold = a_cold_log(tmp_path, [a_trade(1, "0.00001", "7")], [an_instrument(at_ns=T0)])
    scale, _ = late(cold, None)
    assert (scale.learn(), scale.is_known) == (8, True)
