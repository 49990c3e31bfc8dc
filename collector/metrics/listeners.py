"""
Listening sockets, and file descriptors that are reserved so that clients cannot use them up.
"""

import asyncio
import errno
import os
import resource
import socket
from contextlib import suppress
from typing import Any

_BACKLOG = 1_024  # connections of a burst wait here instead of a second for their next SYN
_MAX_TURNED_AWAY = 128  # connections in one call
_MAX_RESERVE = 32  # descriptors that connections may not use
_ABSENT_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


async def listen(host: str, port: int) -> list[socket.socket]:
    """
    Listen on every address of a host; addresses that this machine lacks are left out if it has any other.

    Raises:
        OSError, ValueError, OverflowError: an address cannot be listened on, or the port is no port.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    absent_error: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(addresses):
            try:
                listeners.append(_bind(family, (address[0], port, *address[2:])))  # glibc wraps a port that is none
            except OSError as error:
                if error.errno not in _ABSENT_ADDRESS:
                    raise
                absent_error = error
        if not listeners:
            raise absent_error or OSError(errno.EADDRNOTAVAIL, f"{host} has no address")
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _bind(family: int, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket) -> str:
    """Host and port of a listener as they are written in a URL."""
    host, port, *_ = listener.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_in_reserve(descriptor: int) -> bool:
    """Whether a new descriptor is one of the last that this process may open; numbers are assigned lowest first."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit != resource.RLIM_INFINITY and descriptor >= limit - min(_MAX_RESERVE, limit // 8)


class SpareDescriptor:
    """A descriptor that is kept open, to be closed when there are none left."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._open()

    def turn_away(self, listener: socket.socket) -> None:
        """Accept pending connections with the spare descriptor and close them one by one."""
        self.close()
        with suppress(OSError):  # none is pending any more, or another thread took the descriptor
            for _ in range(_MAX_TURNED_AWAY):
                listener.accept()[0].close()
        self._open()

    def close(self) -> None:
        """Close the spare descriptor."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        with suppress(OSError):  # there is none now; the next connection is tried without
            self._descriptor = os.open(os.devnull, os.O_RDONLY)
