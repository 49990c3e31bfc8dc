"""
Connections to a log's server: its address, the check of its owner, and cutting all of them at once.
"""

import os
import socket
import struct
import sys
from threading import Lock
from typing import Any
from weakref import WeakSet

import redis
from redis.backoff import NoBackoff
from redis.connection import UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from eventlog.errors import EventLogError

CLIENT_NAME = f"liquidity-agent-{os.getpid()}"
"""The client name of our connections: it identifies this process."""

DEFAULT_TIMEOUT_S = 5.0  # of a connection and of a command

_CREDENTIALS = struct.Struct("3i")  # Linux: process, user, group
_XUCRED_SIZE = 76  # macOS: version, user, number of groups, sixteen groups


class Connections:
    """
    One server and this process's connections to it.

    The client library repeats no command: a repeated append would write twice.

    Args:
        url: redis://host:port/db, rediss:// or unix://, or None for a Unix socket of our own.
        unix_socket: the path of that socket. password: of its server.
        owner: the user id whose process must listen on it; this process's own where None.
        timeout_s: how long a connection or a command may take, seconds.

    Raises:
        EventLogError: the address cannot be read.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        unix_socket: str | None = None,
        password: str | None = None,
        owner: int | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._url = url
        self._path = unix_socket
        self._password = password
        self._owner = os.geteuid() if owner is None else owner
        self._timeout_s = timeout_s
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._guard = Lock()
        self._is_cut = False
        if url is not None:
            self._expect_address()

    def __repr__(self) -> str:
        return "Connections(…)"  # the address may hold a password

    def connect(self) -> redis.Redis:
        """A client with connections of its own; one client serves one thread."""
        return redis.Redis.from_pool(self._pool())

    def cut(self) -> None:
        """
        End all connections and allow no new one: a call that waits for the server, in any thread, fails at once as
        unavailable.
        """
        with self._guard:
            self._is_cut = True
            open_now = list(self._sockets)
        for open_socket in open_now:
            try:
                socket.socket.shutdown(open_socket, socket.SHUT_RDWR)  # also where TLS wraps it
            except OSError:
                continue  # closed meanwhile

    def _expect_address(self) -> None:
        try:
            self._pool().make_connection()  # connects to nothing yet
        except (ValueError, TypeError) as error:  # the error's text may hold the address, and that a password
            raise EventLogError("cannot read the Redis address; write redis://host:port/db") from error

    def _pool(self) -> redis.ConnectionPool:
        options: dict[str, Any] = {
            "client_name": CLIENT_NAME,
            "socket_timeout": self._timeout_s,
            "socket_connect_timeout": self._timeout_s,
            "retry": Retry(NoBackoff(), 0),
            "decode_responses": False,
        }
        if self._url is None:
            options |= {"path": self._path, "password": self._password}
            return redis.ConnectionPool(connection_class=self._tracking_class(UnixDomainSocketConnection), **options)
        pool = redis.ConnectionPool.from_url(self._url, **options)
        pool.connection_class = self._tracking_class(pool.connection_class)
        return pool

    def _tracking_class(self, base: type[Any]) -> type[Any]:
        """A connection class whose sockets `cut` ends, and which checks the owner of the server on our own socket."""
        connections = self

        class TrackedConnection(base):  # type: ignore[misc]
            def _connect(self) -> Any:
                connections._expect_not_cut()
                new_socket = super()._connect()
                with connections._guard:
                    connections._sockets.add(new_socket)
                try:
                    connections._expect_owner(new_socket)
                    connections._expect_not_cut()
                except BaseException:
                    new_socket.close()
                    raise
                return new_socket

        return TrackedConnection

    def _expect_not_cut(self) -> None:
        if self._is_cut:
            raise RedisConnectionError("not asked any more: this process ends")

    def _expect_owner(self, new_socket: socket.socket) -> None:
        """Refuse a server of another user on our own socket; a server that the user named by URL is not checked."""
        owner = peer_user(new_socket) if self._url is None else None
        if owner is not None and owner != self._owner:
            raise RedisConnectionError(
                f"the server on {self._path} belongs to user {owner}, not to user {self._owner}: it is not asked"
            )


def peer_user(unix_socket: socket.socket) -> int | None:
    """The id of the user whose process listens on a connected Unix socket; None where the system does not tell."""
    system: str = sys.platform
    if system == "linux":
        raw = unix_socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(raw)[1])
    if system == "darwin":
        local, credentials = 0, 1  # SOL_LOCAL and LOCAL_PEERCRED of sys/un.h
        return int(struct.unpack_from("I", unix_socket.getsockopt(local, credentials, _XUCRED_SIZE), 4)[0])
    return None
