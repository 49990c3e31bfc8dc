"""
Live and replay are the same: the daemons on a real exchange process, then every analysis computed again.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace

from eventlog.disk import parquet_files
from eventlog.facts.market import AGG_TRADE
from eventlog.names import LogName
from eventlog.store.catalogue import FileRecord
from eventlog.store.cold import ColdLog
from market.instrument import Market
from tests.integration.daemons import MARKET, Stage, wait_for

VERIFY = ("-m", "replay", "verify", "--market", MARKET, "--json", "--storage")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A folder with an exchange that trades, and ticks every 2 s."""
    stage = Stage(tmp_path, interval_s=2, history_hours=1)
    stage.exchange()
    yield stage
    stage.end()


def published(stage: Stage) -> list[str]:
    """What the analyzer wrote for people."""
    log = stage.folder / "logs" / "trading_recommendations_btcfdusd.log"
    return log.read_text().splitlines() if log.exists() else []


def run_daemons(stage: Stage, recommendations: int) -> None:
    """Collector and analyzer until so much is published, the analyzer killed and started again in the middle."""
    collector, analyzer = stage.collector(), stage.analyzer()
    wait_for(lambda: len(published(stage)) >= recommendations // 2, 120, 0.3)
    analyzer.kill()
    analyzer = stage.analyzer()
    wait_for(lambda: len(published(stage)) >= recommendations, 120, 0.3)
    assert analyzer.interrupt() == 0, analyzer.text()
    assert collector.interrupt() == 0, collector.text()


def flip_one_quantity(storage: Path, after_ns: int) -> FileRecord:
    """Change the quantity of the first trade after a time, inside its Parquet file; which file it is now."""
    cold = ColdLog(storage, LogName("events", Market.parse(MARKET)))
    for segment in cold.catalogue.segments:
        for file in segment.files:
            if file.kind != AGG_TRADE:
                continue
            table = parquet_files.read(AGG_TRADE, cold.path_of(file))
            late = np.flatnonzero(table.column("recv_ns").to_numpy() > after_ns)
            if len(late):
                quantities = table.column("quantity_e8").to_numpy().copy()
                quantities[late[0]] += 1
                at = table.schema.get_field_index("quantity_e8")
                table = table.set_column(at, table.schema.field(at), pa.array(quantities))
                data = parquet_files.to_bytes(AGG_TRADE, table, str(cold.name))
                cold.path_of(file).write_bytes(data)
                return replace(file, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    raise AssertionError("no trade to change")


def forge(storage: Path, changed: FileRecord) -> None:
    """Have the catalogue say that a changed file is as it was written."""
    cold = ColdLog(storage, LogName("events", Market.parse(MARKET)))
    segments = tuple(
        replace(s, files=tuple(changed if f.name == changed.name else f for f in s.files))
        for s in cold.catalogue.segments
    )
    replace(cold.catalogue, segments=segments).save(cold.folder)


def test_every_live_analysis_is_identical_in_replay_and_a_flipped_quantity_is_named(stage: Stage) -> None:
    """N of N analyses identical across a restart; after one changed quantity the tick and the projection are named."""
    run_daemons(stage, 8)
    verdict = json.loads(stage.run(*VERIFY, str(stage.storage)).stdout)
    assert verdict["identical"]
    assert verdict["total"] == verdict["equal"] >= 8
    assert verdict["notes"] == []
    status = stage.status("agent_analyzer.py")
    assert status["running"] is False
    assert json.loads(published(stage)[-1])["symbol"] == "BTCFDUSD"

    decisions = ColdLog(stage.storage, LogName("decisions", Market.parse(MARKET)))
    analyses = [b.rows["analysis"] for b in decisions.read(0, 10**9, ["analysis"]) if "analysis" in b.rows]
    boundaries = np.concatenate([a["as_of_ns"] for a in analyses])
    assert len(np.unique(boundaries)) == len(boundaries)
    middle = int(boundaries[len(boundaries) // 2])
    changed = flip_one_quantity(stage.storage, middle)
    refused = stage.run(*VERIFY, str(stage.storage), code=1)
    assert "is not as it was written" in refused.stderr
    report = stage.check(code=1)
    assert any("is not as it was written" in d for d in report["damaged"])
    forge(stage.storage, changed)
    verdict = json.loads(stage.run(*VERIFY, str(stage.storage), code=1).stdout)
    assert not verdict["identical"]
    # fields are compared in order: of the three folds that take every trade, the first by name
    assert verdict["differences"][0]["field"] == "state.book_flow"
    assert int(np.datetime64(verdict["differences"][0]["as_of"].rstrip("Z"), "ns").astype(np.int64)) >= middle
