"""What a recording holds, from memory and on disk, with and without the 100 ms updates."""

from pathlib import Path

import numpy as np
import pytest

from eventlog.clock import ManualClock
from eventlog.names import LogName
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog
from eventlog.transfer.importing import Importer
from market.instrument import Market
from market.timestamps import HOUR_NS, MINUTE_NS
from projections.state import MarketState, TickEntry, Windows, read_ticks
from simulators.exchange.market.engine import MarketEngine
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.planting import Plant
from simulators.exchange.planted.planted_market import PlantedMarket
from simulators.exchange.playback.record import batches, record

START = 1_767_600_000_000_000_000
MARKET = Market.parse("binance:BTCFDUSD")


def an_engine() -> MarketEngine:
    return MarketEngine(MarketParameters(), np.random.Generator(np.random.PCG64(3)), START)


@pytest.mark.slow
def test_an_hour_with_diffs_reads_back_as_it_was_made(tmp_path: Path) -> None:
    """Seqs have no gap, snapshots and trades are those of an hour without, and each diff follows the last."""
    importer = Importer(ColdLog(tmp_path, LogName("events", MARKET)), ManualClock(START + 100 * HOUR_NS))
    record(importer, MarketParameters(), 3, START, 1, lambda _: None, with_diffs=True)
    importer.close()
    read = list(ColdLog(tmp_path, LogName("events", MARKET)).read(0, 10**9))
    kinds = ("instrument", "agg_trade", "diff", "snapshot", "tick")
    rows = {kind: next(b.rows[kind] for b in read if kind in b.rows) for kind in kinds}
    seq = np.sort(np.concatenate([rows[kind]["seq"] for kind in kinds]))
    assert np.array_equal(seq, np.arange(1, len(seq) + 1))
    assert len(rows["diff"]) > 35_000
    assert np.all(rows["diff"]["first_update_id"][1:] == rows["diff"]["last_update_id"][:-1] + 1)
    plain = list(batches(an_engine(), START, 60))
    for name in ("agg_id", "price_e8", "quantity_e8", "recv_ns", "trade_time_ns"):
        assert np.array_equal(rows["agg_trade"][name], np.concatenate([b.rows["agg_trade"][name] for b in plain[1:]]))
    last = read[-1].rows["snapshot"].columns.levels("bid_quantity_e8", 59)
    assert np.array_equal(last, plain[-1].rows["snapshot"].columns.levels("bid_quantity_e8", 0))


def test_diffs_stand_between_the_snapshots_they_join() -> None:
    """A snapshot with the diffs up to the next snapshot's seq gives that snapshot's best hundred levels."""
    _, *minutes = batches(an_engine(), START, 2, with_diffs=True)
    first, second = (b.rows["snapshot"].columns for b in minutes)
    book = dict(zip(first.levels("ask_price_e8", 0), first.levels("ask_quantity_e8", 0), strict=True))
    diffs = minutes[1].rows["diff"].columns
    for row in range(len(diffs)):
        book.update(zip(diffs.levels("ask_price_e8", row), diffs.levels("ask_quantity_e8", row), strict=True))
    price, quantity = second.levels("ask_price_e8", 0)[:100], second.levels("ask_quantity_e8", 0)[:100]
    assert int(second["last_update_id"][0]) == int(diffs["last_update_id"][-1])
    best = sorted(p for p, q in book.items() if q and p >= price[0])[:100]
    assert best == price.tolist()
    assert [book[p] for p in best] == quantity.tolist()


def test_a_planted_market_feeds_the_projections_from_memory() -> None:
    """Minute by minute the folds see its trades and books, and no column holds anything of its record."""
    market = PlantedMarket(MarketParameters(natural_walls=False), [Plant("wall", "ask", 1, 0.1, 50.0)], 4, START)
    state = MarketState(Windows(bucket_minutes=60))
    entries: list[TickEntry] = []
    names: set[str] = set()
    for batch in batches(market, START, 4):
        state.apply(batch)
        names |= set(batch.rows)
        entries += ticks(batch)
        for tick in ticks(batch):
            state.close(tick)
    assert names == {"instrument", "agg_trade", "snapshot", "tick"}
    assert [t.boundary_ns for t in entries] == [START + m * MINUTE_NS for m in range(1, 5)]
    assert state.tick_size_e8 == 1_000_000
    heavy = market.records[0].heavy_price_e8
    snapshot = batch.rows["snapshot"].columns
    asks = dict(zip(snapshot.levels("ask_price_e8", 0), snapshot.levels("ask_quantity_e8", 0), strict=True))
    assert heavy is not None
    assert asks[heavy] == max(asks.values())


def ticks(batch: Batch) -> list[TickEntry]:
    """The ticks of a batch."""
    return read_ticks(batch.rows["tick"]) if "tick" in batch.rows else []
