"""A model decides live, in real processes; then every decision again from the record, with no socket and no key."""

import json
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from agents.llm.recorded import cassette_of
from eventlog.server.embedded_server import EmbeddedServer
from market.instrument import Market
from replay.verify.verify import verify_log
from runtime.open_log import open_log
from simulators.model.faults import FAULTS
from tests.integration.daemons import MARKET, Stage, wait_for

KEY = "sk-live-test-93c1f0b7aa52"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """An exchange that trades, a model that answers, ticks every 2 s."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", KEY)
    stage = Stage(tmp_path, interval_s=2, history_hours=1)
    stage.deepseek = {"mode": "compact", "tokens_per_minute": None, "usd_per_minute": None}
    yield stage
    stage.end()


def live(stage: Stage, is_enough: Callable[[dict[str, Any]], bool]) -> None:
    """Collector and analyzer until what the analyzer says of its model is enough."""
    stage.exchange()
    collector, analyzer = stage.collector(), stage.analyzer()
    wait_for(lambda: "model" in stage.status("agent_analyzer.py"), 60, 0.3)
    listed = subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout
    assert KEY not in listed
    wait_for(lambda: is_enough(stage.status("agent_analyzer.py")["model"]), 120, 0.3)
    assert KEY.encode() not in held_by_the_server(stage.storage)
    assert analyzer.interrupt() == 0, analyzer.text()
    assert collector.interrupt() == 0, collector.text()


def held_by_the_server(storage: Path) -> bytes:
    """Every value of the Redis server, in one piece."""
    client = EmbeddedServer(storage).connect()
    try:
        found = b""
        for key in client.scan_iter():
            kind = client.type(key)
            if kind in (b"stream", "stream"):
                found += repr(client.xrange(key)).encode()
            elif kind in (b"string", "string"):
                found += repr(client.get(key)).encode()
            found += repr(key).encode()
        return found
    finally:
        client.close()


def no_network(*_: Any) -> None:
    """What a socket does that must not be opened."""
    raise AssertionError("a socket was opened")


def test_live_decisions_come_again_from_the_record(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions and fallbacks alike: byte for byte, the model gone, the key gone, no connection made."""
    model = stage.model("--latency-ms", "20")
    live(stage, lambda model: model["decided"] >= 4)
    model.kill()
    monkeypatch.delenv("DEEPSEEK_API_KEY")
    market = Market.parse(MARKET)
    with (
        open_log(stage.storage, market, "events", None) as log,
        open_log(stage.storage, market, "decisions", None) as d,
    ):
        monkeypatch.setattr(socket, "create_connection", no_network)
        tape = cassette_of(d)
        verdict = verify_log(log, d, market.symbol, lambda done, total: None)
    assert len(tape) >= 4
    assert verdict.differences == []
    assert verdict.identical
    written = (stage.folder / "logs" / "trading_recommendations_btcfdusd.log").read_text()
    assert json.loads(written.splitlines()[-1])["analyst"] == "deepseek"


def test_the_key_is_nowhere_whatever_goes_wrong(stage: Stage) -> None:
    """Faults of all kinds at random, and then every file, the server's memory and all output searched for the key."""
    names = [n for n in FAULTS if n not in ("http_401", "http_402", "keep_alive_forever", "huge_body")]
    rules = [{"fault": name, "when": {"every": 7 + n}} for n, name in enumerate(names)]
    script = stage.folder / "faults.json"
    script.write_text(json.dumps(rules))
    stage.model("--script", str(script))
    live(stage, lambda model: sum(model["attempts"].values()) >= 8)
    config = stage.folder / "config.yaml"
    searched = [f for f in stage.folder.rglob("*") if f.is_file() and f != config]
    assert len(searched) > 10
    guilty = [f.name for f in searched if KEY.encode() in f.read_bytes()]
    tables = [f for f in searched if f.suffix == ".parquet"]
    assert tables
    guilty += [f.name for f in tables if KEY in str(pq.read_table(f, partitioning=None).to_pylist())]
    assert guilty == []
    assert KEY not in config.read_text()


class Refusing(socketserver.StreamRequestHandler):
    """A proxy that opens no tunnel and remembers who was asked for."""

    asked: list[str] = []

    def handle(self) -> None:
        """One request."""
        self.asked.append(self.rfile.readline().decode())
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")


def test_the_model_is_asked_through_the_proxy_of_the_environment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The analyzer asks for a tunnel to the endpoint, not for the endpoint itself, and says what came of it."""
    stage.deepseek |= {"api_key": KEY, "base_url": "https://model.invalid"}
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")
        stage.exchange()
        collector, analyzer = stage.collector(), stage.analyzer()
        wait_for(lambda: bool(Refusing.asked), 60, 0.2)
        wait_for(lambda: bool(stage.status("agent_analyzer.py").get("model", {}).get("attempts")), 60, 0.3)
        said = stage.status("agent_analyzer.py")["model"]
        assert analyzer.interrupt() == 0, analyzer.text()
        assert collector.interrupt() == 0, collector.text()
        proxy.shutdown()
    assert set(Refusing.asked) == {"CONNECT model.invalid:443 HTTP/1.1\r\n"}
    assert (said["decided"], said["trouble"]) == (0, None)
