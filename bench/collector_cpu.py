"""
The collector's CPU cost per message compared with cryptofeed on the same feed: user and system time of the process.

A recorded market is played over loopback to one and then to the other, thirty times as fast as it was; both append to
the same server over TCP, whose own time counts for neither, and both have started before the measurement does. Each is
run as by its users: ours is `agent_data_collector.py` on asyncio's own loop; theirs a FeedHandler with `TradeStream`
and `BookStream` on uvloop, which it installs.

Both read JSON, follow update ids, maintain the book, request a snapshot, and append everything. Ours also refuses
numbers that cannot be read exactly, proves trade ids contiguous and requests missing ones, appends in transactions
without a gap, and counts for status and metrics. Theirs also turns each message into an object of decimals, and appends
a whole book after every thousand diffs. What ours does by the minute (ticks, snapshots, archive) is put off: it does
not grow with the messages.

By default ours also folds its own log, to publish lists of minutes and books for other programs (`views`). Theirs has
nothing like it, so the ratio is without; their cost stands beside it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import Figure
from cli.demo import server
from eventlog.server.embedded_server import EmbeddedServer
from exchanges.binance.recordings.recording_lines import read_lines

PYTHON_VARIABLE = "PEER_PYTHON"
NOT_INSTALLED = (
    f"skipped the collector beside cryptofeed: not installed (pip install cryptofeed redis into an environment of its "
    f"own and name its python in {PYTHON_VARIABLE})"
)

_ROOT = Path(__file__).resolve().parent.parent
_SPEED = 30
_WARMUP_SHARE = 0.25  # of the recording, until both have started
_TIMEOUT_S = 90.0
_CPU_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class _Feed:
    """A recording to be played: the book it starts from first, then trades and diffs."""

    path: Path
    trades: int
    diffs: int

    @property
    def messages(self) -> int:
        """The number of messages that a consumer receives."""
        return self.trades + self.diffs


def measure_cpu_per_message(recordings: Path, folder: Path, repetitions: int) -> Figure | None:
    """
    Measure ten minutes of real messages, to ours and to theirs in turn.

    Args:
        recordings: folder of recorded updates.
        folder: for everything that is written.
        repetitions: number of pairs.

    Returns:
        None where cryptofeed is not installed.
    """
    peer = os.environ.get(PYTHON_VARIABLE, sys.executable)
    if subprocess.run([peer, "-c", "import cryptofeed"], capture_output=True, check=False).returncode:
        return None
    folder = folder / "collector_cpu"
    folder.mkdir()
    feed = _build_feed(sorted(recordings.glob("btcusdt-spot-2024-*.gz")), folder / "feed")
    log = EmbeddedServer(folder / "server")
    client = log.hold()
    port = _free_port()
    client.config_set("port", port)
    turns: list[tuple[float, float, float]] = []
    try:
        for number in range(repetitions):
            build_ours, peer_consumer = (
                partial(_build_ours, folder, number, client, port),
                _build_peer(peer, client, port),
            )
            turn = []
            for consumer in (build_ours(views=False), peer_consumer, build_ours(views=True)):
                client.flushall()
                turn.append(_measure_consumer(consumer, feed, folder))
            turns.append((turn[0], turn[1], turn[2]))
    finally:
        log.release(client)
    our_us, peer_us, views_us = (median(column) * 1e6 for column in zip(*turns, strict=True))
    ratio, views_ratio = (
        median(ours / theirs for ours, theirs, _ in turns),
        median(ours / theirs for _, theirs, ours in turns),
    )
    detail = f"{our_us:.0f} µs / {peer_us:.0f} µs; with views for other programs {views_us:.0f} µs ({views_ratio:.2f})"
    return Figure("collector / cryptofeed, CPU a message", ratio, 1.0, True, detail)


@dataclass(frozen=True, slots=True)
class _Consumer:
    """
    A program that is measured.

    Attributes:
        command: its command line, given where REST and streams are. count_stored: the number of its entries in the
            server.
        min_entries: the least number of entries that it must append of a feed.
    """

    name: str
    command: Callable[[str, str], list[str]]
    count_stored: Callable[[], int]
    min_entries: Callable[[_Feed], int]


def _build_ours(parent: Path, number: int, client: Any, port: int, views: bool) -> _Consumer:
    folder = parent / f"{number}-{'views' if views else 'plain'}"

    def command(rest_url: str, websocket_url: str) -> list[str]:
        folder.mkdir()
        settings = {
            "app": {"logs_dir": str(folder / "logs")},
            "redis": {"url": f"redis://127.0.0.1:{port}/0", "storage_dir": str(folder / "storage")},
            "binance": {"symbol": "BTCUSDT", "rest_url": rest_url, "websocket_url": websocket_url},
            "data_collector": {
                "depth_snapshot": {"limit": 1000, "update_interval_seconds": 3600},
                "order_flow": {"history_hours": 0},
                "views": views,
            },
            "analyzer": {"analysis": {"interval_seconds": 3600}},
        }
        path = folder / "settings.yaml"
        path.write_text(json.dumps(settings))
        return [sys.executable, str(_ROOT / "agent_data_collector.py"), "--config", str(path)]

    def count_stored() -> int:
        return int(client.xlen("events:{binance:BTCUSDT}"))

    return _Consumer("collector", command, count_stored, lambda feed: feed.messages)


def _build_peer(python: str, client: Any, port: int) -> _Consumer:
    script = Path(__file__).with_name("cryptofeed_peer.py")

    def command(rest_url: str, websocket_url: str) -> list[str]:
        return [python, "-I", str(script), rest_url, websocket_url, str(port), "BTC-USDT"]

    def count_stored() -> int:
        return int(client.xlen("trades-BINANCE-BTC-USDT") + client.xlen("book-BINANCE-BTC-USDT"))

    # The diffs that its snapshot held already are in no stream of theirs.
    return _Consumer("cryptofeed", command, count_stored, lambda feed: feed.trades + int(0.9 * feed.diffs))


def _measure_consumer(consumer: _Consumer, feed: _Feed, folder: Path) -> float:
    """CPU seconds a message, from the feed's first quarter to its last entry in the server."""
    play = ["-m", "simulators.exchange", "serve", "--recording", str(feed.path), "--speed", str(_SPEED)]
    with (
        server("exchange", [*play, "--rebuild-books"], folder) as (*_, rest_url, _, websocket_url),
        (folder / f"{consumer.name}.out").open("wb") as out,
    ):
        command = consumer.command(rest_url, websocket_url)
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            _wait_until(lambda: _read_state(rest_url)["played"] >= _WARMUP_SHARE * feed.messages, process)
            cpu_before, played_before = _cpu_s(process.pid), _read_state(rest_url)["played"]
            _wait_until(
                lambda: _read_state(rest_url)["ended"] and consumer.count_stored() >= consumer.min_entries(feed),
                process,
            )
            _wait_until_stable(consumer.count_stored)
            return (_cpu_s(process.pid) - cpu_before) / (feed.messages - played_before)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _build_feed(files: list[Path], path: Path) -> _Feed:
    """Build a feed of the recorded messages that both read; their book is known to REST from the start."""
    prefixes = {b'{"lastUpdateId"': 0, b'{"stream":"btcusdt@trade"': 1, b'{"stream":"btcusdt@depth@100ms"': 2}
    lines: list[tuple[int, int, bytes]] = []
    for file in files:
        for recv_ns, message in read_lines(file):
            kinds = [kind for prefix, kind in prefixes.items() if message.startswith(prefix)]
            lines += [(kind, recv_ns, message) for kind in kinds]
    first_ns = lines[0][1]
    lines.sort(key=lambda line: line[0] > 0)
    path.write_bytes(b"".join(b"%d %s\n" % (time_ns if kind else first_ns, text) for kind, time_ns, text in lines))
    return _Feed(path, *(sum(kind == number for kind, _, _ in lines) for number in (1, 2)))


def _cpu_s(pid: int) -> float:
    """User and system time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CPU_TICKS_PER_SECOND


def _read_state(rest_url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{rest_url}/simulated/state", timeout=10) as reply:
        state: dict[str, Any] = json.loads(reply.read())
        return state


def _wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"did not follow the feed to its end: {process.args!r}, exit code {process.returncode}")
        time.sleep(0.1)


def _wait_until_stable(count: Callable[[], int]) -> None:
    previous = -1
    while (current := count()) != previous:
        previous = current
        time.sleep(0.3)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
