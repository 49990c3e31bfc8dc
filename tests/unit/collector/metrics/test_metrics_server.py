"""The endpoint over real sockets: what is answered, what is refused, and which resources it never uses up."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from collector.metrics import metrics_server
from collector.metrics.metrics_connection import ConnectionLimits
from collector.metrics.metrics_server import MAX_CONNECTIONS, serve
from tests.integration.daemons import free_port

LONG = ConnectionLimits(head_s=60.0, lifetime_s=60.0)


@asynccontextmanager
async def an_endpoint(
    text: Callable[[], str] = lambda: "up 1\n",
    host: str = "127.0.0.1",
    allowed_hosts: tuple[str, ...] = (),
    limits: ConnectionLimits = LONG,
) -> AsyncIterator[int]:
    """One that listens; its port."""
    port = free_port()
    serving = asyncio.create_task(serve(text, host, port, allowed_hosts, retry_s=0.01, limits=limits))
    try:
        async with asyncio.timeout(10):
            while not await can_connect(port):
                await asyncio.sleep(0.005)
        yield port
        assert not serving.done()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def can_connect(port: int) -> bool:
    """Whether a server listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def exchange_bytes(port: int, *parts: bytes) -> bytes:
    """All that comes back for some bytes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def a_request(line: str = "GET /metrics HTTP/1.1", host: str | None = "localhost", *more: str) -> bytes:
    """The head of a request."""
    lines = [line, *([f"Host: {host}"] if host is not None else []), *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def parts_of(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case, body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}, body


async def test_a_scrape_is_answered_and_the_connection_closed() -> None:
    """The text as it is, its type, its length, and `Connection: close` also where the client would keep it."""
    async with an_endpoint() as port:
        for line in ("GET /metrics HTTP/1.1", "GET /metrics?x=1 HTTP/1.1", "GET /metrics HTTP/1.0"):
            status, headers, body = parts_of(
                await exchange_bytes(port, a_request(line, "localhost", "Connection: keep-alive"))
            )
            assert (status, body, headers["connection"]) == (200, b"up 1\n", "close")
            assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert headers["content-length"] == "5"


async def test_a_head_request_has_no_body() -> None:
    """The same headers, nothing behind them."""
    async with an_endpoint() as port:
        status, headers, body = parts_of(await exchange_bytes(port, a_request("HEAD /metrics HTTP/1.1")))
        assert (status, headers["content-length"], headers["connection"], body) == (200, "5", "close", b"")


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (a_request("GET / HTTP/1.1"), 404),
        (a_request("GET /metrics/ HTTP/1.1"), 404),
        (a_request("GET //evil.example/metrics HTTP/1.1"), 404),
        (a_request("OPTIONS * HTTP/1.1"), 404),
        (a_request("CONNECT localhost:80 HTTP/1.1"), 404),
        (a_request("POST /metrics HTTP/1.1", "localhost", "Content-Length: 4") + b"body", 405),
        (a_request("POST /metrics HTTP/1.1", "localhost", "Content-Length: 1000000000"), 405),
        (a_request("POST /metrics HTTP/1.1", "localhost", "Transfer-Encoding: chunked"), 405),
        (a_request("PUT /metrics HTTP/1.1", "localhost", "Expect: 100-continue", "Content-Length: 9"), 405),
        (a_request("DELETE /metrics HTTP/1.1"), 405),
        (a_request("GET /metrics HTTP/1.1", None), 400),  # as RFC 9112 3.2 asks
        (a_request("GET /metrics HTTP/1.0", None), 403),
        (a_request("GET /metrics HTTP/1.1", ""), 403),
        (a_request("GET /metrics HTTP/1.1", "evil.example"), 403),
        (a_request("GET /metrics HTTP/1.1", "localhost:99999"), 403),
        (a_request("GET http://evil.example/metrics HTTP/1.1"), 403),
        (a_request("GET http://localhost/metrics HTTP/1.1", "evil.example"), 403),
        (a_request("GET http://localhost:1/metrics HTTP/1.1"), 200),
        (a_request("GET http://[::1]:1/metrics HTTP/1.1"), 200),
        (b"\r\n\r\n" + a_request(), 200),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost localhost\r\n\r\n", 400),
        (b"GET http:///metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /metrics HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
    ],
)
async def test_nothing_but_get_and_head_of_metrics(request_head: bytes, status: int) -> None:
    """Another path, method or Host, and what is no request: a status, one line, the end; nothing of it in the log."""
    with structlog.testing.capture_logs() as lines:
        async with an_endpoint() as port:
            answer = await exchange_bytes(port, request_head)
    response, headers, body = parts_of(answer)
    assert (response, headers["connection"]) == (status, "close")
    assert body.count(b"\n") == 1
    assert ("allow" in headers) == (status == 405)
    assert [line["event"] for line in lines] == ["metrics"]


async def test_two_hosts_are_none() -> None:
    """Which of them a proxy took is not known here."""
    async with an_endpoint() as port:
        status, _, _ = parts_of(
            await exchange_bytes(port, a_request("GET /metrics HTTP/1.1", "localhost", "Host: localhost"))
        )
        assert status in (400, 403)


async def test_hosts_of_the_settings_are_answered() -> None:
    """The address that is listened on, and the names that are allowed; no others."""
    async with an_endpoint(host="0.0.0.0", allowed_hosts=("box.example", "fd00::5")) as port:
        statuses = [
            parts_of(await exchange_bytes(port, a_request("GET /metrics HTTP/1.1", f"{host}:{port}")))[0]
            for host in ("box.example", "BOX.example", "[fd00::5]", "0.0.0.0", "other.example")
        ]
    assert statuses == [200, 200, 200, 200, 403]


async def test_a_request_in_single_bytes_is_answered() -> None:
    """As long as it comes in time."""
    async with an_endpoint() as port:
        status, _, body = parts_of(await exchange_bytes(port, *(bytes([byte]) for byte in a_request())))
        assert (status, body) == (200, b"up 1\n")


async def test_who_stops_sending_is_answered_still() -> None:
    """A client that closes its half behind the request."""
    async with an_endpoint() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request())
        writer.write_eof()
        assert parts_of(await reader.read())[0] == 200
        writer.close()
        await writer.wait_closed()


async def test_a_second_request_is_not_looked_at() -> None:
    """Two at once: one answer."""
    async with an_endpoint() as port:
        assert (await exchange_bytes(port, a_request() + a_request())).count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize("size", [8_193, 100_000, 2_000_000])
async def test_a_head_is_bounded(size: int) -> None:
    """One long line, or many short ones, finished or not: the end, without the rest being kept."""
    async with an_endpoint() as port:
        for unit in (b"x", b"a: b\r\n"):
            start = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: "
            answer = await exchange_bytes(port, start + unit * (size // len(unit)))
            assert answer == b"" or parts_of(answer)[0] == 431


async def test_a_head_of_eight_kilobytes_is_read() -> None:
    """8,192 bytes are not too many."""
    padding = 8_192 - len(a_request("GET /metrics HTTP/1.1", "localhost", *["X: "] * 4))
    fields = ["X: " + "y" * (padding // 4 + (padding % 4 if n == 0 else 0)) for n in range(4)]
    head = a_request("GET /metrics HTTP/1.1", "localhost", *fields)
    async with an_endpoint() as port:
        assert len(head) == 8_192
        assert parts_of(await exchange_bytes(port, head))[0] == 200
        assert parts_of(await exchange_bytes(port, head.replace(b"X: y", b"X: yy", 1)))[0] == 431


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n", b"\r\n"])
async def test_a_head_that_does_not_come_ends_its_connection(sent: bytes) -> None:
    """Nothing or a part of it: closed when its time is over, also while another byte comes again and again."""
    async with an_endpoint(limits=ConnectionLimits(head_s=0.2, lifetime_s=60.0)) as port:
        assert await exchange_bytes(port, sent) == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = asyncio.create_task(reader.read())
        async with asyncio.timeout(10):
            while not answer.done():
                writer.write(b"x")
                await asyncio.wait([answer], timeout=0.02)
        assert isinstance(answer.exception(), ConnectionResetError) or answer.result() == b""
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_a_connection_ends_with_its_life_however_slowly_it_is_read() -> None:
    """Answers of 50 MB that are not read: their connections end when their lifetime is over, and there is room."""
    limits = ConnectionLimits(head_s=60.0, lifetime_s=0.3)
    async with an_endpoint(text=lambda: "x" * 50_000_000, limits=limits) as port:
        loop = asyncio.get_running_loop()
        clients = []
        for _ in range(MAX_CONNECTIONS):
            client = socket.socket()
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_sendall(client, a_request())
            clients.append(client)
        answer = b""
        async with asyncio.timeout(20):
            while not answer:
                await asyncio.sleep(0.05)
                answer = await exchange_bytes(port, a_request())
        assert answer.startswith(b"HTTP/1.1 200")
        for client in clients:
            client.close()


async def test_an_excess_connection_is_closed_at_once() -> None:
    """Sixteen say nothing, the next ones are closed without a word; one leaves, and there is room again."""
    async with an_endpoint() as port:
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        assert await exchange_bytes(port, a_request()) == b""
        for reader, _ in clients:
            assert not reader.at_eof()
        clients[3][1].close()
        async with asyncio.timeout(10):
            while not (await exchange_bytes(port, a_request())).startswith(b"HTTP/1.1 200"):
                await asyncio.sleep(0.01)
        for _, writer in clients:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in clients))


async def test_one_answer_serves_everybody_for_a_second() -> None:
    """A hundred scrapes in a row: the figures are put together once or twice, not a hundred times."""
    calls = [0]

    def text() -> str:
        calls[0] += 1
        return f"asked {calls[0]}\n"

    async with an_endpoint(text=text) as port:
        loop = asyncio.get_running_loop()
        since = loop.time()
        for _ in range(100):
            assert (await exchange_bytes(port, a_request())).startswith(b"HTTP/1.1 200")
        assert calls[0] <= 1 + (loop.time() - since)


async def test_a_bug_in_the_figures_is_told_and_costs_one_answer() -> None:
    """They cannot be put together once: 500 and a line in the log, then the next scrape is answered."""
    calls = [0]

    def text() -> str:
        calls[0] += 1
        return str(1 / (calls[0] - 1))

    with structlog.testing.capture_logs() as lines:
        async with an_endpoint(text=text) as port:
            answers = [parts_of(await exchange_bytes(port, a_request())) for _ in range(2)]
    assert [status for status, _, _ in answers] == [500, 200]
    assert b"ZeroDivisionError" not in answers[0][2]
    assert [line["event"] for line in lines] == ["metrics", "metrics not answered"]


async def try_scrape(port: int) -> bytes:
    """The response to a scrape; empty if no server listens now, or it closed its pending connections."""
    try:
        return await exchange_bytes(port, a_request())
    except ConnectionError:
        return b""


class Exhausted:
    """accept() as it is when there is no descriptor left, for a while."""

    def __init__(self, error: int, times: int) -> None:
        self.error = error
        self.remaining = times

    def __call__(self, accept: Callable[..., Any]) -> Callable[..., Any]:
        """In front of the real one."""

        def failing(listener: socket.socket) -> Any:
            if self.remaining > 0:
                self.remaining -= 1
                raise OSError(self.error, os.strerror(self.error))
            return accept(listener)

        return failing


@pytest.mark.parametrize(
    "error",
    [
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EPERM,
        errno.EPROTO,
        errno.ECONNABORTED,
        errno.EBADF,
    ],
)
async def test_an_accept_that_fails_is_waited_out(error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty times in a row: at most one warning, then a scrape is answered; a broken listener is replaced."""
    monkeypatch.setattr(metrics_server, "_PAUSE_S", 0.001)
    failing = Exhausted(error, 30)
    with structlog.testing.capture_logs() as lines:
        async with an_endpoint() as port:
            monkeypatch.setattr(socket.socket, "accept", failing(socket.socket.accept))
            async with asyncio.timeout(20):
                while not (await try_scrape(port)).startswith(b"HTTP/1.1 200") or failing.remaining:
                    await asyncio.sleep(0.005)
    assert sum(line["log_level"] == "warning" for line in lines) <= 1


async def test_the_last_descriptors_are_kept_for_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those in reserve are left: a connection is closed at once, with one warning, until there are others."""
    short = [True]
    monkeypatch.setattr(metrics_server, "is_in_reserve", lambda _: short[0])
    with structlog.testing.capture_logs() as lines:
        async with an_endpoint() as port:
            for _ in range(50):
                assert await exchange_bytes(port, a_request()) == b""
            short[0] = False
            assert (await exchange_bytes(port, a_request())).startswith(b"HTTP/1.1 200")
    assert [line["log_level"] for line in lines] == ["info", "warning"]


async def test_nothing_stays_open_behind_an_endpoint_that_ended() -> None:
    """Clients in every state see the end, and the port is free again."""
    async with an_endpoint() as port:
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        for _, writer in clients[4:]:
            writer.write(b"GET /metrics")
        await asyncio.sleep(0)
    for reader, writer in clients:
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    with socket.create_server(("127.0.0.1", port)):
        pass
