"""What the collector decides before and after it records."""

import asyncio
from typing import Any

import pytest
import structlog

from collector import service
from collector.market_recording import Limits
from collector.queue_limits import QueueLimits
from eventlog.errors import LogBroken
from eventlog.store import hot
from exchanges.errors import UnknownSymbol
from runtime.binance_venue import expect_short_query, weight_of_books
from runtime.daemon.server_watch import ServerWatch
from runtime.settings.settings import Settings, SettingsError


def settings(markets: int, **collects: Any) -> Settings:
    """Settings that record a number of markets, with 8 letters each."""
    names = [f"M{number:03d}USDT" for number in range(markets)]
    return Settings.model_validate(
        {
            "redis": {"embedded": True},
            "binance": {"symbol": names[0], "symbols": names},
            "data_collector": collects,
        }
    )


class Recording:
    """A market's recording that ends in some way."""

    def __init__(self, error: Exception | None = None) -> None:
        self.market = "binance:M000USDT"
        self.folder = None
        self.measure = None
        self.closed = False
        self._error = error

    async def run(self, stop: asyncio.Event) -> None:
        """End as told."""
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        """Close as told."""
        self.closed = True
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(
    ("markets", "limit", "every_s", "weight"),
    [(9, 5000, 60, 2250), (9, 5000, 3600, 2250), (3, 1000, 10, 900), (2, 100, 40, 20), (8, 100, 1, 2400)],
)
def test_books_of_all_markets_are_asked_for_in_one_minute(markets: int, limit: int, every_s: int, weight: int) -> None:
    """An hour between them spreads nothing; every 40 s they come twice in some minutes."""
    book = {"limit": limit, "update_interval_seconds": every_s}
    assert weight_of_books(settings(markets, depth_snapshot=book)) == weight


def test_books_that_do_not_fit_into_a_minute_are_refused() -> None:
    """Ten full books need 2500 of 2400, however seldom."""
    book = {"limit": 5000, "update_interval_seconds": 3600}
    with pytest.raises(SettingsError) as caught:
        weight_of_books(settings(10, depth_snapshot=book))
    assert str(caught.value) == (
        "data_collector.depth_snapshot: 10 books of 5000 levels every 3600 s cost a weight of 2,500 in one minute, of "
        "2,400 there are (80 % of binance.weight_per_minute); record fewer markets, fewer levels or, down to once a "
        "minute, less often"
    )


def test_more_streams_than_an_address_can_name_are_refused() -> None:
    """A market takes 17 + 1 + 20 + 1 letters, `streams=` 7 more than that: 204 make 7,963, one more 8,002."""
    expect_short_query(settings(204))
    with pytest.raises(SettingsError) as caught:
        expect_short_query(settings(500))
    assert str(caught.value) == (
        "binance.symbols: 500 markets are 296 too many for one connection: their streams make an address of 19,507 "
        "characters, of 8,000 Binance reads; name fewer, and the others in the settings of a second collector with "
        "another redis.storage_dir"
    )
    expect_short_query(settings(420, depth_diff=False))


@pytest.mark.parametrize(
    ("markets", "facts", "size", "spill"),
    [(1, 50_000, 64_000_000, 8_192_000_000), (200, 250, 320_000, 40_960_000), (500, 100, 128_000, 16_384_000)],
)
def test_what_may_wait_is_of_all_markets_together(markets: int, facts: int, size: int, spill: int) -> None:
    """Each has its part, whatever that is; but a queue of fewer than 100 facts is none."""
    assert service.build_limits(settings(markets)) == Limits(QueueLimits(facts, size), spill)


def test_why_a_market_ended_is_told_with_the_reasons_inside() -> None:
    """What is known as its words, what is not with its traceback."""
    bug = ZeroDivisionError("by zero")
    error = ExceptionGroup("inside", [LogBroken("seq 7"), ExceptionGroup("deeper", [bug])])
    with structlog.testing.capture_logs() as lines, pytest.raises(ExceptionGroup, match="inside"):
        asyncio.run(service.record_until_stopped(Recording(error), asyncio.Event()))  # type: ignore[arg-type]
    assert [(line["reason"], line["exc_info"]) for line in lines] == [("seq 7", None), ("by zero", bug)]


def test_the_error_of_one_market_is_raised_as_it_is_and_several_together() -> None:
    """After all have ended."""
    first, second = LogBroken("one"), UnknownSymbol("two")
    stop = asyncio.Event()

    async def record(*errors: Exception | None) -> None:
        recordings = [Recording(error) for error in errors]
        quiet, nowhere = settings(1, views=False), ServerWatch(lambda: hot.connect(unix_socket="/nowhere"))
        await service.run_all(quiet, recordings, (), nowhere, stop)  # type: ignore[arg-type]

    with pytest.raises(LogBroken, match="one"):
        asyncio.run(record(None, first))
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(record(first, None, second))
    assert caught.value.exceptions == (first, second)


def test_a_recording_that_cannot_be_closed_is_logged() -> None:
    """So that the next one is closed, too."""
    recording = Recording(OSError("disk"))
    with structlog.testing.capture_logs() as lines:
        asyncio.run(service.close(recording))  # type: ignore[arg-type]
    assert recording.closed
    assert [line["event"] for line in lines] == ["closing failed"]


def test_work_is_left_when_told_to_stop() -> None:
    """Without an error, and what was at work is ended."""
    errors: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            errors.append(name)

    async def check() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.01, stop.set)
        await service.run_unless_stopped(stop, (wait(name) for name in "ab"))

    asyncio.run(asyncio.wait_for(check(), 5))
    assert sorted(errors) == ["a", "b"]


def test_work_that_fails_ends_the_rest() -> None:
    """And its error is raised."""
    errors: list[str] = []

    async def fail() -> None:
        raise UnknownSymbol("XRPFDUSD")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            errors.append("wait")

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(asyncio.wait_for(service.run_unless_stopped(asyncio.Event(), (line() for line in (wait, fail))), 5))
    assert [str(line) for line in caught.value.exceptions] == ["XRPFDUSD"]
    assert errors == ["wait"]
