"""
The log's server while a daemon runs: the one in settings, or the one embedded in the storage, started and released.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventlog.server.connections import Connections
from eventlog.server.embedded_server import EmbeddedServer
from runtime.daemon.stopping import StopSignal

_RELEASE_S = 1.5  # for the log's server to end, where this was the last process
_CUT_AFTER_S = 2.0  # of the time to end in: by then the log's server has answered, or does not


@dataclass(frozen=True, slots=True)
class LogServer:
    """
    The server of a storage's logs.

    Attributes:
        connect: makes a new connection to it. revive: restarts an embedded server that has died.
    """

    connect: Callable[[], Any]
    revive: Callable[[], None]


@contextmanager
def log_server(url: str | None, storage: Path, stop: StopSignal) -> Iterator[LogServer]:
    """
    Provide the server of a storage's logs until the daemon ends; connections that do not answer by then are closed.

    Args:
        url: of the server; None for the one embedded in the storage, which is started where it does not run.
        storage: folder of all logs.
        stop: the daemon's stop signal, which bounds the time to end.

    Raises:
        StoreUnavailable: the embedded server does not start.
    """
    server = EmbeddedServer(storage) if url is None else None
    keeper = server.hold(stop.requested.is_set) if server is not None else None
    try:
        connections = server.connections if server is not None else Connections(url=url)
        stop.call_after(_CUT_AFTER_S, connections.cut)
        yield LogServer(connections.connect, _reviver(server, stop))
    finally:
        if server is not None and keeper is not None:
            server.release(keeper, min(stop.remaining_s(), _RELEASE_S))


def _reviver(server: EmbeddedServer | None, stop: StopSignal) -> Callable[[], None]:
    """A function that restarts an embedded server; does not wait for it after the stop signal."""
    return (lambda: None) if server is None else (lambda: server.ensure(stop.requested.is_set).close())
