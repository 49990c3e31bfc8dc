"""
Real processes for tests: the simulated exchange, the collector, the analyzer, and what they wrote.
"""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventlog.server.data_folder import holds_data
from eventlog.server.embedded_server import EmbeddedServer
from tests.commands import run

ROOT = Path(__file__).resolve().parent.parent.parent
MARKET = "binance:BTCFDUSD"


@dataclass
class Process:
    """A process of ours, with its output in a file."""

    popen: "subprocess.Popen[bytes]"
    output: Path

    def kill(self) -> None:
        """As the machine would: SIGKILL, no warning."""
        self.popen.kill()
        self.popen.wait()

    def interrupt(self, timeout_s: float = 15.0) -> int:
        """As a person would: Ctrl-C."""
        self.popen.send_signal(signal.SIGINT)
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.send_signal(signal.SIGABRT)  # it then writes what each of its threads is at
            self.popen.wait()
            raise AssertionError(f"not ended {timeout_s} s after Ctrl-C:\n{self.text()[-20_000:]}") from None

    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors="replace")


@dataclass
class Stage:
    """A folder with an exchange, a configuration and daemons in it."""

    folder: Path
    interval_s: int = 10
    history_hours: float = 0.1
    archive_s: int = 5
    trades_per_second: float = 20.0
    symbols: tuple[str, ...] = ("BTCFDUSD",)
    views: bool = True
    weight_per_minute: int = 3000
    redis: dict[str, Any] = field(default_factory=dict)
    deepseek: dict[str, Any] = field(default_factory=dict)
    backpressure: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    servers: list[EmbeddedServer] = field(default_factory=list)
    rest_url: str = "http://127.0.0.1:9"
    websocket_url: str = "ws://127.0.0.1:9"

    @property
    def storage(self) -> Path:
        """Where the logs lie."""
        return self.folder / "storage"

    @property
    def config(self) -> Path:
        """The settings file, written anew at each call, and there as a whole at any moment."""
        settings = {
            "app": {"logs_dir": str(self.folder / "logs")},
            "redis": self.redis or {"embedded": True, "storage_dir": str(self.storage)},
            "binance": {
                "symbol": self.symbols[0],
                "symbols": self.symbols,
                "weight_per_minute": self.weight_per_minute,
                "rest_url": self.rest_url,
                "websocket_url": self.websocket_url,
            },
            "data_collector": {
                "depth_snapshot": {"limit": 1000, "update_interval_seconds": self.interval_s, "window_size": 60},
                "order_flow": {"history_hours": max(1, round(self.history_hours))},
                "archive": {"every_seconds": self.archive_s, "keep_entries": 500},
                "backpressure": self.backpressure,
                "views": self.views,
            },
            "metrics": self.metrics,
            "analyzer": {"analysis": {"interval_seconds": self.interval_s}, "deepseek": self.deepseek},
        }
        path, written = self.folder / "config.yaml", self.folder / "config.new"
        written.write_text(json.dumps(settings))
        return written.replace(path)  # a daemon that starts reads it meanwhile

    def start(self, name: str, *arguments: str) -> Process:
        """Start a process of the product."""
        output = self.folder / f"{name}-{len(self.processes)}.out"
        with output.open("wb") as file:
            popen = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        process = Process(popen, output)
        self.processes.append(process)
        return process

    def exchange(self, seed: int = 7, faults: Sequence[dict[str, Any]] = ()) -> Process:
        """Start the simulated exchange and wait until it trades."""
        script = self.folder / "exchange-faults.json"
        script.write_text(json.dumps(list(faults)))
        process = self.start(
            "exchange", "-m", "simulators.exchange", "serve", "--port", "0", "--seed", str(seed),
            "--symbol", ",".join(self.symbols),
            "--history-hours", str(self.history_hours), "--trades-per-second", str(self.trades_per_second),
            *(("--script", str(script)) if faults else ()),
        )  # fmt: skip
        wait_for(lambda: "simulated" in process.text() or process.popen.poll() is not None, 60)
        found = re.search(r"at (http://\S+) and (ws://\S+)", process.text())
        assert found, process.text()
        self.rest_url, self.websocket_url = found[1], found[2]
        return process

    def model(self, *arguments: str) -> Process:
        """Start the simulated model; the key is whatever the environment holds."""
        process = self.start("model", "-m", "simulators.model", "serve", "--port", "0", *arguments)
        wait_for(lambda: "simulated DeepSeek at" in process.text() or process.popen.poll() is not None, 60)
        found = re.search(r"at (http://\S+)", process.text())
        assert found, process.text()
        self.deepseek |= {"api_key": "${DEEPSEEK_API_KEY}", "base_url": found[1]}
        return process

    def own_server(self) -> EmbeddedServer:
        """Start a server that the daemons know by its address alone: only the test brings it back, or ends it."""
        server = EmbeddedServer(self.folder / "server")
        server.ensure().close()
        self.servers.append(server)
        self.redis = {"url": server_url(server.socket, server), "storage_dir": str(self.storage)}
        return server

    def collector(self) -> Process:
        """Start the collector."""
        return self.start("collector", "agent_data_collector.py", "--config", str(self.config))

    def analyzer(self) -> Process:
        """Start the analyzer."""
        return self.start("analyzer", "agent_analyzer.py", "--config", str(self.config))

    def status(self, script: str = "agent_data_collector.py") -> dict[str, Any]:
        """What a daemon says about itself."""
        return json.loads(self.run(script, "--config", str(self.config), "--status", "--json", code=None).stdout)

    def run(self, *arguments: str, code: int | None = 0) -> "subprocess.CompletedProcess[str]":
        """Run a command of the product to its end."""
        done = run(*arguments)
        if code is not None:
            assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def check(self, code: int | None = 0, market: str = MARKET) -> dict[str, Any]:
        """`eventlog check --json`."""
        done = self.run(
            "-m", "eventlog", "check", "--market", market, "--storage", str(self.storage), "--json", code=code
        )
        return json.loads(done.stdout)

    def state(self, symbol: str | None = None) -> dict[str, Any]:
        """What the exchange says about itself and a symbol, by default its first."""
        return self._get(f"/simulated/state?symbol={symbol or self.symbols[0]}")

    def ledger(self, from_id: int, to_id: int, symbol: str | None = None) -> dict[str, list[int]]:
        """What the exchange really traded, by default of its first symbol, as integer columns."""
        of = f"&symbol={symbol or self.symbols[0]}"
        columns: dict[str, list[int]] = {}
        at = from_id
        while at <= to_id:
            page = self._get(f"/simulated/ledger?fromId={at}&limit={min(100_000, to_id - at + 1)}{of}")
            rows = next(v for v in page.values() if isinstance(v, list))
            for name, values in page.items():
                if isinstance(values, list):
                    columns.setdefault(name, []).extend(values)
            if not rows:
                break
            at += len(rows)
        return columns

    def post(self, path: str) -> None:
        """Press one of the exchange's levers."""
        request = urllib.request.Request(self.rest_url + path, method="POST", data=b"")
        urllib.request.urlopen(request, timeout=10).read()

    def end(self) -> None:
        """Nothing of this stage is left running."""
        for process in reversed(self.processes):
            if process.popen.poll() is None:
                process.kill()
            sys.stdout.write(f"{process.output.name}: {process.text()[-2000:]}\n")  # shown where a test fails
        for server in (*self.servers, EmbeddedServer(self.storage)):
            if holds_data(server.storage):
                server.stop()

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.rest_url + path, timeout=10) as reply:
            return json.loads(reply.read())


def wait_for(true: Callable[[], bool], timeout_s: float, every_s: float = 0.2) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"not true within {timeout_s} s"
        time.sleep(every_s)


def server_url(socket: Path, server: EmbeddedServer) -> str:
    """The address of a server, or of what stands before it, as the settings name it."""
    return f"unix://{socket}?password={server.password()}"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def server_pid(storage: Path) -> int:
    """The process id of the embedded server."""
    client = EmbeddedServer(storage).connect()
    try:
        return int(client.info("server")["process_id"])
    finally:
        client.close()
