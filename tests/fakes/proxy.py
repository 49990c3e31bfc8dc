"""Stands between a client and a server on Unix sockets, and loses or holds back what it is told to."""

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from eventlog.server.embedded_server import EmbeddedServer
from eventlog.store import hot


class Proxy:
    """
    Args:
        path: where clients connect.
        server: the real server, which runs.
    """

    def __init__(self, path: Path, server: EmbeddedServer) -> None:
        self.path = path
        self.server = server.socket
        self._password = server.password()
        self.delay_s = 0.0
        self._lose_request: bytes | None = None
        self._lose_reply: bytes | None = None
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._refusing = False
        self._silent = False
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def connect(self, timeout_s: float = 5.0) -> Any:
        """A client that goes this way."""
        return hot.connect(unix_socket=str(self.path), password=self._password, timeout_s=timeout_s)

    def lose_request(self, word: bytes) -> None:
        """Cut the connection instead of passing on the next request that holds a word."""
        self._lose_request = word

    def lose_reply(self, word: bytes) -> None:
        """Pass on the next request that holds a word, and cut the connection instead of passing back its reply."""
        self._lose_reply = word

    def cut(self) -> None:
        """Cut every connection and refuse new ones until `mend`."""
        self._refusing = True
        while self._open:
            _end(self._open.pop())

    def fall_silent(self) -> None:
        """Go on accepting clients and what they say, and answer nothing until `mend`."""
        self._silent = True

    def mend(self) -> None:
        """Let clients through again."""
        self._refusing = self._silent = False

    def _run(self, target: object, *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))  # type: ignore[arg-type]
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                near.close()
                continue
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(self.server))
            self._open += [near, far]
            deaf = threading.Event()
            self._run(self._pass_requests, near, far, deaf)
            self._run(self._pass_replies, far, near, deaf)

    def _pass_requests(self, near: socket.socket, far: socket.socket, deaf: threading.Event) -> None:
        with near, far, suppress(OSError):
            while data := near.recv(1 << 20):
                if self._silent:
                    continue
                if self._lose_request is not None and self._lose_request in data:
                    self._lose_request = None
                    break
                if self._lose_reply is not None and self._lose_reply in data:
                    self._lose_reply = None
                    deaf.set()
                time.sleep(self.delay_s)
                far.sendall(data)
            _end(near), _end(far)

    def _pass_replies(self, far: socket.socket, near: socket.socket, deaf: threading.Event) -> None:
        with suppress(OSError):
            while data := far.recv(1 << 20):
                if deaf.is_set():
                    break
                near.sendall(data)
        _end(near), _end(far)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
