"""Time that jumps: over timers, not over threads, and in step with what goes over sockets."""

import asyncio
import threading
import time

import pytest

from tests import virtual_time
from tests.virtual_time import Deadlock, VirtualClock, VirtualLoop, run_virtually

DAY_S = 86_400


def test_a_day_of_sleep_takes_a_moment() -> None:
    """Every second of a day is slept, and the clocks say so."""

    async def main(loop: VirtualLoop) -> tuple[float, int]:
        for _ in range(DAY_S // 10):
            await asyncio.sleep(10)
        return loop.time(), VirtualClock(loop, 5).now_ns()

    started = time.thread_time()
    slept_s, now_ns = run_virtually(main)
    assert (round(slept_s, 6), now_ns) == (DAY_S, 5 + DAY_S * 10**9)
    assert time.thread_time() - started < 5


def test_timers_come_in_their_order() -> None:
    """A short one that was set later is first."""

    async def main(loop: VirtualLoop) -> list[str]:
        came: list[str] = []
        loop.call_later(3600, came.append, "late")
        loop.call_later(0.001, came.append, "soon")
        await asyncio.sleep(7200)
        return came

    assert run_virtually(main) == ["soon", "late"]


def test_no_time_passes_while_a_thread_works() -> None:
    """A job that takes real time takes no virtual time, though a timer waits."""

    async def main(loop: VirtualLoop) -> tuple[float, bool, float]:
        rung: list[float] = []
        loop.call_later(0.01, lambda: rung.append(loop.time()))
        await loop.run_in_executor(None, time.sleep, 0.1)
        after, early = loop.time(), bool(rung)
        await asyncio.sleep(1)
        return after, early, rung[0]

    assert run_virtually(main) == (0.0, False, 0.01)


def test_a_job_given_up_is_still_waited_for() -> None:
    """Whoever awaited it has gone; the thread has not, and time stands still until it has."""

    async def main(loop: VirtualLoop) -> tuple[float, bool]:
        ended = threading.Event()

        def work() -> None:
            time.sleep(0.1)
            ended.set()

        job = loop.run_in_executor(None, work)
        await asyncio.sleep(0)
        job.cancel()
        await asyncio.sleep(60)
        return loop.time(), ended.is_set()

    assert run_virtually(main) == (60.0, True)


def test_a_thread_sleeps_virtually() -> None:
    """While it does, time passes for the others; then it is under way again."""

    async def main(loop: VirtualLoop) -> list[float]:
        clock, came = VirtualClock(loop, 0), []

        def work() -> None:
            clock.sleep(60)
            time.sleep(0.05)
            came.append(clock.now_ns() / 1e9)

        loop.call_later(30, lambda: came.append(loop.time()))
        await loop.run_in_executor(None, work)
        return [*came, loop.time()]

    assert run_virtually(main) == [30.0, 60.0, 60.0]


def test_a_loop_that_waits_for_a_sleeping_thread_wakes_it() -> None:
    """Else both would wait for ever."""

    async def main(loop: VirtualLoop) -> tuple[float, int]:
        job = loop.run_in_executor(None, VirtualClock(loop, 0).sleep, 3600)
        await asyncio.sleep(1)
        loop._pool.shutdown(wait=True)
        await job
        return loop.time(), loop.jobs

    assert run_virtually(main) == (1.0, 0)


def test_an_echo_keeps_step_with_timers() -> None:
    """What is sent comes back before the clock moves; the server's pause is the client's too."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"slow\n":
                await asyncio.sleep(3600)
            writer.write(line)
        writer.close()

    async def main(loop: VirtualLoop) -> list[tuple[bytes, float]]:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        loop.call_later(1800, writer.write, b"timer\n")
        came = []
        for line in (b"quick\n", b"slow\n"):
            writer.write(line)
            came.append((await reader.readline(), loop.time()))
        came.append((await reader.readline(), loop.time()))
        writer.close()
        await asyncio.sleep(1)
        server.close()
        return came

    assert run_virtually(main) == [(b"quick\n", 0.0), (b"slow\n", 3600.0), (b"timer\n", 3600.0)]


def test_megabytes_cross_in_no_time() -> None:
    """A transfer of many rounds is over before a timer of a millisecond."""

    async def main(loop: VirtualLoop) -> tuple[int, float]:
        async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(bytes(10_000_000))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(send, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        loop.call_later(0.001, lambda: None)
        size = len(await reader.read(-1))
        took_s = loop.time()
        writer.close()
        await asyncio.sleep(1)
        server.close()
        return size, took_s

    assert run_virtually(main) == (10_000_000, 0.0)


def test_a_wait_without_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that nothing can wake does not hang."""
    monkeypatch.setattr(virtual_time, "_LONGEST_WAIT_S", 0.1)

    async def main(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(Deadlock, match="nothing happened"):
        run_virtually(main)
