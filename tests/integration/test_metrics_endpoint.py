"""Two thousand half-open connections, and descriptors that run out: metrics go on, in bounded memory."""

import http.client
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemons import ROOT, Stage, free_port, wait_for

HERE = Path(__file__).parent
COUNT = 2_000
LIMIT = 256
MAX_GROWTH = 100_000_000

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="memory and descriptors are read in /proc")


@dataclass
class Publisher:
    """A process that publishes metrics."""

    popen: "subprocess.Popen[bytes]"
    folder: Path
    port: int

    def text(self) -> str:
        """Its log."""
        return (self.folder / "out").read_text()

    def measurement(self) -> dict[str, Any]:
        """What `metrics.json` says, nothing before it is there."""
        path = self.folder / "metrics.json"
        return json.loads(path.read_text()) if path.exists() else {"round": 0}

    def goes_on(self, rounds: int = 5) -> None:
        """Wait until its file was written some times more."""
        before = self.measurement()["round"]
        wait_for(lambda: self.popen.poll() is not None or self.measurement()["round"] >= before + rounds, 30)
        assert self.popen.poll() is None, self.text()


@contextmanager
def a_publisher(folder: Path) -> Iterator[Publisher]:
    """One with 256 descriptors that has written its file and answers."""
    port = free_port()
    with (folder / "out").open("wb") as out:
        command = [sys.executable, str(HERE / "metrics_process.py"), str(folder), str(port), str(LIMIT)]
        popen = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=out, stderr=out)
    publisher = Publisher(popen, folder, port)
    try:
        wait_for(lambda: popen.poll() is not None or scraped(port) == 200, 60)
        publisher.goes_on()
        yield publisher
        assert popen.poll() is None, publisher.text()
    finally:
        popen.kill()
        popen.wait()


@contextmanager
def half_open(port: int, count: int = COUNT) -> Iterator[int]:
    """So many connections that finish no request, while it lasts; how many there are."""
    command = [sys.executable, str(HERE / "half_open_clients.py"), str(port), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as popen:
        assert popen.stdin is not None
        assert popen.stdout is not None
        try:
            yield int(popen.stdout.readline().split()[1])
        finally:
            popen.stdin.close()
            popen.wait(30)


def scraped(port: int) -> int | None:
    """The status of a scrape; None where it was turned away."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        reply = connection.getresponse()
        body = reply.read().decode()
        assert reply.getheader("Connection") == "close"
        assert "liquidity_collector_last_seq_total" in body
        return reply.status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def memory(pid: int, name: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (at most)."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_two_thousand_half_open_connections_cost_nothing(tmp_path: Path) -> None:
    """While they are held: a scrape succeeds, the file is written on, descriptors and memory stay, the log is quiet."""
    with a_publisher(tmp_path) as publisher:
        before, opened = memory(publisher.popen.pid, "VmRSS"), publisher.measurement()["open"]
        with half_open(publisher.port) as count:
            assert count == min(COUNT, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 50)
            publisher.goes_on()
            assert publisher.measurement()["open"] <= opened + 16
            wait_for(lambda: scraped(publisher.port) == 200, 60)
            publisher.goes_on()
        wait_for(lambda: scraped(publisher.port) == 200, 60)
        assert memory(publisher.popen.pid, "VmHWM") - before < MAX_GROWTH
        assert len(publisher.text().splitlines()) <= 5, publisher.text()


def test_descriptors_that_run_out_are_waited_out(tmp_path: Path) -> None:
    """All are in use and 300 connect: nothing ends, little is logged; they come back, and file and scrape with them."""
    with a_publisher(tmp_path) as publisher:
        publisher.popen.send_signal(signal.SIGUSR1)
        wait_for(lambda: "used up" in publisher.text() and "metrics not written" in publisher.text(), 30)
        with half_open(publisher.port, 300):
            wait_for(lambda: "turns connections away" in publisher.text(), 30)
        assert scraped(publisher.port) is None
        publisher.popen.send_signal(signal.SIGUSR2)
        wait_for(lambda: scraped(publisher.port) == 200, 60)
        publisher.goes_on()
        wait_for(lambda: "metrics written again" in publisher.text(), 30)
        assert len(publisher.text().splitlines()) <= 10, publisher.text()


@pytest.mark.slow
def test_a_collector_under_attack_records_on(tmp_path: Path) -> None:
    """A whole one with 256 descriptors: it records while 2,000 connections are held, and lost nothing."""
    stage = Stage(tmp_path, trades_per_second=50)
    stage.metrics = {"port": free_port()}
    try:
        stage.exchange()
        collector = stage.collector()
        resource.prlimit(collector.popen.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        wait_for(lambda: scraped(stage.metrics["port"]) == 200, 60)
        wait_for(lambda: stage.status().get("trades") == "live", 60)
        before = memory(collector.popen.pid, "VmRSS")
        with half_open(stage.metrics["port"]):
            seq = stage.status()["last_seq"]
            wait_for(lambda: stage.status()["last_seq"] > seq + 500, 60)
            wait_for(lambda: scraped(stage.metrics["port"]) == 200, 60)
        assert memory(collector.popen.pid, "VmHWM") - before < MAX_GROWTH
        assert collector.popen.poll() is None, collector.text()
        wait_for(lambda: any(stage.storage.rglob("metrics.json")), 60)  # the first is written after ten seconds
        _expect_history_in_no_latency(next(stage.storage.rglob("metrics.json")))
        assert collector.interrupt() == 0
        assert stage.check()["complete"], collector.text()
    finally:
        stage.end()


def _expect_history_in_no_latency(path: Path) -> None:
    """Minutes of history were asked for: every stored trade is either fetched or has a latency below a minute."""
    measurement = json.loads(path.read_text())
    latency, fetched = measurement["pipeline_latency"]["agg_trade"], measurement["fetched"]["agg_trade"]
    assert fetched > 100
    assert latency["count"] > 100
    assert measurement["stored"]["agg_trade"] == fetched + latency["count"]
    assert measurement["event_latency"]["agg_trade"]["p99_ms"] < 60_000
    assert measurement["batch_span"]["max"] >= measurement["batch_span"]["avg"] >= 1
