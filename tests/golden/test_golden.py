"""
Golden cases: raw bytes → log → views → analysis → recommendation → score, compared to the byte.

`make golden` rewrites the expected files; a change there is a change of what users get, and is read like code.
"""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agents.rules import RulesAnalyst
from analysis.render.view_json import render_view
from eventlog.clock import ManualClock
from eventlog.names import LogName
from eventlog.proof.check import check
from eventlog.store.cold import ColdLog
from eventlog.transfer.importing import Importer
from exchanges.binance.recordings.recording import append_recording
from market.instrument import Market
from projections.state import READS, STATE_KINDS, MarketState
from projections.trades import minute_view
from replay.runs.finished_runs import load
from replay.runs.run import Request, run
from replay.scoring.rules import ScoringRules
from runtime.analysis_config import analysis_config
from runtime.decide import Decider, TickDecision
from runtime.loop import drive
from runtime.open_log import open_log
from runtime.settings.settings import Settings

CASES = sorted(p.parent for p in Path(__file__).parent.glob("*/raw.gz"))
MARKET = Market.parse("binance:BTCFDUSD")
CLOCK = ManualClock(1_800_000_000_000_000_000)


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_golden_case_is_unchanged(case: Path, tmp_path: Path) -> None:
    """Every stage of a recorded market comes out as it did when a person last looked."""
    found = stages(case / "raw.gz", tmp_path)
    expected = case / "expected.json"
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("GOLDEN") == "rewrite":
        expected.write_text(text, encoding="utf-8")
    assert json.loads(text) == json.loads(expected.read_text(encoding="utf-8"))


def stages(raw: Path, folder: Path) -> dict[str, Any]:
    """What each stage makes of a recording."""
    importer = Importer(ColdLog(folder, LogName("events", MARKET)), CLOCK)
    imported = append_recording(importer, raw)
    importer.close()
    sight = analysis_config(Settings(), MARKET.symbol)
    state = MarketState(sight.windows)
    decider = Decider(MARKET.symbol, state, RulesAnalyst(sight.parameters), sight.parameters)
    decided: list[TickDecision] = []
    with open_log(folder, MARKET) as log:
        report = check(log).as_json()
        batches = log.read(kinds=STATE_KINDS, columns=READS)
        drive(batches, state, lambda tick, now: decided.append(decider.decide(tick, now)))
    rules = ScoringRules(2000, 250, 1.0, 0.0, 5, 1, sight.parameters.away_sigma, sight.parameters.beyond_sigma)
    request = Request(str(MARKET), 0, 2**62, sight, rules)
    result = run(partial(open_log, folder, MARKET), request, folder / "runs", 1, CLOCK, lambda *_: None)
    newest = list(state.buckets.minutes(2))
    last = decided[-1]
    return {
        "import": {"added": imported.added, "ticks": imported.ticks, "quarantined": imported.quarantined},
        "check": report,
        "views": [minute_view.to_json(m, minute) for m, minute in newest],
        "digests": [d.view.state for d in decided][:: max(1, len(decided) // 5)],
        "analysis": json.loads(render_view(last.view)),
        "recommendation": json.loads(last.advice.render()) if last.advice else None,
        "scores": load(result.folder).table("scores").to_pylist(),
    }
