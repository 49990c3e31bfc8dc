"""One market's recording against a real server: how it begins, what it says once it ended, and when its lock goes."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.market_recorder import Plan
from collector.market_recording import Limits, MarketRecording, Store
from collector.metrics.metrics import FILE, publish
from collector.queue_limits import QueueLimits
from eventlog.clock import WallClock
from eventlog.codec import Decode
from eventlog.errors import EventLogError, LogBroken
from eventlog.facts.capture import SESSION
from eventlog.facts.entry import Fact
from eventlog.store.archiver import Archiver
from exchanges.binance.exchange import CAPABILITIES
from exchanges.errors import ExchangeError, NotProvable
from exchanges.port import Arrival, Exchange, HistoricalTrade, SilenceProof
from market.timestamps import HOUR_NS
from runtime.daemon import status
from tests.builders import MAPPER, MARKET, a_hot_log, a_writer, an_instrument
from tests.fakes.proxy import Proxy


class Quiet:
    """A venue whose feed is open, as another market keeps it, and that brings nothing and answers nothing."""

    open_connections = 1
    capabilities = CAPABILITIES
    silence_proof = SilenceProof()
    decoders: Mapping[str, Decode] = MAPPER.decoders

    async def arrivals(self) -> AsyncGenerator[Sequence[Arrival], None]:
        """Nothing, ever."""
        await asyncio.Event().wait()
        yield ()

    async def instrument(self) -> Fact:
        """The usual one."""
        return an_instrument()

    def grid_of(self, _: Fact) -> tuple[object, ...]:
        """Always the same."""
        return ()

    async def snapshot(self, _: int) -> Fact:
        """None to be had."""
        raise ExchangeError("quiet")

    async def trades_from(self, _: int) -> Sequence[HistoricalTrade]:
        """None to be had."""
        raise ExchangeError("quiet")

    async def first_trade_since(self, _: int) -> int | None:
        """None to be had."""
        raise ExchangeError("quiet")

    async def clock_offset(self) -> Fact:
        """Not to be had."""
        raise ExchangeError("quiet")

    def health(self) -> dict[str, int]:
        """Nothing to tell."""
        return {}

    async def close(self) -> None:
        """Nothing to close."""


def a_recording(
    storage: Path,
    connect: Callable[[], Any],
    archive_s: float = 3600.0,
    exchange_of: Callable[..., Exchange] = lambda *_: Quiet(),
) -> MarketRecording:
    """A recording of a quiet market into a storage and a server."""
    plan = Plan(HOUR_NS, HOUR_NS, 100, 1, archive_s, archive_s, 1, "{}")
    archiving = ThreadPoolExecutor(1)
    store = Store(storage, connect, lambda: None, archiving)
    return MarketRecording(
        MARKET, store, exchange_of, plan, Limits(QueueLimits(), 1 << 20), WallClock(), lambda _: None
    )


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


def test_a_market_that_ended_does_not_look_alive(tmp_path: Path, client: Any, shared_server: Any) -> None:
    """Its feed is still open for others: the last status says down, and `metrics.json` is not written again."""

    async def main() -> dict[str, Any]:
        recording, stop = a_recording(tmp_path, shared_server.connect), asyncio.Event()
        publishing = asyncio.create_task(publish({recording.folder: recording.measure}, "", None, every_s=0.01))
        running = asyncio.create_task(recording.run(stop))
        await _until((recording.folder / FILE).exists)
        await _until(lambda: status.read_status(recording.folder).get("connected", False))
        assert recording.measure() is not None
        stop.set()
        await running
        await asyncio.sleep(0.05)  # what was being written as it ended
        before = (recording.folder / FILE).read_bytes()
        await asyncio.sleep(0.1)
        assert recording.measure() is None
        assert (recording.folder / FILE).read_bytes() == before
        publishing.cancel()
        return status.read_status(recording.folder)

    said = asyncio.run(main())
    assert (said["running"], said["connected"], said["trades"]) == (False, False, "down")


def test_what_was_killed_is_down_too(tmp_path: Path) -> None:
    """Its last words said live, and nobody holds its lock; who says nothing of trades gets no word for them."""
    status.write_status(tmp_path, {"connected": True, "trades": "live"})
    assert status.read_status(tmp_path) == {"running": False, "connected": False, "trades": "down"}
    status.write_status(tmp_path, {"zones": 3})
    assert status.read_status(tmp_path) == {"running": False, "connected": False, "zones": 3}


def test_a_fault_while_the_end_is_read_passes(tmp_path: Path, client: Any, proxy: Proxy) -> None:
    """The first question of a run loses its connection; the next attempt reads the end, and recording begins."""

    async def main() -> None:
        recording, stop = a_recording(tmp_path, proxy.connect), asyncio.Event()
        proxy.lose_request(b"XRANGE")
        running = asyncio.create_task(recording.run(stop))
        await _until(lambda: running.done() or (recording.measure() or {}).get("stored", {}).get(SESSION, 0) > 0)
        stop.set()
        await running
        assert proxy._lose_request is None

    asyncio.run(main())
    kinds = [kind for batch in a_hot_log(tmp_path, client).read() for kind in batch.rows]
    assert SESSION in kinds


def test_a_recording_that_cannot_be_made_frees_its_log(tmp_path: Path, client: Any, shared_server: Any) -> None:
    """A spill without its position, then an exchange that refuses: the next writer gets the lock each time."""

    def refuse(*_: object) -> Exchange:
        raise EventLogError("no such grid")

    with pytest.raises(EventLogError, match="no such grid"):
        a_recording(tmp_path, shared_server.connect, exchange_of=refuse)
    writer = a_writer(tmp_path, client)
    (writer.cold.folder / "spill.log").write_bytes(b"12345678")
    writer.close()
    with pytest.raises(LogBroken, match=r"spill\.position\.json is missing; restore it"):
        a_recording(tmp_path, shared_server.connect)
    a_writer(tmp_path, client).close()


@pytest.fixture
def slow_archive(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event, list[str]]:
    """The first archiving says that it began and waits to be let on; then what happened, in order."""
    begun, go_on, told = threading.Event(), threading.Event(), list[str]()
    archive, close = Archiver.archive, MarketRecording.close

    def slowly(archiver: Archiver, cancelled: Callable[[], bool] = lambda: False) -> int:
        if not begun.is_set():
            begun.set()
            go_on.wait(10)
            told.append(f"archived, cancelled: {cancelled()}")
        return archive(archiver, cancelled)

    async def closed(recording: MarketRecording) -> None:
        told.append("closed")
        await close(recording)

    monkeypatch.setattr(Archiver, "archive", slowly)
    monkeypatch.setattr(MarketRecording, "close", closed)
    return begun, go_on, told


def test_the_lock_stays_while_a_segment_is_written(
    tmp_path: Path, client: Any, shared_server: Any, monkeypatch: pytest.MonkeyPatch, slow_archive: Any
) -> None:
    """Told to stop in the middle of archiving: that ends early, and only then the log is let go."""
    begun, go_on, told = slow_archive
    monkeypatch.setattr("collector.market_recorder._SHUTDOWN_ARCHIVE_S", 0.05)

    async def main() -> None:
        recording, stop = a_recording(tmp_path, shared_server.connect, archive_s=0.02), asyncio.Event()
        running = asyncio.create_task(recording.run(stop))
        await _until(begun.is_set)
        stop.set()
        await asyncio.sleep(0.3)
        assert status.read_status(recording.folder)["running"]
        go_on.set()
        await running
        assert not status.read_status(recording.folder)["running"]

    asyncio.run(main())
    assert told == ["archived, cancelled: True", "closed"]


def test_another_markets_archiving_is_not_waited_for(
    tmp_path: Path, client: Any, shared_server: Any, monkeypatch: pytest.MonkeyPatch, slow_archive: Any
) -> None:
    """The thread is busy with something else: what waits behind it never begins."""
    begun, go_on, told = slow_archive
    monkeypatch.setattr("collector.market_recorder._SHUTDOWN_ARCHIVE_S", 0.1)

    async def main() -> None:
        recording, stop = a_recording(tmp_path, shared_server.connect, archive_s=0.02), asyncio.Event()
        others = recording.store.archiving.submit(go_on.wait, 10)
        running = asyncio.create_task(recording.run(stop))
        await _until(lambda: status.read_status(recording.folder).get("connected", False))
        await asyncio.sleep(0.1)
        stop.set()
        await running
        assert not others.done()
        go_on.set()
        recording.store.archiving.shutdown()

    asyncio.run(main())
    assert (begun.is_set(), told) == (False, ["closed"])


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        ("contiguous_trade_ids", "its trade ids do not show a missing trade"),
        ("trades_by_id", "its past trades cannot be fetched by id"),
        ("chained_diffs", "its book updates do not show a missing one"),
    ],
)
def test_what_could_not_be_proven_complete_is_not_recorded(
    tmp_path: Path, client: Any, shared_server: Any, lacking: str, reason: str
) -> None:
    """The error names what the exchange lacks; the log is free for the next writer."""
    exchange = Quiet()
    exchange.capabilities = msgspec.structs.replace(CAPABILITIES, **{lacking: False})
    with pytest.raises(NotProvable, match=f"^{MARKET} cannot be recorded with proof .*: {reason}$"):
        a_recording(tmp_path, shared_server.connect, exchange_of=lambda *_: exchange)
    a_recording(tmp_path, shared_server.connect).writer.close()
