"""
Daemon threads for name lookups: a resolver that hangs delays neither the event loop nor the end of the process, which
would join the threads of the loop's own executor.
"""

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")

MAX_LOOKUPS = 32
"""Most lookups under way at once; the next one fails."""


class Lookups(ThreadPoolExecutor):
    """An executor that runs each blocking call of a loop in a daemon thread of its own, which need not end."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)  # starts no thread: nothing is submitted to it
        self._slots = threading.BoundedSemaphore(MAX_LOOKUPS)

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> "Future[_T]":
        """
        Call a function in a new daemon thread.

        Raises:
            OSError: too many are under way.
        """
        if not self._slots.acquire(blocking=False):
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        future: Future[_T] = Future()
        threading.Thread(target=self._run, args=(future, fn, args, kwargs), name="lookup", daemon=True).start()
        return future

    def _run(self, future: "Future[_T]", fn: Callable[..., _T], args: Any, kwargs: Any) -> None:
        try:
            if not future.set_running_or_notify_cancel():
                return
            try:
                value = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(value)
        finally:
            self._slots.release()
