"""
An event loop whose clock jumps: a day of timers passes in a moment, over real sockets and with real threads.

Time stands still while anything happens. When no socket is ready and no job of a thread is under way, the clock jumps
to the next timer. Servers and clients run in the one loop, so all of them see the one time.
"""

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar, TypeVarTuple, Unpack

_LONGEST_WAIT_S = 120.0
_BLOCKED_S = 0.05

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


class Deadlock(RuntimeError):
    """Nothing happens any more: no timer is left, no socket is ready, no job of a thread ends."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    An event loop on virtual time.

    Attributes:
        jobs: how many jobs of threads are under way; while any is, time stands still.
        turns: how often it looked what is ready. looking: whether it does so now.
    """

    def __init__(self) -> None:
        self.jobs = 0
        self.turns = 0
        self.looking = False
        self._now_s = 0.0
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="virtual")
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def jump(self, seconds: float) -> None:
        """Move the clock on."""
        self._now_s += seconds

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Arguments]], _Result], *args: *_Arguments
    ) -> asyncio.Future[_Result]:
        """As any loop does; the job is under way until the loop has heard how it ended."""
        job = (executor or self._pool).submit(func, *args)
        self.jobs += 1
        outcome = asyncio.wrap_future(job, loop=self)
        job.add_done_callback(lambda _: self._tell(-1))  # comes after the outcome, whose callback was there first
        return outcome

    def sleep_in_job(self, seconds: float) -> None:
        """
        Let virtual time pass in the thread of a job, which is not under way meanwhile.

        A loop that stands still, waiting for that very thread, cuts it short.
        """
        woken, turns = threading.Event(), self.turns

        def sleep() -> None:
            self.jobs -= 1
            self.call_later(seconds, woken.set)

        self.call_soon_threadsafe(sleep)
        while not woken.wait(_BLOCKED_S) and (self.looking or turns != self.turns):
            turns = self.turns
        self._tell(1)

    def close(self) -> None:
        """As any loop does; the threads end."""
        super().close()
        self._pool.shutdown(wait=False)

    def _tell(self, more: int) -> None:
        if not self.is_closed():
            self.call_soon_threadsafe(self._count, more)

    def _count(self, more: int) -> None:
        self.jobs += more


class _Jumping(selectors.BaseSelector):
    """A selector that makes the loop's clock jump where it would have to wait."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.turns += 1
        self._loop.looking = True
        try:
            return self._select(timeout)
        finally:
            self._loop.looking = False

    def _select(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        found = self._real.select(0)
        if found or timeout == 0:
            return found
        if self._loop.jobs or timeout is None:
            found = self._real.select(_LONGEST_WAIT_S)
            if not found:
                raise Deadlock(f"nothing happened in {_LONGEST_WAIT_S:.0f} real seconds; jobs: {self._loop.jobs}")
            return found
        found = self._real.select(0)  # what goes over loopback is there at once, but for a kernel that puts it off
        if not found:
            self._loop.jump(timeout)
        return found


class VirtualClock:
    """
    The wall of a loop's virtual time; for `eventlog.clock.Clock`.

    Args:
        start_ns: the time when the loop's is 0, ns UTC.
    """

    def __init__(self, loop: VirtualLoop, start_ns: int) -> None:
        self._loop = loop
        self._start_ns = start_ns

    def now_ns(self) -> int:
        """Nanoseconds UTC."""
        return self._start_ns + round(self._loop.time() * 1e9)

    def sleep(self, seconds: float) -> None:
        """Wait, in the thread of a job."""
        self._loop.sleep_in_job(seconds)


def run_virtually(main: Callable[[VirtualLoop], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run a coroutine to its end on a loop of virtual time, which it is handed."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(main(loop))
