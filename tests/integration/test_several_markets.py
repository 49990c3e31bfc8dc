"""Several markets in one collector: one connection, one log each, whatever happens to one of them."""

import asyncio
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from eventlog.clock import WallClock
from eventlog.facts.market import AGG_TRADE, DIFF
from eventlog.names import LogName
from exchanges.binance.feed.message_buffer import RawMessage
from exchanges.binance.feed.stream import BinanceStream
from market.instrument import Market
from runtime.open_log import open_log
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.server import SimulatedExchange
from tests.integration.daemons import Stage, wait_for

SYMBOLS = ("BTCFDUSD", "ETHFDUSD", "BNBFDUSD")
STREAMS = tuple(f"{symbol.lower()}@{kind}" for symbol in SYMBOLS for kind in ("aggTrade", "depth@100ms"))


class Reader:
    """One market's part of a shared feed."""

    def __init__(self, stream: BinanceStream, symbol: str) -> None:
        self.received: list[RawMessage] = []
        self.held = asyncio.Event()
        self.held.set()
        own = [name for name in STREAMS if name.startswith(symbol.lower())]
        self._batches = stream.batches(own)
        self._task = asyncio.create_task(self._read())

    def named(self, what: str) -> list[RawMessage]:
        """What came, of one kind."""
        return [each for each in self.received if each.what == what]

    @property
    def diffs(self) -> list[bytes]:
        """Book updates as they came."""
        return [each.data for each in self.named("message") if b"depthUpdate" in each.data]

    async def until(self, messages: int) -> None:
        """Wait for so many messages in all."""
        async with asyncio.timeout(10):
            while len(self.named("message")) < messages:
                await asyncio.sleep(0.005)

    async def leave(self) -> None:
        """Read no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._batches.aclose()

    async def _read(self) -> None:
        async for batch in self._batches:
            self.received += batch
            await self.held.wait()


async def _with_exchange(check: Any) -> None:
    parameters = [MarketParameters(symbol=symbol, trades_per_second=50.0) for symbol in SYMBOLS]
    exchange = SimulatedExchange(parameters, speed=0, history_hours=0.1)
    await exchange.start()
    try:
        await check(exchange, BinanceStream(exchange.websocket_url, STREAMS, WallClock()))
    finally:
        await exchange.stop()


def about(symbol: str, received: list[RawMessage]) -> list[bool]:
    """For each message whether it is of a symbol's streams."""
    return [each.data.startswith(f'{{"stream":"{symbol.lower()}@'.encode()) for each in received]


def test_every_reader_gets_its_own_and_all_share_a_connection() -> None:
    """Three readers, one connection; one that comes later is told that it is open; the last one closes it."""

    async def check(exchange: SimulatedExchange, stream: BinanceStream) -> None:
        readers = {symbol: Reader(stream, symbol) for symbol in SYMBOLS[:2]}
        async with asyncio.timeout(5):
            while not stream.open_connections:
                await asyncio.sleep(0.005)
        readers[SYMBOLS[2]] = Reader(stream, SYMBOLS[2])
        await asyncio.sleep(0.05)
        exchange.advance(20)
        for symbol, reader in readers.items():
            await reader.until(20)
            assert reader.received[0].what == "connected"
            assert len(reader.named("connected")) == 1
            assert all(about(symbol, reader.named("message")))
        assert exchange.hub.total_connections == 1
        for symbol in SYMBOLS[:2]:
            await readers[symbol].leave()
        assert stream.open_connections
        before = len(readers[SYMBOLS[2]].named("message"))
        exchange.advance(5)
        await readers[SYMBOLS[2]].until(before + 5)
        assert all(about(SYMBOLS[2], readers[SYMBOLS[2]].named("message")))
        await readers[SYMBOLS[2]].leave()
        assert not stream.open_connections

    asyncio.run(_with_exchange(check))


def test_a_reader_that_does_not_read_stops_reading_for_all_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded by all readers together; afterwards every diff is there, in order, for both."""
    monkeypatch.setattr("exchanges.binance.feed.stream._MAX_PENDING", 200)

    async def check(exchange: SimulatedExchange, stream: BinanceStream) -> None:
        slow, quick = Reader(stream, SYMBOLS[0]), Reader(stream, SYMBOLS[1])
        async with asyncio.timeout(5):
            while not stream.open_connections:
                await asyncio.sleep(0.005)
        slow.held.clear()
        for _ in range(100):
            exchange.advance(1)
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.2)
        assert len(quick.diffs) < 100
        slow.held.set()
        for reader, listing in zip((slow, quick), exchange.listings, strict=False):
            made = [f'"U":{diff.first},"u":{diff.last},'.encode() for diff in listing.hub.diffs.records]
            async with asyncio.timeout(10):
                while len(reader.diffs) < len(made):
                    await asyncio.sleep(0.01)
            assert all(ids in diff for ids, diff in zip(made, reader.diffs, strict=True))
        assert exchange.hub.total_connections == 1
        await slow.leave()
        await quick.leave()

    asyncio.run(_with_exchange(check))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A folder with an exchange that trades three symbols."""
    stage = Stage(tmp_path, symbols=SYMBOLS, interval_s=10)
    stage.exchange()
    yield stage
    stage.end()


def test_three_markets_three_logs_one_connection(stage: Stage) -> None:
    """Each log equals its symbol's ledger, trade by trade and diff after diff; the collector was killed once."""
    collector = stage.collector()
    wait_for(lambda: _live(stage), 60, 0.2)
    assert stage.state()["connections"] == 1
    collector.kill()
    collector = stage.collector()
    wait_for(lambda: _live(stage), 60, 0.2)
    assert collector.interrupt() == 0, collector.text()
    for symbol in SYMBOLS:
        market = f"binance:{symbol}"
        checked = stage.check(None, market=market)
        assert checked["trades_complete"], checked
        assert {gap["what"] for gap in checked["given_up_gaps"]} <= {"update_ids"}
        with open_log(stage.storage, Market.parse(market)) as log:
            rows = [b.rows[AGG_TRADE] for b in log.read(kinds=[AGG_TRADE]) if AGG_TRADE in b.rows]
            diffs = [b.rows[DIFF] for b in log.read(kinds=[DIFF]) if DIFF in b.rows]
        ids = sorted(i for r in rows for i in r["agg_id"].tolist())
        ledger = stage.ledger(ids[0], ids[-1], symbol)
        assert ids == ledger["agg_id"]
        by_id = {i: p for r in rows for i, p in zip(r["agg_id"].tolist(), r["price_e8"].tolist(), strict=True)}
        assert [by_id[i] for i in ids] == ledger["price_e8"]
        edges = [
            edge
            for r in diffs
            for edge in zip(r["first_update_id"].tolist(), r["last_update_id"].tolist(), strict=True)
        ]
        assert sum(b[0] != a[1] + 1 for a, b in pairwise(edges)) <= 1  # where the collector was killed
        assert len(edges) > 10


def test_what_books_cost_too_much_is_said_at_the_start(tmp_path: Path) -> None:
    """One line with the weight and what to change; nothing is recorded."""
    stage = Stage(tmp_path, symbols=SYMBOLS, interval_s=1, rest_url="http://127.0.0.1:9")
    done = stage.run("agent_data_collector.py", "--config", str(stage.config), code=1)
    assert "3 books of 1000 levels every 1 s cost a weight of 9,000 in one minute, of 2,400 there are" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not stage.storage.exists()


def test_an_unknown_symbol_among_several_ends_it_before_there_is_a_log(stage: Stage) -> None:
    """One line that names the symbol and the keys to look at."""
    stage.symbols = (*SYMBOLS, "XRPFDUSD")
    done = stage.run("agent_data_collector.py", "--config", str(stage.config), code=1)
    assert done.stderr == "error: the venue does not know XRPFDUSD; check binance.symbol and binance.symbols\n"
    assert not any(_log_folder(stage, symbol).exists() for symbol in stage.symbols)


def test_ctrl_c_is_heard_while_the_venue_does_not_answer(tmp_path: Path) -> None:
    """All symbols are asked for at once; told to stop, it ends sooner than any request would, and leaves no log."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        silent.settimeout(30)
        stage = Stage(tmp_path, symbols=SYMBOLS, rest_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        collector = stage.collector()
        try:
            asked = [silent.accept()[0] for _ in SYMBOLS]
            assert collector.interrupt(timeout_s=6) == 0, collector.text()
        finally:
            stage.end()
        for connection in asked:
            connection.close()
    assert not any(_log_folder(stage, symbol).exists() for symbol in SYMBOLS)


def _log_folder(stage: Stage, symbol: str) -> Path:
    return LogName("events", Market("binance", symbol)).folder(stage.storage)


def _live(stage: Stage) -> bool:
    said = stage.status()
    return all(
        s["running"] and s.get("trades") == "live" and s["counts"].get("diff", 0) > 20
        for s in (said[f"binance:{symbol}"] for symbol in SYMBOLS)
    )
