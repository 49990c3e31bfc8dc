"""Real recordings played over sockets: every message arrives, to the byte; a collector's log is the imported one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from eventlog.clock import WallClock
from eventlog.facts import market
from eventlog.facts.capture import BOOK_RESET, GAP, QUARANTINE
from eventlog.facts.market import DIFF, SNAPSHOT
from eventlog.names import LogName
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from exchanges.binance.recordings.recording import append_recording
from exchanges.binance.recordings.recording_lines import read_lines
from market.instrument import Market
from projections import digest
from projections.book.live_book import read_diffs, read_snapshot
from projections.book.order_book import OrderBook
from projections.book.reference_book import ReferenceBook
from runtime.daemon import status
from runtime.open_log import open_log
from simulators.exchange.playback.recorded import RecordedExchange
from tests.exchange_feed import Feed
from tests.integration.daemons import Stage

DEPTH, AGG_TRADE, TRADE, TICKER = (f"btcusdt@{name}" for name in ("depth@100ms", "aggTrade", "trade", "bookTicker"))

MARKET = Market.parse("binance:BTCUSDT")
SAME_OF_A_TRADE = (
    "agg_id", "price_e8", "quantity_e8", "first_trade_id", "last_trade_id", "trade_time_ns", "buyer_is_maker",
    "best_match",
)  # fmt: skip


@pytest.mark.parametrize(
    ("days", "streams", "count"),
    [
        (["2021-04-04"], (AGG_TRADE, DEPTH), 1_227 + 899),
        (["2024-08-08", "2024-08-09"], (TRADE, DEPTH, TICKER), 19_904 + 6_495 + 73_174),
    ],
)
def test_a_recording_arrives_whole(real_data: Path, days: list[str], streams: tuple[str, ...], count: int) -> None:
    """At full speed, as many messages as the file's own page says there are."""
    files = [real_data / "recordings" / f"btcusdt-spot-{day}.gz" for day in days]
    heads = tuple(b'{"stream":"%s"' % stream.encode() for stream in streams)
    recorded = [message for file in files for _, message in read_lines(file) if message.startswith(heads)]

    async def check() -> None:
        exchange = RecordedExchange(files, speed=None)
        await exchange.start()
        feed = Feed(exchange, "BTCUSDT", streams)
        try:
            await feed.until(lambda: exchange.finished.is_set() and len(feed.messages) >= count, 120)
            assert len(recorded) == count
            assert feed.messages == recorded
            assert feed.ends == []
        finally:
            await feed.close()
            await exchange.stop()

    asyncio.run(check())


def test_single_trades_are_heard_as_agg_trades(real_data: Path) -> None:
    """A collector of aggTrades gets all 19,904 trades of 2024, rising by one, and all 6,495 diffs without a gap."""
    files = [real_data / "recordings" / f"btcusdt-spot-2024-08-{day}.gz" for day in ("08", "09")]

    async def check() -> None:
        exchange = RecordedExchange(files, speed=None)
        await exchange.start()
        feed = Feed(exchange, "BTCUSDT", (AGG_TRADE, DEPTH))
        try:
            await feed.until(lambda: exchange.finished.is_set() and len(feed.arrivals) >= 19_904 + 6_495 + 1, 120)
            assert len(feed.agg_ids) == 19_904
            assert feed.agg_ids == list(range(feed.agg_ids[0], feed.agg_ids[0] + 19_904))
            assert len(feed.diffs) == 6_495
            assert all(b[0] == a[1] + 1 for a, b in zip(feed.diffs, feed.diffs[1:], strict=False))
            assert feed.quarantined == []
            rows = await feed.rest.trades_from(feed.agg_ids[-3])
            assert [row.agg_id for row in rows] == feed.agg_ids[-3:]
        finally:
            await feed.close()
            await exchange.stop()

    asyncio.run(check())


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A folder for a collector of the recorded symbol, without snapshots at boundaries."""
    stage = Stage(tmp_path, interval_s=3600, symbols=(MARKET.symbol,))
    yield stage
    stage.end()


async def collected(stage: Stage, files: list[Path], trades: int, diffs: int) -> None:
    """
    Play a recording to a collector, which is given time to start: the first book waits until it is in step.

    Its trades stay `down`: the venue's clock is years from ours.
    """
    exchange = RecordedExchange(files, speed=None)
    folder = LogName("events", MARKET).folder(stage.storage)
    room = exchange.hub.wait_for_room
    before_book = next(i for i, (_, line) in enumerate(read_lines(files[0])) if line.startswith(b'{"lastUpdateId"'))

    async def until(**wanted: object) -> None:
        async with asyncio.timeout(60):
            while True:
                said = status.read_status(folder)
                found = {"trades": said.get("trades"), "book": said.get("book", {}).get("state"),
                         **said.get("counts", {})}  # fmt: skip
                if found | wanted == found:
                    return
                await asyncio.sleep(0.05)

    async def room_once_live() -> None:
        if exchange.line_count == before_book + 1:
            await until(trades="down", book="in_step")
        await room()

    exchange.hub.wait_for_room = room_once_live  # type: ignore[method-assign]
    await exchange.start()
    try:
        stage.rest_url, stage.websocket_url = exchange.url, exchange.websocket_url
        process = stage.collector()
        await until(agg_trade=trades, diff=diffs)
        assert await asyncio.to_thread(process.interrupt) == 0, process.text()
    finally:
        await exchange.stop()


def rows(log: Log, kind: str) -> pa.Table:
    """A kind's entries, in seq order."""
    found = [batch.rows[kind] for batch in log.read(kinds=[kind]) if kind in batch.rows]
    return pa.concat_tables([r.table() for r in found])


def without_place(table: pa.Table) -> pa.Table:
    """Rows without where and when they were recorded."""
    return table.drop_columns(["seq", "recv_ns"])


def identities(log: Log) -> list[dict[int, bytes]]:
    """The digest of the book at each update id: of the replay's book, and of the recorder's."""
    tables = {kind: rows(log, kind).combine_chunks() for kind in (SNAPSHOT, DIFF)}
    seqs = np.sort(np.concatenate([table.column("seq").to_numpy() for table in tables.values()]))
    whole = Batch.from_tables(1, int(seqs[-1]), tables)
    arrays, plain = OrderBook(), ReferenceBook()
    diffs = read_diffs(tables[DIFF])
    books = (read_snapshot(tables[SNAPSHOT].slice(row, 1)) for row in range(len(tables[SNAPSHOT])))
    found: list[dict[int, bytes]] = [{}, {}]
    for part in whole.split_after(seqs[:-1]):
        arrays.apply(part, traced=False)
        if DIFF in part.rows:
            plain.apply_diff(next(diffs))
        else:
            plain.apply_snapshot(next(books))
        for each, update_id, sides in zip(
            found, (arrays.last_update_id, plain.last_update_id), (arrays.levels(), plain.levels()), strict=True
        ):
            if update_id is not None:
                each[update_id] = digest.of_columns(*sides)
    return found


@pytest.mark.parametrize(
    ("days", "trades", "diffs", "updates"),
    [
        (["2021-04-04"], 1_227, 899, 890),
        pytest.param(["2024-08-08", "2024-08-09"], 19_904, 6_495, 6_493, marks=pytest.mark.soak),
    ],
)
def test_a_collector_records_what_an_import_does(
    real_data: Path, stage: Stage, tmp_path: Path, days: list[str], trades: int, diffs: int, updates: int
) -> None:
    """
    The same trades and diffs by id, nothing missing or unreadable, and one digest of the book at every update id.

    Both books of both logs: what the replay folds and what the recorder follows.
    """
    files = [real_data / "recordings" / f"btcusdt-spot-{day}.gz" for day in days]
    asyncio.run(collected(stage, files, trades, diffs))
    importer = Importer(ColdLog(tmp_path / "imported", LogName("events", MARKET)), WallClock())
    for file in files:
        append_recording(importer, file)
    importer.close()
    with open_log(tmp_path / "imported", MARKET) as imported, open_log(stage.storage, MARKET) as played:
        said = [rows(log, market.AGG_TRADE).select(SAME_OF_A_TRADE).sort_by("agg_id") for log in (imported, played)]
        assert (len(said[0]), said[0]) == (trades, said[1])
        told = [without_place(rows(log, DIFF)) for log in (imported, played)]
        assert (len(told[0]), told[0]) == (diffs, told[1])
        assert not any(set(batch.rows) & {BOOK_RESET, GAP, QUARANTINE} for batch in played.read())
        found = [*identities(imported), *identities(played)]
    assert len(found[0]) == updates
    assert all(each == found[0] for each in found[1:])
