"""
Connections to a log's server: where it is, whose it must be, and how all of them are cut at once.
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
"""What the server calls our connections: whose process they belong to."""

DEFAULT_TIMEOUT_S = 5.0

_CREDENTIALS = struct.Struct("3i")  # Linux: process, user, group
_XUCRED_SIZE = 76  # macOS: version, user, number of groups, sixteen groups


class Connections:
    """
    One server, and everybody's connections to it.

    No command is ever repeated by the client library: a repeated append would write twice.

    Args:
        url: redis://host:port/db, rediss:// or unix://, or None for a Unix socket of our own.
        unix_socket: the path of that socket. password: what its server asks for.
        owner: the user whose process must listen on it; this process's own by default.

    Raises:
        EventLogError: the address is none.
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
        End every connection and make no further one: whoever waits for the server, in whichever thread, hears at once
        that it is unavailable.
        """
        with self._guard:
            self._is_cut = True
            open_now = list(self._sockets)
        for each in open_now:
            try:
                socket.socket.shutdown(each, socket.SHUT_RDWR)  # of the socket itself, also where TLS runs over it
            except OSError:
                continue  # closed meanwhile

    def _expect_address(self) -> None:
        try:
            self._pool().make_connection()  # connects to nothing yet
        except (ValueError, TypeError) as error:  # their text may hold the address, and the address a password
            raise EventLogError("the Redis address is none; write redis://host:port/db") from error

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
            return redis.ConnectionPool(connection_class=self._remembering(UnixDomainSocketConnection), **options)
        pool = redis.ConnectionPool.from_url(self._url, **options)
        pool.connection_class = self._remembering(pool.connection_class)
        return pool

    def _remembering(self, base: type[Any]) -> type[Any]:
        """A connection class whose sockets can be cut, and which knows whose server a socket of our own must be."""
        connections = self

        class Remembered(base):  # type: ignore[misc]
            def _connect(self) -> Any:
                connections._expect_not_cut()
                made = super()._connect()
                with connections._guard:
                    connections._sockets.add(made)
                try:
                    connections._expect_owner(made)
                    connections._expect_not_cut()
                except BaseException:
                    made.close()
                    raise
                return made

        return Remembered

    def _expect_not_cut(self) -> None:
        if self._is_cut:
            raise RedisConnectionError("not asked any more: this process ends")

    def _expect_owner(self, made: socket.socket) -> None:
        """A socket of our own must be served by its owner; whose a server is that the user named is his business."""
        owner = peer_user(made) if self._url is None else None
        if owner is not None and owner != self._owner:
            raise RedisConnectionError(
                f"the server on {self._path} belongs to user {owner}, not to user {self._owner}: it is not asked"
            )


def peer_user(connected: socket.socket) -> int | None:
    """The user whose process listens at the other end of a Unix socket; None where the system cannot say."""
    system: str = sys.platform
    if system == "linux":
        raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(raw)[1])
    if system == "darwin":
        local, credentials = 0, 1  # SOL_LOCAL and LOCAL_PEERCRED of sys/un.h
        return int(struct.unpack_from("I", connected.getsockopt(local, credentials, _XUCRED_SIZE), 4)[0])
    return None
