"""What the rules say about a real day, said by a model, passes the firewall and gives the same zones."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents.llm.firewall.admit import AdmittedDecision, RefusedDecision, admit, problem_of_view
from agents.recommendation import Advice
from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from analysis.view import MarketView
from eventlog.clock import ManualClock
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import read_agg_trades
from exchanges.binance.mapper import BinanceMapper
from market.fixed_point import format_e8
from market.instrument import Market
from projections.state import READS, STATE_KINDS, MarketState, TickEntry, Windows
from runtime.decide import Decider, TickDecision
from runtime.loop import drive
from tests.builders import NOW

NAME = LogName("events", Market("binance", "BTCUSDT"))
RULES = Parameters()
EVERY = 20


@pytest.fixture(scope="module")
def decided(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[TickDecision]:
    """Every twentieth minute of the day, looked at and decided by the rules."""
    archive = real_data / "aggtrades" / "BTCUSDT-aggTrades-2024-01-01.zip"
    storage = tmp_path_factory.mktemp("firewall_day")
    importer = Importer(ColdLog(storage, NAME), ManualClock(NOW))
    import_trades(importer, archive.name, read_agg_trades(archive))
    importer.close()
    state = MarketState(Windows())
    decider = Decider("BTCUSDT", state, RulesAnalyst(RULES), RULES)
    found: list[TickDecision] = []
    count = 0

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        nonlocal count
        count += 1
        if count % EVERY == 0:
            found.append(decider.decide(tick, now))

    log = Log(ColdLog(storage, NAME), None, BinanceMapper("BTCUSDT").decoders)
    drive(log.read(kinds=STATE_KINDS, columns=READS), state, on_tick)
    return found


def said(advice: Advice, view: MarketView) -> dict[str, Any]:
    """The advice as a model would say it, each zone citing the resonance zone it is."""
    ids = {tuple(e.id for e in zone.evidence): zone for zone in view.zones}
    zones = [
        {"side": z.side, "low": format_e8(z.low_e8), "high": format_e8(z.high_e8), "weight": z.weight,
         "evidence": [ids[z.evidence].id], "reason": f"{ids[z.evidence].id} 位于 {format_e8(ids[z.evidence].price_e8)}"}
        for z in advice.zones
    ]  # fmt: skip
    return {
        "reference": format_e8(view.reference_e8 or 0), "stance": advice.stance, "reason": advice.reason, "zones": zones
    }  # fmt: skip


def test_the_rules_pass_but_where_their_zones_overlap(decided: list[TickDecision]) -> None:
    """Most minutes are admitted, the zones equal to the last figure; the others are refused for overlaps alone."""
    asked = [(d.view, d.advice) for d in decided if problem_of_view(d.view) is None and d.advice is not None]
    answers = [(admit(json.dumps(said(advice, view)), view, RULES), advice) for view, advice in asked]
    admitted = [(answer, advice) for answer, advice in answers if isinstance(answer, AdmittedDecision)]
    refused = [answer for answer, _ in answers if isinstance(answer, RefusedDecision)]
    assert len(asked) >= 70
    assert len(admitted) >= 0.85 * len(asked)
    assert all(answer.zones == advice.zones for answer, advice in admitted)
    assert all("overlaps" in reason for answer in refused for reason in answer.reasons)


def test_a_level_moved_by_a_percent_is_refused_all_day(decided: list[TickDecision]) -> None:
    """The same decisions with every interval one percent nearer to or farther from the price."""
    answers = []
    for view, advice in ((d.view, d.advice) for d in decided if d.advice is not None and d.advice.zones):
        for factor in (99, 101):
            decision = said(advice, view)
            for zone, made in zip(decision["zones"], advice.zones, strict=True):
                tick = view.tick_size_e8
                zone["low"] = format_e8(made.low_e8 * factor // 100 // tick * tick)
                zone["high"] = format_e8(made.high_e8 * factor // 100 // tick * tick)
            answers.append(admit(json.dumps(decision), view, RULES))
    assert len(answers) >= 140
    assert all(isinstance(answer, RefusedDecision) for answer in answers)
    assert all(
        any("wholly inside" in r for r in answer.reasons) for answer in answers if isinstance(answer, RefusedDecision)
    )
