"""
One HTTP connection with a bounded lifetime and a bounded request head, which gets one answer.

Its request is collected here, within the limits, and only a complete head is passed to aiohttp, which by itself bounds
neither the time nor the size of a head.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import structlog
from aiohttp import hdrs, web

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_PLAIN = "text/plain; charset=utf-8"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """
    Limits of one connection.

    Attributes:
        head_s: from its start until the request's head must have come.
        lifetime_s: from its start to its end, whatever happens on it.
        head_bytes: largest size of request line and headers together.
    """

    head_s: float = 3.0
    lifetime_s: float = 10.0
    head_bytes: int = 8_192


class Connection(asyncio.Protocol):
    """
    Collects the head of one request, has it answered, and ends; what follows the head is ignored.

    Args:
        server: answers the request.
        limits: of time and size.
        on_end: called once, when the connection has ended.
    """

    def __init__(self, server: web.Server, limits: ConnectionLimits, on_end: Callable[["Connection"], None]) -> None:
        self._server = server
        self._limits = limits
        self._on_end = on_end
        self._head = bytearray()
        self._handler: _Handler | None = None
        self._transport: asyncio.Transport | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(self._limits.lifetime_s, self.abort))
        self._timers.append(loop.call_later(self._limits.head_s, self._expect_head))

    def data_received(self, data: bytes) -> None:
        if self._handler is not None or self._transport is None or self._transport.is_closing():
            return
        self._head += data if self._head else data.lstrip(b"\r\n")
        end = _END_OF_HEAD.search(self._head)
        if (end.end() if end is not None else len(self._head)) > self._limits.head_bytes:
            self._transport.write(_TOO_LARGE)
            self._transport.close()
        elif end is not None:
            self._handler = _Handler(self._server)
            try:
                self._handler.connection_made(self._transport)
            except OSError:  # the client was gone before the handler could be set up
                self.abort()
            else:
                self._handler.data_received(bytes(self._head[: end.end()]))

    def eof_received(self) -> bool:
        return self._handler is not None  # a client may stop sending after its request, and still be answered

    def pause_writing(self) -> None:
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        if self._handler is not None:
            self._handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        self._on_end(self)
        if self._handler is not None:
            self._handler.connection_lost(exc)

    def abort(self) -> None:
        """Close the connection at once, even in the middle of an answer."""
        if self._transport is not None:
            self._transport.abort()

    def _expect_head(self) -> None:
        if self._handler is None:
            self.abort()


class _Handler(web.RequestHandler):
    """aiohttp's handler, without a log line for bad requests."""

    __slots__ = ()

    def __init__(self, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=0,
            lingering_time=0,
            access_log=None,  # type: ignore[arg-type] # its type forgets None
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status < 500:
            return reply(status, "No HTTP request that can be read")
        _log.error("metrics not answered", exc_info=exc)
        return reply(status, "The metrics cannot be had; see the collector's log")


def reply(status: int, body: str | bytes, headers: Mapping[str, str] | None = None) -> web.Response:
    """
    Build the only response of a connection, which is closed after it.

    Args:
        status: of HTTP.
        body: bytes, or a text of one line, to which a line end is added.
        headers: beside content type and connection, or in place of them; None for none.
    """
    response = web.Response(
        status=status,
        body=body if isinstance(body, bytes) else f"{body}\n".encode(),
        headers={hdrs.CONTENT_TYPE: _PLAIN, hdrs.CONNECTION: "close", **(headers or {})},
    )
    response.force_close()
    return response
