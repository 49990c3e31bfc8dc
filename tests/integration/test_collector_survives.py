"""
The collector against what machines and servers do to it: real processes, real sockets, a real server.

What `kill -9` does between any two of its writes is in `tests/soak/test_kills.py`.
"""

import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eventlog.facts.market import AGG_TRADE
from eventlog.server.embedded_server import EmbeddedServer
from market.instrument import Market
from runtime.open_log import open_log
from tests.integration.daemons import MARKET, Stage, free_port, server_pid, wait_for

FIELDS = ("agg_id", "price_e8", "quantity_e8", "first_trade_id", "last_trade_id", "trade_time_ns", "buyer_is_maker")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A folder with an exchange that trades."""
    stage = Stage(tmp_path)
    stage.exchange()
    yield stage
    stage.end()


@pytest.fixture
def busy_stage(tmp_path: Path) -> Iterator[Stage]:
    """A folder with an exchange that trades ten times as fast."""
    stage = Stage(tmp_path, trades_per_second=200.0, history_hours=0.02)
    stage.exchange()
    yield stage
    stage.end()


def trades_of(stage: Stage) -> dict[str, np.ndarray]:
    """Every trade of the log, in seq order."""
    with open_log(stage.storage, Market.parse(MARKET)) as log:
        rows = [b.rows[AGG_TRADE] for b in log.read(kinds=[AGG_TRADE]) if AGG_TRADE in b.rows]
    return {name: np.concatenate([r[name] for r in rows]) for name in FIELDS}


def assert_equals_ledger(stage: Stage) -> None:
    """Trade by trade: nothing missing, nothing twice, nothing different."""
    logged = trades_of(stage)
    order = np.argsort(logged["agg_id"], kind="stable")
    ids = logged["agg_id"][order]
    assert len(np.unique(ids)) == len(ids)
    ledger = stage.ledger(int(ids[0]), int(ids[-1]))
    names = {"first_trade_id": "first_id", "last_trade_id": "last_id", "trade_time_ns": "time_ns"}
    for name in FIELDS:
        expected = np.array(ledger[names.get(name, name)], np.int64)
        np.testing.assert_array_equal(logged[name][order].astype(np.int64), expected, err_msg=name)


def caught_up(stage: Stage) -> bool:
    """Whether the collector says its trades are live."""
    said = stage.status()
    return bool(said["running"]) and said.get("trades") == "live"


def assert_lacks_only(report: dict[str, Any], *what: str) -> None:
    """Every trade is there, everything else is right; what is missing for good is of some kinds, by name."""
    assert report["trades_complete"], report
    assert all(reason.startswith("missing for good") for reason in report["reasons"]), report
    assert {gap["what"] for gap in report["given_up_gaps"]} <= set(what), report


def assert_whole(stage: Stage, report: dict[str, Any]) -> None:
    """Every trade, without a hole or a double, as in the ledger; changes of the book may be named lost."""
    assert_lacks_only(report, "update_ids")
    assert (report["open_gaps"], report["unnamed_seqs"], report["duplicates"]) == ([], [], 0)
    assert_equals_ledger(stage)


def test_server_killed_and_restarted_loses_nothing(stage: Stage) -> None:
    """The embedded server dies twice under a running collector, which brings it back."""
    collector = stage.collector()
    wait_for(lambda: caught_up(stage), 60, 0.3)
    for _ in range(2):
        os.kill(server_pid(stage.storage), signal.SIGKILL)
        time.sleep(2.0)
    wait_for(lambda: caught_up(stage) and not stage.status()["server_away"], 30, 0.3)
    assert collector.interrupt() == 0, collector.text()
    assert stage.check()["complete"]
    assert_equals_ledger(stage)


def test_server_wiped_while_running_names_what_is_lost(stage: Stage) -> None:
    """FLUSHALL: the lost seqs are named, never used again, and the lost trades are fetched anew."""
    stage.archive_s = 3600
    collector = stage.collector()
    wait_for(lambda: caught_up(stage), 60, 0.3)
    client = EmbeddedServer(stage.storage).connect()
    before = dict(client.xrange("events:{binance:BTCFDUSD}"))
    client.flushall()
    time.sleep(2.0)
    wait_for(lambda: caught_up(stage), 30, 0.3)
    after = dict(client.xrange("events:{binance:BTCFDUSD}"))
    client.close()
    assert not before.keys() & after.keys()
    assert collector.interrupt() == 0, collector.text()
    report = stage.check(1)
    assert_lacks_only(report, "seqs", "update_ids", "snapshot")
    assert any(g["cause"] == "log_lost" and g["what"] == "seqs" for g in report["given_up_gaps"])
    assert report["kinds"]["instrument"] == 1
    assert_equals_ledger(stage)


def test_server_wiped_while_the_collector_is_down(stage: Stage) -> None:
    """A collector that was killed and finds an empty server uses none of the old seqs again."""
    stage.archive_s = 3600
    collector = stage.collector()
    wait_for(lambda: caught_up(stage), 60, 0.3)
    client = EmbeddedServer(stage.storage).connect()
    last = int(client.xrevrange("events:{binance:BTCFDUSD}", count=1)[0][0].split(b"-")[0])
    collector.kill()
    client.flushall()
    client.close()
    collector = stage.collector()
    wait_for(lambda: caught_up(stage), 60, 0.3)
    assert collector.interrupt() == 0, collector.text()
    report = stage.check(1)
    assert_lacks_only(report, "seqs", "update_ids", "snapshot")
    assert report["first_seq"] > last
    assert_equals_ledger(stage)


def test_a_second_collector_refuses(stage: Stage) -> None:
    """Two collectors on one log: the second says who holds it, in one line, and ends."""
    collector = stage.collector()
    wait_for(lambda: caught_up(stage), 60, 0.3)
    second = stage.collector()
    assert second.popen.wait(20) == 1
    line = second.text().strip().splitlines()[-1]
    assert line.startswith("error: events:{binance:BTCFDUSD} already has a writer (process ")
    assert str(collector.popen.pid) in line
    assert collector.interrupt() == 0


@pytest.mark.soak
def test_disconnects_leave_no_hole(stage: Stage) -> None:
    """The exchange drops every connection twice and announces a shutdown: no trade is missing."""
    collector = stage.collector()
    wait_for(lambda: caught_up(stage), 60, 0.3)
    for _ in range(2):
        stage.post("/simulated/disconnect")
        time.sleep(1.0)
    stage.post("/simulated/shutdown-notice")
    time.sleep(2.0)
    wait_for(lambda: caught_up(stage), 30, 0.3)
    assert collector.interrupt() == 0, collector.text()
    report = stage.check(None)
    assert_lacks_only(report, "update_ids")
    assert report["kinds"]["session"] >= 6
    assert_equals_ledger(stage)


def test_interrupt_ends_within_five_seconds_and_archives_everything(stage: Stage) -> None:
    """Ctrl-C: the collector ends in order, and Parquet alone holds the whole log."""
    collector = stage.collector()
    wait_for(lambda: caught_up(stage), 60, 0.3)
    assert collector.interrupt() == 0, collector.text()
    assert not stage.status()["running"]
    with open_log(stage.storage, Market.parse(MARKET)) as log:
        assert log.cold.catalogue.last_seq == log.last_seq()


@pytest.mark.parametrize("killed", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_a_server_that_stops_while_facts_spill_costs_nothing(busy_stage: Stage, killed: bool) -> None:
    """
    The server is stopped until facts go to disk. The collector is killed then, or finds the server again: the log
    equals the ledger, and the file is gone.
    """
    stage = busy_stage
    stage.backpressure = {"queue_facts": 1000, "queue_megabytes": 1}
    stage.metrics = {"port": free_port()}
    collector = stage.collector()
    wait_for(lambda: caught_up(stage), 60, 0.3)
    spill = next(stage.storage.rglob("reserved.json")).with_name("spill.log")
    server = server_pid(stage.storage)
    os.kill(server, signal.SIGSTOP)
    try:
        wait_for(lambda: spill.exists() and spill.stat().st_size > 0, 90, 0.2)
        # Its facts are counted once the file is on the disk, a moment after it has its bytes.
        wait_for(lambda: float(scraped(stage, "spill_facts")) > 0, 30, 0.2)
        assert float(scraped(stage, "dropped")) == 0
        if killed:
            collector.kill()
    finally:
        os.kill(server, signal.SIGCONT)
    if killed:
        collector = stage.collector()
    wait_for(lambda: caught_up(stage) and not spill.exists(), 60, 0.3)
    assert collector.interrupt() == 0, collector.text()
    assert_whole(stage, stage.check(None))


def scraped(stage: Stage, name: str) -> str:
    """One figure of the page that Prometheus reads."""
    page = urllib.request.urlopen(f"http://127.0.0.1:{stage.metrics['port']}/metrics", timeout=5).read().decode()
    return re.findall(rf'{name}{{market="binance:BTCFDUSD"}} (\S+)', page)[0]
