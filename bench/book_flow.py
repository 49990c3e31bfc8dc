"""
Book flow: the cost of its features beside that of applying the updates.
"""

from pathlib import Path

import pyarrow as pa

from bench.measure import Figure, ratio
from eventlog.clock import WallClock
from eventlog.facts.market import DIFF, SNAPSHOT
from eventlog.names import LogName
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from exchanges.binance.recordings.recording import append_recording
from market.instrument import Market
from projections.book.order_book import COLUMNS, OrderBook
from projections.flow.book_flow import BookFlow

NAME = LogName("events", Market.parse("binance:BTCUSDT"))
ROUNDS = 20
BUDGET_MS = 3.0
"""What one update may cost, as the user asked."""


def measure_features(recordings: Path, folder: Path, repetitions: int) -> Figure:
    """
    Measure ten minutes of real diffs, repeated from their snapshot, with every feature against without.

    Args:
        recordings: folder of recorded updates.
        folder: for the imported log.
        repetitions: number of pairs.
    """
    storage = ColdLog(folder / "recording", NAME)
    importer = Importer(storage, WallClock())
    for path in sorted(recordings.glob("btcusdt-spot-2024-*.gz")):
        append_recording(importer, path)
    importer.close()
    batch = _read_batch(Log(storage, None, {}))
    updates = ROUNDS * len(batch.rows[DIFF])

    def apply_with_features() -> None:
        for _ in range(ROUNDS):
            book, flow = OrderBook(), BookFlow()
            flow.apply(batch, book.apply(batch))
            flow.close(int(batch.rows[DIFF]["event_time_ns"][-1]))
            assert flow.seconds().updates.sum() > 0

    def apply_alone() -> None:
        for _ in range(ROUNDS):
            book = OrderBook()
            book.apply(batch, traced=False)
            assert book.usable

    median_ratio, ours_s, alone_s = ratio(apply_with_features, apply_alone, repetitions)
    us_per_update, alone_us = 1e6 * ours_s / updates, 1e6 * alone_s / updates
    rate = f"{updates / ours_s:,.0f} updates/s"
    detail = f"{rate}, {us_per_update:.2f} µs each, {alone_us:.2f} without; budget {BUDGET_MS:g} ms"
    return Figure("(apply + book-flow features) / apply", median_ratio, 2.0, True, detail)


def _read_batch(log: Log) -> Batch:
    """Read the recording's book and diffs as one batch."""
    parts = list(log.read(kinds=(SNAPSHOT, DIFF), columns={DIFF: COLUMNS}))
    tables = {k: pa.concat_tables([b.rows[k].columns.table for b in parts if k in b.rows]) for k in (SNAPSHOT, DIFF)}
    return Batch.from_tables(1, parts[-1].last_seq, tables)
