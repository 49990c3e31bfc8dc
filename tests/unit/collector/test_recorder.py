"""The queue into the log: order is kept, and everything on its way can be seen."""

import asyncio
from collections.abc import Sequence

import pytest

from collector import recorder as recorders
from collector.recorder import Recorder
from eventlog.facts import AGG_TRADE, Fact
from eventlog.writer import Lost


class SlowWriter:
    """Stores one batch whenever it is let."""

    def __init__(self) -> None:
        self.stored: list[bytes] = []
        self.last_seq = 0

    def append(self, facts: Sequence[Fact]) -> Lost | None:
        """Keep the facts."""
        self.stored += [f.data for f in facts]
        self.last_seq += len(facts)
        return None


def a_fact(number: int) -> Fact:
    """A fact that is its number."""
    return Fact(AGG_TRADE, number, str(number).encode())


async def nobody(_: Lost) -> None:
    """Hears of no loss."""


def test_whoever_comes_first_is_stored_first_even_while_the_queue_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three putters, room for two facts: nobody passes, and all that waits is visible."""
    monkeypatch.setattr(recorders, "_MOST_QUEUED", 2)
    writer = SlowWriter()

    async def main() -> None:
        recorder = Recorder(writer, lambda: None, nobody)  # type: ignore[arg-type]
        putters = [asyncio.create_task(recorder.put([a_fact(i), a_fact(i + 1)])) for i in (1, 3, 5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [f.data for f in recorder.queued(AGG_TRADE)] == [b"1", b"2", b"3", b"4", b"5", b"6"]
        assert not any(p.done() for p in putters)
        running = asyncio.create_task(recorder.run())
        await asyncio.gather(*putters)
        await recorder.stored()
        running.cancel()
        recorder.close()

    asyncio.run(main())
    assert writer.stored == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_stored_waits_for_its_own_facts() -> None:
    """A ticket is good when the facts before it are in the log."""
    writer = SlowWriter()

    async def main() -> int:
        recorder = Recorder(writer, lambda: None, nobody)  # type: ignore[arg-type]
        running = asyncio.create_task(recorder.run())
        ticket = await recorder.put([a_fact(1)])
        await recorder.stored(ticket)
        running.cancel()
        recorder.close()
        return ticket

    assert asyncio.run(main()) == 1
    assert writer.stored == [b"1"]
