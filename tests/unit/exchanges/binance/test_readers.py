"""Who of several readers gets a message, whatever it looks like."""

import asyncio
import contextlib
from typing import Any

import pytest
from websockets.asyncio.server import serve

from eventlog.clock import ManualClock
from exchanges.binance.feed.message_buffer import MessageBuffer
from exchanges.binance.feed.stream import BinanceStream
from tests.builders import T0

CLOCK = ManualClock(T0)
STREAMS = ("aaa@aggTrade", "bbb@aggTrade")
SPELT = (
    b'{"stream":"bbb@aggTrade","data":{"a":1}}',
    b'{"data":{"a":2},"stream":"bbb@aggTrade"}',
    b'{"stream": "bbb@aggTrade","data":{"a":3}}',
)
FOREIGN = b'{"stream":"!serverShutdown","data":{"e":"serverShutdown"}}'


async def read_messages(stream: BinanceStream, name: str, count: int) -> list[bytes]:
    """The first messages of a stream's reader."""
    messages: list[bytes] = []
    batches = stream.batches([name])
    async with asyncio.timeout(5):
        async for batch in batches:
            messages += [message.data for message in batch if message.what == "message"]
            if len(messages) >= count:
                break
    await batches.aclose()
    return messages


def test_a_message_is_its_streams_readers_however_it_is_spelt() -> None:
    """In another order, with a blank; what names no stream of the feed is the first reader's."""

    async def body() -> None:
        async def send(socket: Any) -> None:
            for message in (*SPELT, FOREIGN):
                await socket.send(message.decode())
            with contextlib.suppress(Exception):
                await socket.wait_closed()

        async with serve(send, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            stream = BinanceStream(f"ws://127.0.0.1:{port}", STREAMS, CLOCK)
            first, second = await asyncio.gather(
                read_messages(stream, STREAMS[0], 1), read_messages(stream, STREAMS[1], 3)
            )
        assert first == [FOREIGN]
        assert second == list(SPELT)

    asyncio.run(body())


def test_a_reader_that_comes_after_the_defect_does_not_wait() -> None:
    """While another one still holds the feed."""

    async def body() -> None:
        stream = BinanceStream("ws://127.0.0.1:9", STREAMS, CLOCK)

        async def fail() -> None:
            raise TypeError("a defect")

        stream._keep_connected = fail  # type: ignore[method-assign]
        stream._add_reader(MessageBuffer(STREAMS[:1]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with asyncio.timeout(1):
            with pytest.raises(TypeError, match="a defect"):
                await anext(stream.batches([STREAMS[1]]))

    asyncio.run(body())
