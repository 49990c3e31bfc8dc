"""
How a daemon is told to end: it says so at once, whatever it is busy with, and has a limited time to end in.
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
"""How long ending may take, whatever the log's server does."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The last where nobody has it ignored, as `nohup` does."""
_STOPPING = b"\nstopping: what is queued is stored first; at most 5 s\n"
_STILL_STOPPING = b"still stopping\n"


class StopSignal:
    """
    Ctrl+C, SIGTERM or the end of its terminal, as something to wait for. Create it in the main thread; it stays in
    charge until the process ends, so that a second Ctrl+C cannot break off what the first one began.

    The kernel's word goes to a thread of its own: that one says that the process stops even while the main thread is in
    the middle of something that cannot be interrupted.

    Attributes:
        requested: set once the process was told to end.
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
        """Have something called, in another thread, as soon as the process is told to end; at once where it was."""
        with self._guard:
            self._listeners.append(listener)
            late = self.requested.is_set()
        if late:
            listener()

    def call_after(self, seconds: float, listener: Callable[[], object]) -> None:
        """Have something called so long after the process was told to end."""

        def later() -> None:
            timer = threading.Timer(seconds, listener)
            timer.daemon = True
            timer.start()

        self.call(later)

    def remaining_s(self) -> float:
        """How much of the time to end in is left; all of it while nobody asked for the end."""
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
    """To the terminal where it listens: one that is gone, or takes nothing just now, must not hold up the end."""
    with suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, line)
