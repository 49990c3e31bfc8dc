"""Nothing is called live while the venue's clock is elsewhere, or while nothing comes that can be read."""

import json
from pathlib import Path
from typing import Any

import pytest

from eventlog.facts.analysis import RECOMMENDATION
from eventlog.facts.capture import TICK
from market.instrument import Market
from runtime.open_log import open_log
from tests.fakes.venue import Venue, running
from tests.integration.daemons import MARKET, Stage, wait_for

SKEW_MS = 120_000


def ticks(stage: Stage) -> list[str]:
    """What each tick said of the trades."""
    with open_log(stage.storage, Market.parse(MARKET)) as log:
        return [str(word) for b in log.read(kinds=[TICK]) if TICK in b.rows
                for word in b.rows[TICK].columns.table["trades"].to_pylist()]  # fmt: skip


def advised(stage: Stage) -> int:
    """How many recommendations there are."""
    with open_log(stage.storage, Market.parse(MARKET), "decisions", None) as log:
        return sum(len(b.rows.get(RECOMMENDATION, ())) for b in log.read(kinds=[RECOMMENDATION]))


def assert_all_recorded(stage: Stage) -> None:
    """Every trade is in the log, whatever its stamp says."""
    report = stage.check(code=None)
    assert (report["unnamed_agg_ids"], report["unnamed_seqs"], report["duplicates"]) == ([], [], 0), report
    assert not [g for g in (*report["open_gaps"], *report["given_up_gaps"]) if g["what"] == "agg_ids"], report
    assert report["quarantined"] == 0
    assert report["trades"] > 100
    assert report["trades_complete"], report


@pytest.mark.parametrize("ms", [SKEW_MS, pytest.param(-SKEW_MS, marks=pytest.mark.soak)])
def test_a_venue_two_minutes_off_is_never_live(tmp_path: Path, ms: int) -> None:
    """From the start: told by how much, no advice, and every trade is recorded."""
    stage = Stage(tmp_path, interval_s=2, history_hours=1)
    try:
        stage.exchange(faults=[{"when": {"nth": 1}, "fault": "clock_skew", "ms": ms}])
        collector, analyzer = stage.collector(), stage.analyzer()
        wait_for(lambda: bool(stage.status().get("clock")), 60, 0.3)
        wait_for(lambda: stage.status("agent_analyzer.py").get("analyses", 0) >= 3, 90, 0.3)
        said = stage.status()
        assert abs(said["clock"]["offset_ms"] - ms) < 1_000
        assert said["trades"] == "down"
        assert f"the venue's clock is {ms // 1000:+d}" in said["trades_reason"]
        assert stage.status("agent_analyzer.py")["stance"] == "none: trades are down"
        assert (analyzer.interrupt(), collector.interrupt()) == (0, 0), collector.text()
        assert "the venue's clock is far from ours" in collector.text()
        assert "no advice: trades are not live" in analyzer.text()
        assert "live" not in ticks(stage)
        assert advised(stage) == 0
        assert_all_recorded(stage)
    finally:
        stage.end()


@pytest.mark.soak
@pytest.mark.parametrize("ms", [SKEW_MS, -SKEW_MS])
def test_a_venue_whose_clock_jumps_is_not_live_any_more(tmp_path: Path, ms: int) -> None:
    """While it runs: seen at the next trade, measured at once, and nothing is lost."""
    stage = Stage(tmp_path, interval_s=2, history_hours=0.1)
    try:
        stage.exchange(faults=[{"when": {"nth": 400}, "fault": "clock_skew", "ms": ms}])
        collector = stage.collector()
        wait_for(lambda: stage.status().get("trades") == "live", 35, 0.2)
        wait_for(lambda: stage.status()["trades"] == "down", 60, 0.2)
        wait_for(lambda: abs(stage.status()["clock"]["offset_ms"] - ms) < 1_000, 40, 0.2)
        live = ticks(stage).count("live")
        last = stage.status()["last_tick"]
        wait_for(lambda: stage.status()["last_tick"] > last, 20, 0.2)
        assert ticks(stage).count("live") == live
        assert collector.interrupt() == 0, collector.text()
        assert_all_recorded(stage)
    finally:
        stage.end()


def test_trades_that_nobody_can_read_are_not_live(tmp_path: Path) -> None:
    """Each goes into quarantine, whether streamed or fetched: no live tick, and the log is not complete."""

    def row(agg_id: int, now_ms: int) -> dict[str, Any]:
        return {"a": agg_id, "p": "1e5", "q": "0.5", "f": agg_id, "l": agg_id, "T": now_ms, "m": True, "M": True}

    def event(agg_id: int, now_ms: int) -> bytes:
        fields = {"e": "aggTrade", "E": now_ms, "s": "BTCFDUSD", **row(agg_id, now_ms)}
        return json.dumps({"stream": "btcfdusd@aggTrade", "data": fields}, separators=(",", ":")).encode()

    venue = Venue(
        lambda now_ms: [row(agg_id, now_ms) for agg_id in (1, 2, 3)],
        lambda now_ms: [event(agg_id, now_ms) for agg_id in (2, 3, 4)],
    )
    stage = Stage(tmp_path, interval_s=2)
    with running(venue) as address:
        stage.rest_url, stage.websocket_url = f"http://{address}", f"ws://{address}"
        try:
            collector = stage.collector()
            wait_for(lambda: stage.status().get("counts", {}).get("tick", 0) >= 3, 60, 0.3)
            said = stage.status()
            assert said["trades"] == "down"
            assert "trades came that could not be read" in said["trades_reason"]
            assert collector.interrupt() == 0, collector.text()
            assert "live" not in ticks(stage)
            report = stage.check(1)
            assert not report["complete"]
            assert report["trades"] == 0
        finally:
            stage.end()
