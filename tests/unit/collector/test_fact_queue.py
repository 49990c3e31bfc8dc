"""The queue into the log: order is kept, and everything on its way can be seen."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from collector.fact_queue import FactQueue
from collector.queue_limits import QueueLimits
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE
from eventlog.spill.spill import Spill
from eventlog.store.writer import LostRange
from exchanges.port import Arrival


class SlowWriter:
    """Stores one batch whenever it is let."""

    def __init__(self) -> None:
        self.stored: list[bytes] = []
        self.last_seq = 0

    def append(self, facts: Sequence[Fact]) -> LostRange | None:
        """Keep the facts."""
        self.stored += [f.data for f in facts]
        self.last_seq += len(facts)
        return None


def a_fact(number: int) -> Fact:
    """A fact that is its number."""
    return Fact(AGG_TRADE, number, str(number).encode())


async def nobody(_: LostRange) -> None:
    """Hears of no loss."""


def test_whoever_comes_first_is_stored_first_even_while_the_queue_is_full() -> None:
    """Three tasks put facts, room for two: none passes, and all pending facts are visible."""
    writer = SlowWriter()

    async def main() -> None:
        queue = FactQueue(writer, lambda: None, nobody, limits=QueueLimits(facts=2))  # type: ignore[arg-type]
        putters = [asyncio.create_task(queue.put([a_fact(i), a_fact(i + 1)])) for i in (1, 3, 5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [f.data for part in queue.pending_facts(AGG_TRADE) for f in part] == [
            b"1",
            b"2",
            b"3",
            b"4",
            b"5",
            b"6",
        ]
        assert not any(p.done() for p in putters)
        running = asyncio.create_task(queue.run())
        await asyncio.gather(*putters)
        await queue.wait_stored()
        running.cancel()
        queue.close()

    asyncio.run(main())
    assert writer.stored == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_stored_waits_for_its_own_facts() -> None:
    """A ticket is good when the facts before it are in the log."""
    writer = SlowWriter()

    async def main() -> int:
        queue = FactQueue(writer, lambda: None, nobody)  # type: ignore[arg-type]
        running = asyncio.create_task(queue.run())
        ticket = await queue.put([a_fact(1)])
        await queue.wait_stored(ticket)
        running.cancel()
        queue.close()
        return ticket

    assert asyncio.run(main()) == 1
    assert writer.stored == [b"1"]


class StuckWriter(SlowWriter):
    """Stores nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def append(self, facts: Sequence[Fact]) -> LostRange | None:
        """Wait, then keep the facts."""
        self.let.wait(10)
        return super().append(facts)


class Ear:
    """Counts facts and waits."""

    def __init__(self) -> None:
        self.fact_count = 0
        self.waits: list[float] = []

    def on_arrivals(self, arrivals: Sequence[Arrival]) -> None:
        """Not of interest here."""

    def on_stored(self, facts: Sequence[Fact]) -> None:
        """Some more."""
        self.fact_count += len(facts)

    def on_wait(self, seconds: float) -> None:
        """Once more."""
        self.waits.append(seconds)

    def on_put(self, depth: int) -> None:
        """Not of interest here."""


async def until(true: Callable[[], bool]) -> None:
    """Let the others run until something is true."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


def test_what_memory_has_no_room_for_goes_to_the_file_and_comes_back_in_order(tmp_path: Path) -> None:
    """A writer that is stuck: putting goes on, memory holds few, all are seen; let go, all are stored in order."""
    writer, ear, spill = StuckWriter(), Ear(), Spill(tmp_path)

    async def main() -> tuple[int, int, set[bytes]]:
        queue = FactQueue(writer, lambda: None, nobody, spill, QueueLimits(facts=10), ear)  # type: ignore[arg-type]
        running = asyncio.create_task(queue.run())
        deepest = 0
        for number in range(1, 1001):
            await queue.put([a_fact(number)])
            deepest = max(deepest, queue.queue_depth)
            assert queue.drop_count == 0
        pending = {f.data for part in queue.pending_facts(AGG_TRADE) for f in part}
        in_file = spill.pending_count
        writer.let.set()
        await queue.wait_stored()
        await until(lambda: not spill.is_open)
        assert (queue.drop_count, queue.queue_depth, queue.queue_bytes) == (0, 0, 0)
        running.cancel()
        queue.close()
        return deepest, in_file, pending

    deepest, in_file, pending = asyncio.run(main())
    assert writer.stored == [b"%d" % n for n in range(1, 1001)]
    assert pending == set(writer.stored)
    assert deepest <= 21
    assert in_file >= 980
    assert (ear.fact_count, len(ear.waits) > 50) == (1000, True)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_stops_reading_and_loses_nothing(tmp_path: Path) -> None:
    """The file is at its largest: putting waits, the reason is told; when the writer goes on, so does everything."""
    writer, spill = StuckWriter(), Spill(tmp_path, max_bytes=400)

    async def main() -> None:
        queue = FactQueue(writer, lambda: None, nobody, spill, QueueLimits(facts=10))  # type: ignore[arg-type]
        running = asyncio.create_task(queue.run())

        async def feed() -> None:
            for number in range(1, 101):
                await queue.put([a_fact(number)])

        feeding = asyncio.create_task(feed())
        await until(lambda: queue.spill_error != "")
        await asyncio.sleep(0.05)
        assert not feeding.done()
        assert "would grow beyond 400 bytes" in queue.spill_error
        assert (queue.drop_count, queue.queue_depth <= 21) == (0, True)
        writer.let.set()
        await feeding
        await queue.wait_stored()
        running.cancel()
        queue.close()

    asyncio.run(main())
    assert writer.stored == [b"%d" % n for n in range(1, 101)]


@pytest.mark.parametrize("count", [1, 9, 40])
def test_what_is_not_stored_at_the_end_is_left_to_the_next_start(tmp_path: Path, count: int) -> None:
    """Ended while the writer is stuck: the file holds every fact from the batch in hand on, in order."""
    writer, spill = StuckWriter(), Spill(tmp_path)

    async def main() -> None:
        queue = FactQueue(writer, lambda: None, nobody, spill, QueueLimits(facts=10))  # type: ignore[arg-type]
        running = asyncio.create_task(queue.run())
        for number in range(1, count + 1):
            await queue.put([a_fact(number)])
        await asyncio.sleep(0.01)
        running.cancel()
        queue.waiting_for_server = True
        queue.close()
        writer.let.set()

    asyncio.run(main())
    assert [f.data for f in Spill(tmp_path).next(99)] == [b"%d" % n for n in range(1, count + 1)]
    assert Spill(tmp_path).after_seq == 0
