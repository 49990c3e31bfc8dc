"""A recording over real sockets, heard by the real clients."""

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulators.exchange.errors import ScriptError
from simulators.exchange.faults.script import parse
from simulators.exchange.playback.recorded import RecordedExchange
from tests.conftest import ROOT
from tests.exchange_feed import Feed

STREAMS = ("btcusdt@aggTrade", "btcusdt@depth@100ms")
FIRST_NS = 1_700_000_000_000_000_000
BOOK = b'{"lastUpdateId":1000,"bids":[["99.00","1"]],"asks":[["101.00","1"]]}'


def an_agg_trade(number: int) -> bytes:
    """A message as a combined stream sends it."""
    return (
        b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1700000000000,"s":"BTCUSDT","a":%d,"p":"100.10",'
        b'"q":"0.010","f":%d,"l":%d,"T":1700000000000,"m":true,"M":true}}' % (number, number, number)
    )


def a_recording(path: Path, count: int, step_ns: int = 1_000_000) -> list[bytes]:
    """Write a book and trades, a line each step, packed; returns the trades' messages."""
    trades = [an_agg_trade(1 + i) for i in range(count)]
    lines = [b"%d %s\n" % (FIRST_NS + i * step_ns, message) for i, message in enumerate([BOOK, *trades])]
    path.write_bytes(gzip.compress(b"".join(lines)))
    return trades


def test_at_full_speed_everything_comes_in_order(tmp_path: Path) -> None:
    """Ten thousand messages, more than may wait for a client, come whole; nothing is played before one listens."""
    messages = a_recording(tmp_path / "r.gz", 10_000)

    async def check() -> None:
        exchange = RecordedExchange([tmp_path / "r.gz"], speed=None)
        await exchange.start()
        await asyncio.sleep(0.05)
        assert exchange.line_count == 0
        feed = Feed(exchange, "BTCUSDT", STREAMS)
        try:
            await feed.until(lambda: len(feed.messages) == 10_000, 20)
            await exchange.wait()
            assert exchange.finished.is_set()
            assert feed.messages == messages
            assert [row.agg_id for row in await feed.rest.trades_from(9_999)] == [9_999, 10_000]
            assert (await feed.venue.snapshot(5000)).kind == "snapshot"
            assert json.loads((await feed.rest.instrument()).data)["symbol"] == "BTCUSDT"
            assert feed.stream.open_connections == 1
        finally:
            await feed.close()
            await exchange.stop()

    asyncio.run(check())


def test_a_recording_keeps_its_pace(tmp_path: Path) -> None:
    """A second of recording takes half a second at twice the speed; REST knows only what was played."""
    a_recording(tmp_path / "r.gz", 10, step_ns=100_000_000)

    async def check() -> None:
        exchange = RecordedExchange([tmp_path / "r.gz"], speed=2.0)
        await exchange.start()
        feed = Feed(exchange, "BTCUSDT", STREAMS)
        try:
            await feed.until(lambda: len(feed.messages) == 5)
            assert (await feed.rest.latest_trades(1))[0].agg_id < 10
            assert not exchange.finished.is_set()
            await feed.until(lambda: len(feed.messages) == 10)
            stamps = [each.recv_ns for each in feed.received if each.what == "message"]
            assert 0.4e9 < stamps[-1] - stamps[0] < 1e9
            async with aiohttp.ClientSession() as session, session.get(f"{exchange.url}/api/v3/time") as reply:
                assert (await reply.json())["serverTime"] == FIRST_NS // 1_000_000 + 1_000
        finally:
            await feed.close()
            await exchange.stop()

    asyncio.run(check())


def test_faults_strike_a_recording(tmp_path: Path) -> None:
    """A message is lost and a request fails; a fault of the market itself is refused."""
    a_recording(tmp_path / "r.gz", 10)
    rules: list[dict[str, Any]] = [{"when": {"id": 4}, "fault": "missing"}]

    async def check() -> None:
        exchange = RecordedExchange([tmp_path / "r.gz"], speed=None, script=parse(json.dumps(rules)))
        await exchange.start()
        feed = Feed(exchange, "BTCUSDT", STREAMS)
        try:
            await feed.until(lambda: len(feed.messages) == 9)
            assert feed.agg_ids == [1, 2, 3, 5, 6, 7, 8, 9, 10]
            assert (await feed.rest.trades_from(4, 1))[0].agg_id == 4
        finally:
            await feed.close()
            await exchange.stop()

    asyncio.run(check())
    with pytest.raises(ScriptError, match="played as it is"):
        RecordedExchange([tmp_path / "r.gz"], script=parse('[{"fault": "clock_skew"}]'))


def test_the_command_plays_and_says_when_it_has_ended(tmp_path: Path) -> None:
    """Two files after one another; it goes on answering until it is interrupted."""
    a_recording(tmp_path / "1.gz", 20)
    (tmp_path / "2").write_bytes(b"%d %s\n" % (FIRST_NS + 10**9, an_agg_trade(21)))
    command = [sys.executable, "-m", "simulators.exchange", "serve", "--speed", "max", "--recording"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "1.gz"), "--recording", str(tmp_path / "2")],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert words[:3] == ["recorded", "BTCUSDT", "at"]
        ids = asyncio.run(heard(words[-1], 21))
        assert ids == list(range(1, 22))
        assert process.stdout.readline().startswith("the recording has ended: 22 lines in ")
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def heard(url: str, count: int) -> list[int]:
    """The first agg ids a listener hears."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws/{STREAMS[0]}") as client:
        return [json.loads((await client.receive(timeout=5)).data)["a"] for _ in range(count)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--speed", "max"], "max is for --recording"),
        (["--speed", "fast"], "or max, not 'fast'"),
        (["--script", "nowhere.json"], "cannot read the script"),
        (["--recording", "nowhere.gz"], "cannot read nowhere.gz"),
    ],
)
def test_what_cannot_be_served_is_one_line(options: list[str], said: str) -> None:
    """Exit code 1 and a line that names the mend."""
    command = [sys.executable, "-m", "simulators.exchange", "serve", *options]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - began < 60


def test_the_faults_are_listed() -> None:
    """--faults and --help name every fault."""
    command = [sys.executable, "-m", "simulators.exchange"]
    listed = subprocess.run([*command, "--faults"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    helped = subprocess.run([*command, "serve", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert len(names) == 38
    assert [name for name in names if name not in helped.stdout] == []
