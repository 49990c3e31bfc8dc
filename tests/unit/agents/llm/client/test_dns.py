"""Looking up names: a resolver that hangs holds up neither the loop nor the end of the process."""

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agents.llm.client.dns import MAX_LOOKUPS, Lookups

ROOT = Path(__file__).resolve().parents[5]
HANGING = """
import asyncio, socket, time
from agents.llm.wire.api import Usage
from agents.llm.client.budget import Budget, Limits
from agents.llm.client.client import ModelClient
from agents.llm.client.endpoint import Endpoint
from agents.llm.client.errors import NoReply
from agents.llm.client.prices import PeakHours, PriceList
from eventlog.clock import WallClock

socket.getaddrinfo = lambda *_, **__: time.sleep(60)

async def ask():
    budget, clock, attempts = Budget(Limits(), PriceList({}, PeakHours()), "m"), WallClock(), []
    client = ModelClient(Endpoint("https://slow.invalid", "sk-123456", grace_s=0.1), budget, clock)
    try:
        await client.complete({"model": "m", "messages": []}, clock.now_ns() + 2 * 10**8, attempts.append)
    except NoReply as fault:
        print(fault)
    await client.close()
    print([attempt.verdict for attempt in attempts], budget.totals(clock.now_ns())["tokens_today"])

asyncio.run(ask())
"""


def test_a_hanging_resolver_holds_up_no_end_and_costs_nothing() -> None:
    """The process ends long before the resolver answers; nothing was sent, nothing is counted."""
    start_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", HANGING], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.stdout.splitlines() == ["timeout: no reply before the deadline", "['timeout'] 0"]
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - start_s < 30


async def test_what_a_call_gives_or_raises_comes_back() -> None:
    """Like with any other executor."""
    loop = asyncio.get_running_loop()
    lookups = Lookups()
    assert await loop.run_in_executor(lookups, divmod, 17, 5) == (3, 2)
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(lookups, divmod, 1, 0)


def test_what_is_under_way_is_bounded() -> None:
    """One more than may hang fails at once; when one ends, its place is free."""
    lookups, go = Lookups(), threading.Event()
    hanging = [lookups.submit(go.wait, 20) for _ in range(MAX_LOOKUPS)]
    with pytest.raises(BlockingIOError):
        lookups.submit(len, "")
    go.set()
    assert [future.result(timeout=5) for future in hanging] == [True] * MAX_LOOKUPS
    deadline = time.monotonic() + 5
    while any(thread.name == "lookup" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lookups.submit(len, "abc").result(timeout=5) == 3
