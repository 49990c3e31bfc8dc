"""
Listening sockets, and the descriptors that are kept back from whoever connects.
"""

import asyncio
import errno
import os
import resource
import socket
from contextlib import suppress
from typing import Any

_BACKLOG = 1_024  # what comes in a burst waits here instead of a second for its next try
_AT_A_TIME = 128
_MAX_IN_RESERVE = 32
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


async def listen(host: str, port: int) -> list[socket.socket]:
    """
    A socket for each address of a host; beside others, one that this machine does not have is left out.

    Raises:
        OSError, ValueError, OverflowError: it cannot be listened on.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(addresses):
            try:
                listeners.append(_listener(family, (address[0], port, *address[2:])))  # glibc wraps a port that is none
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                absent = error
        if not listeners:
            raise absent or OSError(errno.EADDRNOTAVAIL, f"{host} has no address")
    except BaseException:
        for each in listeners:
            each.close()
        raise
    return listeners


def _listener(family: int, address: tuple[Any, ...]) -> socket.socket:
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
    """Its host and port, as they stand in a URL."""
    host, port, *_ = listener.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_in_reserve(descriptor: int) -> bool:
    """Whether a new descriptor is one of the last that this process may have: the lowest free number comes first."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most != resource.RLIM_INFINITY and descriptor >= most - min(_MAX_IN_RESERVE, most // 8)


class SpareDescriptor:
    """A descriptor that is held so that there is one to let go of when there are none left."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._open()

    def turn_away(self, listener: socket.socket) -> None:
        """Have the spare one accept whoever waits, to be closed one after the other: nobody waits in vain."""
        self.close()
        with suppress(OSError):  # nobody waits any more; or another thread was faster, and they wait on
            for _ in range(_AT_A_TIME):
                listener.accept()[0].close()
        self._open()

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        with suppress(OSError):  # there is none now; the next connection is tried without
            self._descriptor = os.open(os.devnull, os.O_RDONLY)
