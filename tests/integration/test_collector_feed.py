"""The collector's book, clock and connections against an exchange with faults: real processes, real sockets."""

import json
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from eventlog.facts.capture import BOOK_RESET, CLOCK_OFFSET, SESSION
from eventlog.facts.market import DIFF, SNAPSHOT
from market.instrument import Market
from runtime.open_log import open_log
from tests.integration.daemons import MARKET, Stage, wait_for


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A folder with an exchange that trades, and snapshots so seldom that only the book itself asks for one."""
    stage = Stage(tmp_path, interval_s=300)
    stage.exchange()
    yield stage
    stage.end()


def put_script(stage: Stage, *rules: dict[str, Any]) -> None:
    """Have the exchange misbehave from now on."""
    data = json.dumps(rules).encode()
    request = urllib.request.Request(f"{stage.rest_url}/simulated/script", method="POST", data=data)
    urllib.request.urlopen(request, timeout=10).read()


def book(stage: Stage) -> dict[str, Any]:
    """What the collector says of its book."""
    said: dict[str, Any] = stage.status().get("book") or {}
    return said


def rows(stage: Stage, kind: str) -> list[dict[str, Any]]:
    """A kind's entries, in seq order."""
    with open_log(stage.storage, Market.parse(MARKET)) as log:
        found = [b.rows[kind] for b in log.read(kinds=[kind]) if kind in b.rows]
    return [row for r in found for row in r.table().to_pylist()]


def test_a_lost_diff_resets_the_book_and_a_snapshot_mends_it_at_once(stage: Stage) -> None:
    """Both on record within seconds, the gap named; the venue's clock is measured meanwhile."""
    collector = stage.collector()
    wait_for(lambda: book(stage).get("state") == "in_step", 60, 0.2)
    put_script(stage, {"when": {"stream": "diffs", "nth": 1}, "fault": "missing"})
    wait_for(lambda: book(stage)["resets"] == 1, 20, 0.1)
    began = time.monotonic()
    wait_for(lambda: book(stage)["state"] == "in_step", 20, 0.1)
    assert time.monotonic() - began < 12
    wait_for(lambda: stage.status()["clock"] is not None, 20, 0.2)
    assert abs(stage.status()["clock"]["offset_ms"]) <= stage.status()["clock"]["uncertainty_ms"]
    assert stage.status()["missed_diffs"] == 1
    assert collector.interrupt() == 0, collector.text()
    (reset,) = rows(stage, BOOK_RESET)
    assert reset["cause"] == "diff_missing"
    assert any(snapshot["seq"] > reset["seq"] for snapshot in rows(stage, SNAPSHOT))
    gaps = [g for g in stage.check(1)["given_up_gaps"] if g["what"] == "update_ids"]
    assert [(g["first"], g["last"], g["cause"]) for g in gaps] == [
        (reset["first_missing"], reset["last_missing"], "feed_skipped")
    ]
    assert [row["round_trips"] for row in rows(stage, CLOCK_OFFSET)] == [7]


@pytest.mark.soak
def test_planned_reconnects_neither_lose_a_diff_nor_reset_the_book(stage: Stage) -> None:
    """Two shutdown notices and one diff that comes late: no gap, no reset, every update in the log once."""
    collector = stage.collector()
    wait_for(lambda: book(stage).get("state") == "in_step", 60, 0.2)
    for expected in (2, 3):
        stage.post("/simulated/shutdown-notice")
        wait_for(lambda wanted=expected: stage.status()["venue"]["connections"] == wanted, 20, 0.1)  # type: ignore[misc]
        put_script(stage, {"when": {"stream": "diffs", "nth": 3}, "fault": "delayed", "seconds": 1})
        time.sleep(7)
    assert stage.status()["venue"]["overlapping_reconnects"] == 2
    assert (book(stage)["resets"], stage.status()["missed_diffs"]) == (0, 0)
    assert collector.interrupt() == 0, collector.text()
    diffs = rows(stage, DIFF)
    assert all(b["first_update_id"] == a["last_update_id"] + 1 for a, b in pairwise(diffs))
    assert [s["detail"] for s in rows(stage, SESSION) if s["event"] == "connected"] == [
        "", "planned: serverShutdown", "planned: serverShutdown",
    ]  # fmt: skip
    assert stage.check()["complete"]
