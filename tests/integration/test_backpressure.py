"""
A server that is slow, stopped or gone while facts keep coming: nothing lost or twice, in order, in bounded memory.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.fact_queue import FactQueue
from collector.queue_limits import QueueLimits
from eventlog.clock import ManualClock
from eventlog.errors import LogBroken, StoreUnavailable
from eventlog.facts.capture import GAP
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE
from eventlog.proof.check import check
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.spill.recovery import catch_up
from eventlog.spill.spill import Spill, read_spill_seq
from eventlog.store.hot import HotLog
from eventlog.store.writer import LostRange
from tests.builders import EVENTS, NOW, T0, a_cold_log, a_hot_log, a_trade, a_writer, contents
from tests.conftest import ROOT
from tests.fakes.proxy import Proxy

MESSAGES = 50_000
SCRIPT = """
import asyncio, sys
from pathlib import Path
from collector.fact_queue import FactQueue
from collector.queue_limits import QueueLimits
from eventlog.spill.spill import Spill
from eventlog.server.embedded_server import EmbeddedServer
from tests.builders import *

async def nobody(_):
    pass

async def main():
    storage = Path(sys.argv[1])
    writer = a_writer(storage, EmbeddedServer(storage).connect(timeout_s=0.3))
    spill = Spill(writer.cold.folder)
    recorder = FactQueue(writer, lambda: None, nobody, spill, QueueLimits(facts=500))
    running = asyncio.create_task(recorder.run())
    await recorder.put([a_trade(number) for number in range(1, 501)])
    await recorder.wait_stored()  # a log whose first facts never came through gives up the seqs it may have used
    print("up", flush=True)
    sys.stdin.readline()
    for number in range(501, 20_001):
        await recorder.put([a_trade(number)])
        if number % 1000 == 0:
            print(number, spill.pending_count, flush=True)
            await asyncio.sleep(0.01)
    await recorder.wait_stored()
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def running(own_server: EmbeddedServer) -> Iterator[EmbeddedServer]:
    """A server of this test's own, awake again at its end."""
    own_server.ensure().close()
    pid = pid_of(own_server)
    yield own_server
    os.kill(pid, signal.SIGCONT)


def pid_of(server: EmbeddedServer) -> int:
    """The server's process."""
    client = server.connect()
    try:
        return int(client.info("server")["process_id"])
    finally:
        client.close()


def agg_ids(client: Any) -> list[int]:
    """The trades of the stream, in the order of their seqs, which have no hole."""
    entries = HotLog(client, EVENTS).read(0, None, 200_000)
    assert [e.seq for e in entries] == list(range(entries[0].seq, entries[0].seq + len(entries))) if entries else True
    return [int(e.data.partition(b'"a":')[2].partition(b",")[0]) for e in entries if e.kind == AGG_TRADE]


async def nobody(_: LostRange) -> None:
    """Hears of no loss."""


async def put_all(recorder: FactQueue, first: int, last: int) -> int:
    """Trades one by one, as a feed brings them; how many were in memory at most."""
    deepest = 0
    for number in range(first, last + 1):
        await recorder.put([a_trade(number)])
        deepest = max(deepest, recorder.queue_depth)
        if number % 500 == 0:
            await asyncio.sleep(0)
    return deepest


def test_a_stopped_server_costs_nothing(tmp_path: Path, running: EmbeddedServer) -> None:
    """SIGSTOP, 50,000 messages, SIGCONT: all there, in order; memory never held more than 4,500; the file is gone."""
    client = running.connect(timeout_s=0.3)
    writer = a_writer(tmp_path, client)
    spill, pid = Spill(writer.cold.folder), pid_of(running)

    async def main() -> tuple[int, int]:
        recorder = FactQueue(writer, lambda: None, nobody, spill, QueueLimits(facts=1_000))
        task = asyncio.create_task(recorder.run())
        await put_all(recorder, 1, 100)
        await recorder.wait_stored()
        os.kill(pid, signal.SIGSTOP)
        deepest = await put_all(recorder, 101, MESSAGES)
        in_file = spill.pending_count
        assert recorder.drop_count == 0
        os.kill(pid, signal.SIGCONT)
        deepest = max(deepest, await put_all(recorder, MESSAGES + 1, MESSAGES + 500))
        async with asyncio.timeout(60):
            await recorder.wait_stored()
            while spill.is_open:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        recorder.close()
        return deepest, in_file

    deepest, in_file = asyncio.run(main())
    writer.close()
    assert deepest <= 4_500
    assert in_file > MESSAGES - 10_000
    reader = running.connect()
    assert agg_ids(reader) == list(range(1, MESSAGES + 501))
    assert not (writer.cold.folder / "spill.log").exists()
    reader.close()
    client.close()


def test_a_slow_way_to_the_server_spills_and_catches_up(tmp_path: Path, proxy: Proxy, client: Any) -> None:
    """Every request is late, and the connection is cut once: all is there once, in order."""
    slow = proxy.connect(timeout_s=2.0)
    writer = a_writer(tmp_path, slow)
    spill = Spill(writer.cold.folder)

    async def main() -> int:
        recorder = FactQueue(writer, lambda: None, nobody, spill, QueueLimits(facts=500))
        task = asyncio.create_task(recorder.run())
        proxy.delay_s = 0.05
        await put_all(recorder, 1, 10_000)
        proxy.cut()
        await put_all(recorder, 10_001, 15_000)
        proxy.mend()
        proxy.delay_s = 0.0
        async with asyncio.timeout(60):
            await recorder.wait_stored()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        recorder.close()
        return recorder.spill_count

    assert asyncio.run(main()) > 1_000
    writer.close()
    slow.close()
    assert agg_ids(client) == list(range(1, 15_001))


def test_a_server_emptied_while_facts_spill_loses_nothing_unseen(tmp_path: Path, proxy: Proxy, client: Any) -> None:
    """What is gone can be told from what waits in memory or on disk: the log ends up with all the rest."""
    slow = proxy.connect(timeout_s=2.0)
    writer = a_writer(tmp_path, slow)
    spill = Spill(writer.cold.folder)
    gone: list[int] = []

    async def main() -> None:
        async def on_lost(_: LostRange) -> None:
            waiting = [f for part in recorder.pending_facts(AGG_TRADE) for f in part]
            here = {int(f.data.partition(b'"a":')[2].partition(b",")[0]) for f in waiting} | set(agg_ids(client))
            gone.extend(number for number in range(1, 8_001) if number not in here)

        recorder = FactQueue(writer, lambda: None, on_lost, spill, QueueLimits(facts=500))
        task = asyncio.create_task(recorder.run())
        await put_all(recorder, 1, 400)
        await recorder.wait_stored()
        proxy.delay_s = 0.05
        await put_all(recorder, 401, 8_000)
        assert spill.pending_count > 2_000
        client.flushall()
        proxy.delay_s = 0.0
        async with asyncio.timeout(60):
            await recorder.wait_stored()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        recorder.close()

    asyncio.run(main())
    writer.close()
    slow.close()
    assert set(range(1, 401)) <= set(gone)
    assert agg_ids(client) == [number for number in range(1, 8_001) if number not in gone]


@pytest.mark.parametrize("seed", range(4))
def test_killed_while_spilling_or_catching_up_nothing_is_twice(
    tmp_path: Path, running: EmbeddedServer, seed: int
) -> None:
    """SIGKILL at a drawn moment: the next start stores what the file holds, behind what the log holds, each once."""
    chance, pid = random.Random(seed), pid_of(running)
    words = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert "up\n" in process.stdout  # what is logged stands before it
        process.stdin.write("\n")
        process.stdin.flush()
        stop_at, go_at = chance.choice([1, 3]), chance.choice([6, 20])
        for line in process.stdout:  # what is logged stands between the numbers
            number = int(line.split()[0]) if line[0].isdigit() and " [" not in line else 0
            if number == stop_at * 1000:
                os.kill(pid, signal.SIGSTOP)
            if number == go_at * 1000:
                break
        if seed % 2:
            os.kill(pid, signal.SIGCONT)
            time.sleep(chance.uniform(0.2, 1.2))  # it finds the server again, and is somewhere in the file
        process.kill()
        process.wait()
    os.kill(pid, signal.SIGCONT)
    client = running.connect()
    folder = a_cold_log(tmp_path).folder
    before = len(agg_ids(client))
    writer = a_writer(tmp_path, client, used_seqs=[read_spill_seq(folder)])
    spill = Spill(folder)
    waiting = spill.pending_count
    log = a_hot_log(tmp_path, client)
    catch_up(spill, writer, log, ManualClock(NOW), lambda: False)
    writer.close()
    ids = agg_ids(client)
    assert ids == list(range(1, len(ids) + 1))
    assert before <= len(ids) <= before + waiting
    assert len(ids) >= go_at * 1000 - 1000
    assert check(log).complete
    assert not spill.is_open
    client.close()


def test_a_stored_batch_nobody_noted_is_not_stored_again(tmp_path: Path, client: Any) -> None:
    """The process died between storing 3 of 5 spilled facts and saying so: the other two follow, once."""
    writer = a_writer(tmp_path, client)
    facts = [a_trade(n) for n in range(1, 8)]
    writer.append(facts[:2])
    spill = Spill(writer.cold.folder)
    spill.append(facts[2:], writer.last_seq)
    writer.append(facts[2:5])
    log = a_hot_log(tmp_path, client)
    assert catch_up(Spill(writer.cold.folder), writer, log, ManualClock(NOW), lambda: False) == 2
    writer.close()
    assert agg_ids(client) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_a_server_that_goes_away_while_catching_up_costs_nothing(
    tmp_path: Path, proxy: Proxy, client: Any, lost: str
) -> None:
    """The first attempt ends in the middle of a batch, whether that was stored or not: the next one stores the rest."""
    writer = a_writer(tmp_path, proxy.connect())
    spill, log = Spill(writer.cold.folder), a_hot_log(tmp_path, client)
    spill.append([a_trade(n) for n in range(1, 5_001)], 0)
    proxy.lose_request(b"EVALSHA") if lost == "request" else proxy.lose_reply(b"EVALSHA")
    with pytest.raises(StoreUnavailable):
        catch_up(spill, writer, log, ManualClock(NOW), lambda: False)
    catch_up(spill, writer, log, ManualClock(NOW), lambda: False)
    writer.close()
    assert agg_ids(client) == list(range(1, 5_001))
    assert not spill.is_open


def test_trades_lost_with_the_server_before_a_spill_are_named(tmp_path: Path, client: Any) -> None:
    """Archive to 3, the stream's 4 and 5 lost while down, 6 and 7 spilled: an open gap names 4 and 5."""
    trades = [Fact(AGG_TRADE, NOW, a_trade(n, recv_ns=NOW).data) for n in range(1, 8)]
    cold = a_cold_log(tmp_path, trades[:3])
    writer = a_writer(tmp_path, client)
    writer.append(trades[3:5])
    Spill(cold.folder).append(trades[5:], 5)
    writer.close()
    client.flushall()
    writer = a_writer(tmp_path, client, used_seqs=[read_spill_seq(cold.folder)])
    assert writer.startup_loss == LostRange(4, 5)
    log = a_hot_log(tmp_path, client)
    catch_up(Spill(cold.folder), writer, log, ManualClock(NOW), lambda: False)
    writer.close()
    rows = contents(log.read(5))
    assert [r["agg_id"] for r in rows[AGG_TRADE]] == [6, 7]
    assert [(r["what"], r["first"], r["last"], r["state"]) for r in rows[GAP]] == [
        ("seqs", 4, 5, "given_up"),
        ("agg_ids", 4, 5, "open"),
    ]


def test_another_writer_behind_the_spill_stops_the_start(tmp_path: Path, client: Any) -> None:
    """The log went on with other facts than the spilled ones: nobody guesses."""
    writer = a_writer(tmp_path, client)
    Spill(writer.cold.folder).append([a_trade(1), a_trade(2)], 0)
    writer.append([a_trade(9, at_ns=T0)])
    spill = Spill(writer.cold.folder)
    with pytest.raises(LogBroken, match="seq 1 is not what"):
        catch_up(spill, writer, a_hot_log(tmp_path, client), ManualClock(NOW), lambda: False)
    writer.close()


def test_told_to_stop_the_rest_stays_in_the_file(tmp_path: Path, client: Any) -> None:
    """Ctrl-C while catching up: the first 2,000 are stored, the file keeps the others."""
    writer = a_writer(tmp_path, client)
    spill = Spill(writer.cold.folder)
    spill.append([a_trade(n) for n in range(1, 5_001)], 0)
    said = iter([False, True])
    assert catch_up(spill, writer, a_hot_log(tmp_path, client), ManualClock(NOW), lambda: next(said)) == 2_000
    writer.close()
    assert (Spill(writer.cold.folder).pending_count, read_spill_seq(writer.cold.folder)) == (3_000, 2_000)
