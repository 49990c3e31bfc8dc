"""The log's server goes away while a model decides every interval: deadlines are kept, no fact is lost or doubled."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventlog.facts.analysis import ANALYSIS, RECOMMENDATION
from eventlog.facts.capture import TICK
from eventlog.facts.model import MODEL_CALL, MODEL_DECISION
from eventlog.server.embedded_server import EmbeddedServer
from market.instrument import Market
from market.timestamps import SECOND_NS
from runtime.open_log import open_log
from tests.integration.daemons import MARKET, Stage, server_pid, wait_for

INTERVAL_S = 3
AWAY_S = float(os.environ.get("SERVER_AWAY_S") or 9.0)
SLACK_NS = SECOND_NS  # a machine with all of the suite on it looks at its clock late

Row = dict[str, Any]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """An exchange that trades, a model that takes a part of the interval, ticks every 3 s."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-away-4a61")
    stage = Stage(tmp_path, interval_s=INTERVAL_S, history_hours=1)
    stage.deepseek = {"mode": "compact", "tokens_per_minute": None, "usd_per_minute": None}
    stage.exchange()
    stage.model("--latency-ms", "600")
    yield stage
    stage.end()


def rows_of(stage: Stage, log_kind: Any, *kinds: str) -> dict[str, list[Row]]:
    """Everything of some kinds that a log of the archive and the stream holds, by kind."""
    found: dict[str, list[Row]] = {kind: [] for kind in kinds}
    with open_log(stage.storage, Market.parse(MARKET), log_kind, None) as log:
        for batch in log.read(kinds=list(kinds)):
            for kind, rows in batch.rows.items():
                found[kind] += rows.table().to_pylist()
    return found


def decided(stage: Stage) -> int:
    """How many ticks the model was asked about, with whatever came of it."""
    said = stage.status("agent_analyzer.py").get("model", {})
    return int(said.get("decided", 0) + said.get("fallback", 0))


def assert_deadlines_kept(made: dict[str, list[Row]]) -> None:
    """A decision that was asked for in time is over by its deadline, and no request is begun behind it."""
    room_ns = INTERVAL_S * SECOND_NS - INTERVAL_S * SECOND_NS // 6
    for ending in made[MODEL_DECISION]:
        late_ns = ending["recv_ns"] - ending["as_of_ns"] - room_ns
        assert late_ns <= SLACK_NS or "too late to ask" in str(ending["fallback"]), ending
    for call in made[MODEL_CALL]:
        assert call["sent_ns"] <= call["as_of_ns"] + room_ns, call


def assert_each_tick_once(stage: Stage, made: dict[str, list[Row]]) -> None:
    """From the first tick that was analysed to the last: one analysis each; one ending and one advice where live."""
    seqs = {kind: Counter(row["market_seq"] for row in rows) for kind, rows in made.items() if kind != MODEL_CALL}
    first, last = min(seqs[ANALYSIS]), max(seqs[ANALYSIS])
    ticks = [row for row in rows_of(stage, "events", TICK)[TICK] if first <= row["seq"] <= last]
    live = Counter(row["seq"] for row in ticks if row["trades"] == "live")
    assert seqs[ANALYSIS] == Counter(row["seq"] for row in ticks)
    assert seqs[MODEL_DECISION] == live
    assert seqs[RECOMMENDATION] == live
    calls = Counter((c["market_seq"], c["agent"], c["request_digest"], c["attempt"]) for c in made[MODEL_CALL])
    assert set(calls.values()) == {1}
    published = [r for r in made[RECOMMENDATION] if r["published_ns"] is not None]
    assert all(r["published_ns"] - r["as_of_ns"] <= INTERVAL_S * SECOND_NS for r in published)


def take_away(server: EmbeddedServer, fault: str) -> None:
    """Frozen, or killed."""
    os.kill(server_pid(server.storage), signal.SIGSTOP if fault == "frozen" else signal.SIGKILL)


def bring_back(server: EmbeddedServer, pid: int, fault: str) -> None:
    """As it was."""
    if fault == "frozen":
        os.kill(pid, signal.SIGCONT)
    else:
        server.ensure().close()


@pytest.mark.parametrize("fault", [pytest.param("frozen", marks=pytest.mark.soak), "killed"])
def test_a_model_goes_on_deciding_and_nothing_is_lost(stage: Stage, fault: str) -> None:
    """Both daemons say that the server is away, nobody calls anything live, and afterwards every fact is there once."""
    server = stage.own_server()
    pid = server_pid(server.storage)
    collector, analyzer = stage.collector(), stage.analyzer()
    wait_for(lambda: decided(stage) >= 2, 90, 0.3)
    take_away(server, fault)
    until = time.monotonic() + AWAY_S
    try:
        wait_for(lambda: bool(stage.status()["server_away"]), AWAY_S, 0.2)
        wait_for(lambda: not stage.status("agent_analyzer.py")["redis_connected"], 20, 0.2)
        said = stage.status()
        assert said["trades"] == "catching_up", said
        assert "the log's server takes nothing" in said["trades_reason"]
        assert not said["redis_connected"]
        wait_for(lambda: time.monotonic() > until, AWAY_S + 5)
    finally:
        bring_back(server, pid, fault)
    before = decided(stage)
    wait_for(lambda: stage.status()["trades"] == "live" and decided(stage) >= before + 2, 60, 0.3)
    wait_for(lambda: bool(stage.status("agent_analyzer.py")["redis_connected"]), 20, 0.3)  # told once a second
    for process in (collector, analyzer):
        wait_for(lambda process=process: "log server answers again" in process.text(), 20)  # asked every few seconds
    assert analyzer.interrupt() == 0, analyzer.text()
    assert collector.interrupt() == 0, collector.text()
    made = rows_of(stage, "decisions", ANALYSIS, MODEL_CALL, MODEL_DECISION, RECOMMENDATION)
    assert_deadlines_kept(made)
    assert_each_tick_once(stage, made)
    report = stage.check(code=None)
    assert report["trades_complete"], report
    assert (report["unnamed_seqs"], report["duplicates"], report["damaged"]) == ([], 0, [])
    for process in (collector, analyzer):
        assert "log server does not answer" in process.text()
        assert "Traceback" not in process.text()
