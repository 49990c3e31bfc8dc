"""A proxy on loopback that opens tunnels (RFC 9110, CONNECT), and remembers what it was asked and could read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field


@dataclass
class ConnectProxy:
    """
    Where it listens and what came by.

    Attributes:
        asked: the heads of the requests it got. passed: every byte that went through its tunnels, both ways.
    """

    url: str = ""
    asked: list[str] = field(default_factory=list)
    passed: bytearray = field(default_factory=bytearray)


@asynccontextmanager
async def tunnelling(answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> AsyncIterator[ConnectProxy]:
    """A proxy that gives one answer to every request, and opens the tunnel where that is 200."""
    proxy = ConnectProxy()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):  # the client may go any time
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            proxy.asked.append(head)
            writer.write(answer)
            await writer.drain()
            if not answer.startswith(b"HTTP/1.1 200"):
                return
            host, _, port = head.split()[1].rpartition(":")
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, far_writer))
                group.create_task(pump(far_reader, writer))

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                proxy.passed += data
                sink.write(data)
                await sink.drain()
        sink.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
