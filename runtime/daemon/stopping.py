"""
The stop signal of a daemon: acknowledged at once, whatever the daemon is doing, with a limited time to end.
"""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

LIMIT_S = 5.0
"""Seconds that ending may take, whatever the log's server does."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP only where it is not ignored, as under `nohup`."""
_STOPPING = b"\nstopping: what is queued is stored first; at most 5 s\n"
_STILL_STOPPING = b"still stopping\n"


class StopSignal:
    """
    Ctrl+C, SIGTERM or the end of the terminal, as an event to wait for. Create it in the main thread; it handles these
    signals until the process ends, so that a second Ctrl+C cannot interrupt the ending that the first one began.

    A thread of its own receives the signals and acknowledges them, even while the main thread cannot be interrupted.

    Attributes:
        requested: set once a signal came.
    """

    def __init__(self) -> None:
        self.requested = threading.Event()
        self._requested_s = 0.0
        self._listeners: list[Callable[[], object]] = []
        self._guard = threading.Lock()
        self._numbers = [n for n in _SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        for number in self._numbers:
            signal.signal(number, lambda *_: None)  # without a handler of Python's own the default one would act
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, name="stop signal", daemon=True).start()

    def call(self, listener: Callable[[], object]) -> None:
        """Register a function to be called, in another thread, when a signal comes; called at once where one came."""
        with self._guard:
            self._listeners.append(listener)
            late = self.requested.is_set()
        if late:
            listener()

    def call_after(self, seconds: float, listener: Callable[[], object]) -> None:
        """Register a function to be called some seconds after the first signal."""

        def later() -> None:
            timer = threading.Timer(seconds, listener)
            timer.daemon = True
            timer.start()

        self.call(later)

    def remaining_s(self) -> float:
        """The remaining seconds of the time to end, at least 0; all of it before a signal."""
        spent_s = time.monotonic() - self._requested_s if self.requested.is_set() else 0.0
        return max(0.0, LIMIT_S - spent_s)

    def _listen(self) -> None:
        while numbers := self._reader.recv(64):
            if not any(number in self._numbers for number in numbers):
                continue
            with self._guard:
                first = not self.requested.is_set()
                if first:
                    self._requested_s = time.monotonic()
                    self.requested.set()
                listeners = tuple(self._listeners) if first else ()
            _write_to_terminal(_STOPPING if first else _STILL_STOPPING)
            for listener in listeners:
                listener()


def _write_to_terminal(line: bytes) -> None:
    """Write to the terminal if it accepts the line now: a closed or blocked one must not delay the end."""
    with suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, line)
