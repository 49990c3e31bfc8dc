"""
The HTTP endpoint for Prometheus, bounded in connections, time, bytes and descriptors: it never costs a recording.

It accepts one connection at a time by itself: asyncio's server accepts a hundred before anybody can count them, and
logs a hundred errors a second when there is no descriptor left.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Collection, Iterable

import structlog
from aiohttp import hdrs, web

from collector.metrics.allowed_hosts import host_name, is_allowed_host
from collector.metrics.listeners import SpareDescriptor, address_of, is_in_reserve, listen
from collector.metrics.metrics_connection import Connection, ConnectionLimits, reply
from collector.metrics.prometheus import CONTENT_TYPE
from runtime.daemon.recurring_warning import RecurringWarning

PATH = "/metrics"
MAX_CONNECTIONS = 16
"""At once; an excess one is closed at once."""

_PAUSE_S = 0.05  # before accepting again when it failed
_IN_A_ROW = 32  # how many are turned away before others get their turn
_FRESH_S = 1.0  # how long one answer serves everybody who asks
_LISTENER_BROKEN = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)
_METHODS = (hdrs.METH_GET, hdrs.METH_HEAD)

_log = structlog.get_logger()


async def serve(
    text: Callable[[], str],
    host: str,
    port: int,
    allowed_hosts: Iterable[str] = (),
    retry_s: float = 10.0,
    limits: ConnectionLimits | None = None,
) -> None:
    """
    Answer GET and HEAD of /metrics for ever; an address that cannot be had is tried again every so often.

    Args:
        text: what to answer, asked for once a second at most.
        port: 0 takes any free one; it is in the log.
        allowed_hosts: Host headers that are answered, beside loopback's and `host`.
    """
    names = frozenset(name for each in (host, *allowed_hosts) if (name := host_name(each)) is not None)
    warning = RecurringWarning("no metrics endpoint, trying again", "the metrics endpoint is back")
    while True:
        try:
            listeners = await listen(host, port)
            warning.ends()
            _log.info("metrics", url=" ".join(f"http://{address_of(each)}{PATH}" for each in listeners))
            await _Endpoint(text, names, limits or ConnectionLimits()).run(listeners)
        except (OSError, ValueError, OverflowError) as error:  # a host that is no name, a port that is none
            warning.occurs(getattr(error, "strerror", None) or str(error), host=host, port=port)
        await asyncio.sleep(retry_s)


class _Endpoint:
    """
    Everything that listens and answers, until a listener breaks.

    Args:
        names: see `is_allowed_host`.
    """

    def __init__(self, text: Callable[[], str], names: Collection[str], limits: ConnectionLimits) -> None:
        self._limits = limits
        self._connections: set[Connection] = set()
        self._server = web.Server(self._answer)
        self._text = text
        self._names = names
        self._body = b""
        self._body_until_s = float("-inf")
        self._turned_away = 0
        self._spare = SpareDescriptor()
        self._warning = RecurringWarning("the metrics endpoint turns connections away", "")

    async def run(self, listeners: Collection[socket.socket]) -> None:
        """
        Accept until cancelled, then close everything.

        Raises:
            OSError: a listener is broken.
        """
        accepting = [asyncio.create_task(self._accept(each)) for each in listeners]
        try:
            await asyncio.gather(*accepting)
        finally:
            for task in accepting:
                task.cancel()
            await asyncio.gather(*accepting, return_exceptions=True)
            for each in listeners:
                each.close()
            for connection in list(self._connections):
                connection.abort()
            await asyncio.sleep(0)
            await self._server.shutdown(1.0)
            self._spare.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
                await self._admit(accepted)
            except ConnectionError:  # whoever connected is gone again
                await asyncio.sleep(0)
            except OSError as error:
                if error.errno in _LISTENER_BROKEN:
                    raise
                self._warning.occurs(error.strerror or str(error))
                self._spare.turn_away(listener)
                await asyncio.sleep(_PAUSE_S)

    async def _admit(self, accepted: socket.socket) -> None:
        """Serve a connection where there is room for one more, else close it."""
        is_last = is_in_reserve(accepted.fileno())
        if is_last:
            self._warning.occurs("all descriptors but those in reserve for the recording are in use")
        if is_last or len(self._connections) >= MAX_CONNECTIONS:
            accepted.close()
            self._turned_away += 1
            if self._turned_away % _IN_A_ROW == 0:
                await asyncio.sleep(0)  # others get their turn, however many connect
            return
        connection = Connection(self._server, self._limits, self._connections.discard)
        self._connections.add(connection)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, accepted)
        except OSError:
            self._connections.discard(connection)
            accepted.close()
            raise

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if not self._is_for_us(request):
            return reply(403, "This Host is not answered: ask by a loopback name or one of metrics.allowed_hosts")
        if request.path != PATH:
            return reply(404, f"Only {PATH} is here")
        if request.method not in _METHODS:
            return reply(405, "Only GET and HEAD are answered", {hdrs.ALLOW: ", ".join(_METHODS)})
        now = asyncio.get_running_loop().time()
        if now >= self._body_until_s:
            self._body, self._body_until_s = self._text().encode(), now + _FRESH_S
        return reply(200, self._body, {hdrs.CONTENT_TYPE: CONTENT_TYPE})

    def _is_for_us(self, request: web.BaseRequest) -> bool:
        """By the Host header, and by the host in the request's line where one stands there."""
        headers = request.headers.getall(hdrs.HOST, [])
        if len(headers) != 1 or not is_allowed_host(headers[0], self._names):
            return False
        try:
            return is_allowed_host(request.url.raw_authority, self._names)
        except ValueError:  # the port is none
            return False
