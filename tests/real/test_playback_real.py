"""Real recordings played over sockets: every message of a stream arrives, to the byte, in order."""

import asyncio
from pathlib import Path

import pytest

from exchanges.binance.recording import lines
from exchanges.simulated.recorded import RecordedExchange
from tests.exchange_feed import Feed

DEPTH, AGG_TRADE, TRADE, TICKER = (f"btcusdt@{name}" for name in ("depth@100ms", "aggTrade", "trade", "bookTicker"))


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
    recorded = [message for file in files for _, message in lines(file) if message.startswith(heads)]

    async def check() -> None:
        exchange = RecordedExchange(files, speed=None)
        await exchange.start()
        feed = Feed(exchange, "BTCUSDT", streams)
        try:
            await feed.until(lambda: exchange.ended.is_set() and len(feed.messages) >= count, 120)
            assert len(recorded) == count
            assert feed.messages == recorded
            assert feed.ends == []
        finally:
            await feed.close()
            await exchange.stop()

    asyncio.run(check())


def test_single_trades_are_heard_as_agg_trades(real_data: Path) -> None:
    """A collector of aggTrades gets all 19,904 trades of 2024, rising by one, and all 6,495 diffs without a hole."""
    files = [real_data / "recordings" / f"btcusdt-spot-2024-08-{day}.gz" for day in ("08", "09")]

    async def check() -> None:
        exchange = RecordedExchange(files, speed=None)
        await exchange.start()
        feed = Feed(exchange, "BTCUSDT", (AGG_TRADE, DEPTH))
        try:
            await feed.until(lambda: exchange.ended.is_set() and len(feed.arrivals) >= 19_904 + 6_495 + 1, 120)
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
