"""A log's server that throws away what it was given: refused, seen while it runs, named, and nothing is there twice."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventlog.facts.analysis import ANALYSIS, RECOMMENDATION
from eventlog.server.embedded_server import EmbeddedServer
from market.instrument import Market
from runtime.open_log import open_log
from tests.integration.daemons import MARKET, Process, Stage, wait_for

EVENTS, DECISIONS = f"events:{{{MARKET}}}", f"decisions:{{{MARKET}}}"
VIEWS = ("trades_window", "depth_snapshot_5000", f"views:{{{MARKET}}}")
MAX_BURNT = 25_000
"""Seqs used up by a loss and a start on a server that is empty: reserved in blocks of 10,000."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An exchange that trades, ticks every 2 s, a server of the user's own."""
    stage = Stage(tmp_path, interval_s=2, history_hours=1)
    stage.exchange()
    stage.own_server()
    yield stage
    stage.end()


@pytest.fixture
def client(stage: Stage) -> Iterator[Any]:
    """What an administrator has: every command, on a connection of his own."""
    client = stage.servers[0].connect()
    yield client
    client.close()


def both(stage: Stage) -> tuple[Process, Process]:
    """Collector and analyzer, at work: trades are live, a tick is analysed, the views are there."""
    collector, analyzer = stage.collector(), stage.analyzer()
    wait_for(lambda: works(stage), 90, 0.3)
    return collector, analyzer


def works(stage: Stage) -> bool:
    """Whether both say that all is well."""
    said, analysed = stage.status(), stage.status("agent_analyzer.py")
    sound = said.get("trades") == "live" and not said["server_away"] and not said["views_failure"]
    return bool(sound and said["trade_window_count"] and said["depth_snapshots_count"] and analysed.get("published"))


def end(*processes: Process) -> None:
    """Ctrl+C, one after the other."""
    for process in processes:
        assert process.interrupt() == 0, process.text()
        assert "Traceback" not in process.text()


def assert_nothing_lost_unnamed(stage: Stage) -> dict[str, Any]:
    """Every trade once, whatever else was lost is named, and hardly a seq was used up for nothing."""
    report = stage.check(code=None)
    assert report["trades_complete"], report
    assert (report["unnamed_seqs"], report["unnamed_agg_ids"], report["duplicates"]) == ([], [], 0)
    assert report["last_seq"] < report["entries"] + MAX_BURNT
    first, last = report["first_agg_id"], report["last_agg_id"]
    assert report["trades"] == last - first + 1
    with open_log(stage.storage, Market.parse(MARKET), "decisions", None) as log:
        made = [(kind, seq) for b in log.read(kinds=[ANALYSIS, RECOMMENDATION])
                for kind, rows in b.rows.items() for seq in rows["market_seq"].tolist()]  # fmt: skip
    assert set(Counter(made).values()) == {1}
    return report


def test_a_server_that_evicts_is_refused_at_the_start(stage: Stage, client: Any) -> None:
    """By both daemons, in one line that names the mend; nothing was written."""
    client.config_set("maxmemory", "20mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    for process in (stage.collector(), stage.analyzer()):
        assert process.popen.wait(30) == 1
        *_, line = process.text().strip().splitlines()
        assert line.startswith("error: the Redis server throws away what it was given"), line
        assert "CONFIG SET maxmemory-policy noeviction" in line
        assert "Traceback" not in process.text()
    assert client.keys() == []


@pytest.mark.soak
def test_a_server_that_begins_to_evict_is_seen_and_costs_little(stage: Stage, client: Any) -> None:
    """Its policy is changed, then its memory runs out: told in status and log; written again once that is mended."""
    daemons = both(stage)
    client.config_set("maxmemory-policy", "allkeys-lru")
    wait_for(lambda: "allkeys-lru" in stage.status()["server"]["problem"], 20, 0.3)
    wait_for(lambda: "allkeys-lru" in stage.status("agent_analyzer.py")["server"]["problem"], 20, 0.3)
    assert all("its maxmemory-policy is allkeys-lru; CONFIG SET" in each.text() for each in daemons)
    client.config_set("maxmemory", "1mb")
    wait_for(lambda: client.exists(EVENTS) == 0 and stage.status()["server_away"], 30, 0.3)
    said = stage.status()
    assert said["trades"] != "live", said
    assert said["server"]["evicted"] or said["server"]["problem"], said
    last_seq = said["last_seq"]
    wait_for(lambda: stage.status()["server"]["evicted"] > 0, 20, 0.3)
    assert stage.status()["last_seq"] < last_seq + MAX_BURNT
    client.config_set("maxmemory", "0")
    client.config_set("maxmemory-policy", "noeviction")
    wait_for(lambda: works(stage), 60, 0.3)
    assert stage.status()["server_losses"] >= 1
    collector, analyzer = daemons
    end(analyzer, collector)
    assert_nothing_lost_unnamed(stage)


@pytest.mark.soak
def test_ctrl_c_ends_both_while_the_server_evicts(stage: Stage, client: Any) -> None:
    """In time, with what could not be stored in a file; the next start, on a server that keeps things, has it all."""
    collector, analyzer = both(stage)
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", "1mb")
    wait_for(lambda: client.exists(EVENTS) == 0 and stage.status()["server_away"], 30, 0.3)
    end(analyzer, collector)
    assert list(stage.storage.rglob("spill.log"))
    client.config_set("maxmemory", "0")
    client.config_set("maxmemory-policy", "noeviction")
    collector, analyzer = both(stage)
    end(analyzer, collector)
    assert_nothing_lost_unnamed(stage)
    assert not list(stage.storage.rglob("spill.log"))


LONG = [pytest.param(gone, marks=pytest.mark.soak) for gone in ("stream", "writer", "both streams", "everything")]


@pytest.mark.parametrize("gone", ["restarted empty", *LONG])
def test_what_vanishes_while_they_run_is_named_and_comes_back(stage: Stage, client: Any, gone: str) -> None:
    """Streams and views are there again by themselves, the loss is in status, log and check, and nothing is twice."""
    collector, analyzer = both(stage)
    remove = {"stream": [EVENTS], "writer": [f"{EVENTS}:writer"], "both streams": [EVENTS, DECISIONS]}
    if gone == "restarted empty":
        server = stage.servers[0]
        server.stop()
        shutil.rmtree(server.folder / "appendonlydir")
        server.ensure().close()
    elif gone == "everything":
        client.flushall()
    else:
        client.delete(*remove[gone])
    again = EmbeddedServer(stage.servers[0].storage).connect()
    wait_for(lambda: stage.status()["server_losses"] == 1, 30, 0.2)
    wait_for(lambda: works(stage) and all(again.exists(name) for name in (EVENTS, *VIEWS)), 60, 0.3)
    analysed = stage.status("agent_analyzer.py")["published"]
    wait_for(lambda: stage.status("agent_analyzer.py")["published"] > analysed, 60, 0.3)
    assert list(again.scan_iter("analysis_results:*"))
    window = [json.loads(row) for row in again.lrange("trades_window", 0, -1)]
    assert len({row["timestamp"] for row in window}) == len(window) > 0
    again.close()
    assert "the server lost entries" in collector.text()
    end(analyzer, collector)
    report = assert_nothing_lost_unnamed(stage)
    assert any(g["cause"] == "log_lost" and g["what"] == "seqs" for g in report["given_up_gaps"]), report


@pytest.mark.soak
def test_views_that_vanish_are_missed_before_the_next_tick(tmp_path: Path) -> None:
    """A tick a minute: somebody deletes the views, and status says that they are lacking until they are written."""
    stage = Stage(tmp_path, interval_s=20, history_hours=1)
    try:
        stage.exchange()
        server = stage.own_server()
        collector = stage.collector()
        wait_for(lambda: stage.status().get("trade_window_count", 0) > 0, 90, 0.3)
        client = server.connect()
        client.delete(*VIEWS)
        wait_for(lambda: "lost the views" in stage.status()["views_failure"], 15, 0.2)
        assert (stage.status()["trade_window_count"], stage.status()["depth_snapshots_count"]) == (0, 0)
        wait_for(lambda: all(client.exists(name) for name in VIEWS), 40, 0.3)
        wait_for(lambda: stage.status()["views_failure"] == "", 10, 0.2)
        client.close()
        end(collector)
    finally:
        stage.end()


@pytest.mark.parametrize("key", [EVENTS, DECISIONS, pytest.param(f"{EVENTS}:writer", marks=pytest.mark.soak)])
def test_a_key_of_another_type_is_named_at_the_start(stage: Stage, client: Any, key: str) -> None:
    """Another program's key where ours belongs: one line, and it is left alone."""
    client.set(key, "x")
    process = stage.analyzer() if key == DECISIONS else stage.collector()
    assert process.popen.wait(30) == 1
    *_, line = process.text().strip().splitlines()
    assert re.match(rf"error: {re.escape(key)} .*holds something else than ours; remove it", line), line
    assert "Traceback" not in process.text()
    assert client.get(key) == b"x"


@pytest.mark.soak
def test_a_key_of_another_type_is_named_while_they_run(stage: Stage, client: Any) -> None:
    """The stream is replaced by a text: the collector ends with its name, and the next one has everything."""
    collector, analyzer = both(stage)
    client.set(EVENTS, "x")
    assert collector.popen.wait(30) == 1
    *_, line = collector.text().strip().splitlines()
    assert re.match(rf"error: {re.escape(EVENTS)} .*holds something else than ours; remove it", line), line
    assert "Traceback" not in collector.text()
    assert not stage.status()["running"]
    analyzer.popen.poll()
    client.delete(EVENTS)
    if analyzer.popen.returncode is None:
        end(analyzer)
    collector, analyzer = both(stage)
    end(analyzer, collector)
    assert_nothing_lost_unnamed(stage)
