"""
The HTTP endpoint for Prometheus, bounded in connections, time, bytes and descriptors so that recording never suffers.

It accepts one connection at a time itself: asyncio's server accepts a hundred before they can be counted, and logs a
hundred errors per second when there is no descriptor left.
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
"""Open at the same time; further ones are closed at once."""

_PAUSE_S = 0.05  # before accepting again after an error
_MAX_REFUSALS_IN_A_ROW = 32  # before other tasks get their turn
_MAX_BODY_AGE_S = 1.0  # for which one text answers all requests
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
    Answer GET and HEAD of /metrics until cancelled; an address that is not available is tried again.

    Args:
        text: makes the answer; called once a second at most.
        host: name or address to listen on.
        port: 0 takes any free one, which is written to the program's log.
        allowed_hosts: Host headers that are answered, beside loopback's and `host`.
        retry_s: pause before listening again after an error.
        limits: of each connection, None for the defaults of `ConnectionLimits`.
    """
    names = frozenset(name for listener in (host, *allowed_hosts) if (name := host_name(listener)) is not None)
    warning = RecurringWarning("no metrics endpoint, trying again", "the metrics endpoint is back")
    while True:
        try:
            listeners = await listen(host, port)
            warning.ends()
            _log.info("metrics", url=" ".join(f"http://{address_of(listener)}{PATH}" for listener in listeners))
            await _Endpoint(text, names, limits or ConnectionLimits()).run(listeners)
        except (OSError, ValueError, OverflowError) as error:  # a host that is no name, a port that is none
            warning.occurs(getattr(error, "strerror", None) or str(error), host=host, port=port)
        await asyncio.sleep(retry_s)


async def _wait_until_readable(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(listener, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(listener)


class _Endpoint:
    """
    Accepts connections and answers them until a listener breaks.

    Args:
        text: makes the answer.
        names: see `is_allowed_host`.
        limits: of each connection.
    """

    def __init__(self, text: Callable[[], str], names: Collection[str], limits: ConnectionLimits) -> None:
        self._limits = limits
        self._connections: set[Connection] = set()
        self._server = web.Server(self._answer)
        self._text = text
        self._names = names
        self._body = b""
        self._body_until_s = float("-inf")
        self._refusal_count = 0
        self._spare = SpareDescriptor()
        self._warning = RecurringWarning("the metrics endpoint turns connections away", "")

    async def run(self, listeners: Collection[socket.socket]) -> None:
        """
        Accept until cancelled, then close everything.

        Raises:
            OSError: a listener is broken.
        """
        tasks = [asyncio.create_task(self._accept(listener)) for listener in listeners]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for listener in listeners:
                listener.close()
            for connection in list(self._connections):
                connection.abort()
            await asyncio.sleep(0)
            await self._server.shutdown(1.0)
            self._spare.close()

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                # Not `loop.sock_accept`: it may hold a connection for a turn before anybody can count it.
                connection_socket, _ = listener.accept()
                connection_socket.setblocking(False)
                await self._admit(connection_socket)
            except BlockingIOError:  # none is pending
                await _wait_until_readable(listener)
            except ConnectionError:  # the client is gone again
                await asyncio.sleep(0)
            except OSError as error:
                if error.errno in _LISTENER_BROKEN:
                    raise
                self._warning.occurs(error.strerror or str(error))
                self._spare.turn_away(listener)
                await asyncio.sleep(_PAUSE_S)

    async def _admit(self, connection_socket: socket.socket) -> None:
        """Serve a connection if there is room for one more, else close it."""
        is_last = is_in_reserve(connection_socket.fileno())
        if is_last:
            self._warning.occurs("all descriptors but those in reserve for the recording are in use")
        if is_last or len(self._connections) >= MAX_CONNECTIONS:
            connection_socket.close()
            self._refusal_count += 1
            if self._refusal_count % _MAX_REFUSALS_IN_A_ROW == 0:
                await asyncio.sleep(0)  # other tasks get their turn, however many connect
            return
        connection = Connection(self._server, self._limits, self._connections.discard)
        self._connections.add(connection)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, connection_socket)
        except OSError:
            self._connections.discard(connection)
            connection_socket.close()
            raise

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if not self._is_addressed_to_us(request):
            return reply(403, "This Host is not answered: ask by a loopback name or one of metrics.allowed_hosts")
        if request.path != PATH:
            return reply(404, f"Only {PATH} is here")
        if request.method not in _METHODS:
            return reply(405, "Only GET and HEAD are answered", {hdrs.ALLOW: ", ".join(_METHODS)})
        now = asyncio.get_running_loop().time()
        if now >= self._body_until_s:
            self._body, self._body_until_s = self._text().encode(), now + _MAX_BODY_AGE_S
        return reply(200, self._body, {hdrs.CONTENT_TYPE: CONTENT_TYPE})

    def _is_addressed_to_us(self, request: web.BaseRequest) -> bool:
        """Whether the Host header is allowed, and the host in the request line if there is one."""
        headers = request.headers.getall(hdrs.HOST, [])
        if len(headers) != 1 or not is_allowed_host(headers[0], self._names):
            return False
        try:
            return is_allowed_host(request.url.raw_authority, self._names)
        except ValueError:  # the port is not a number
            return False
