"""A constant of the analysis changes: exactly the decisions that were shown something else are named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.llm.conversation.dialogue import ModelOptions
from agents.llm.conversation.prompts import load
from agents.llm.conversation.tools import DEPTH, FLOW, candidates_json, tool_result
from agents.llm.recorded import MissingCall, RecordedAnalyst, cassette_of
from agents.rules import RulesAnalyst
from analysis.observe import Observer
from analysis.parameters import Parameters
from analysis.render.view_json import render_view
from analysis.view import MarketView
from eventlog.clock import ManualClock
from eventlog.facts.analysis import ANALYSIS, ANALYZER_SESSION, Analysis, AnalyzerSession
from eventlog.facts.entry import Fact
from eventlog.facts.model import MODEL_CALL, MODEL_DECISION
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer, table
from market.instrument import Market
from market.timestamps import MINUTE_NS
from projections.state import READS, STATE_KINDS, MarketState, TickEntry, Windows
from replay.verify.tool_check import ToolVerdict, check_tools, compare_shown_results, read_shown_results
from runtime.analysis_config import AnalysisConfig, session_settings
from runtime.loop import drive
from runtime.settings.settings import Settings
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.playback.record import record
from tests.market_builders import T0
from tests.model_server import asking, at, model_server

MARKET = Market.parse("binance:BTCFDUSD")
SIGHT = AnalysisConfig(MARKET.symbol, Windows(), Parameters())
ASKING = ModelOptions("deepseek-flash", "compact")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, Log]:
    """An hour of market, and the decision log of a model that was asked in its last twenty minutes."""
    folder = tmp_path_factory.mktemp("recorded")
    cold = ColdLog(folder, LogName("events", MARKET))
    importer = Importer(cold, ManualClock(T0))
    record(importer, MarketParameters(symbol=MARKET.symbol), 5, T0, 1, lambda _: None)
    importer.close()
    log = Log(cold, None, {})
    facts: list[Fact] = []
    with model_server() as server, asking(server.base_url, ASKING) as asked:
        for view in views(log, SIGHT.parameters).values():
            assert asked.decide(at(asked, view)).fallback is None
        facts += asked.facts()
    return log, decision_log(folder, facts)


def decision_log(folder: Path, facts: list[Fact]) -> Log:
    """Facts as a log in Parquet."""
    cold = ColdLog(folder, LogName("decisions", MARKET))
    cold.create(T0)
    rows: dict[str, list[dict[str, Any]]] = {}
    for seq, fact in enumerate(facts, 1):
        body = {"seq": seq, "recv_ns": fact.recv_ns, **msgspec.json.decode(fact.data)}
        rows.setdefault(fact.kind, []).append(body)
    tables = {
        kind: table(kind, {name: [row[name] for row in found] for name in found[0]}) for kind, found in rows.items()
    }
    cold.append(1, len(facts), tables)
    return Log(cold, None, {})


def views(log: Log, parameters: Parameters) -> dict[int, MarketView]:
    """What is known at the last twenty ticks, by seq."""
    state = MarketState(SIGHT.windows)
    observer = Observer(MARKET.symbol, state, parameters)
    found: dict[int, MarketView] = {}

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if tick.boundary_ns > T0 + 40 * MINUTE_NS:
            found[tick.seq] = observer.observe(tick, now)

    drive(log.read(kinds=STATE_KINDS, columns=READS), state, on_tick)
    return found


def shown(view: MarketView) -> tuple[str, str, str]:
    """All that a model is shown at a tick."""
    return tool_result(DEPTH, view), tool_result(FLOW, view), candidates_json(view)


def checked(log: Log, decisions: Log, sight: AnalysisConfig) -> ToolVerdict:
    """What models were shown, held against what would be shown under a sight."""
    verdict = ToolVerdict()
    assert compare_shown_results(log, read_shown_results(decisions), sight, verdict, lambda _: None) == {}
    return verdict


CHANGES: dict[str, Callable[[Parameters], Parameters]] = {
    "wall contrast": lambda p: replace(p, wall_contrast=4.9),
    "vacuum part": lambda p: replace(p, vacuum_part=0.5),
    "zone reach": lambda p: replace(p, zone_reach_sigma=11.0),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_exactly_the_touched_decisions_are_named(recorded: tuple[Log, Log], name: str) -> None:
    """Held against an independent look at every tick under both constants."""
    log, decisions = recorded
    changed = CHANGES[name](SIGHT.parameters)
    before, after = views(log, SIGHT.parameters), views(log, changed)
    expected = [seq for seq in before if shown(before[seq]) != shown(after[seq])]
    assert 0 < len(expected) < 20
    verdict = checked(log, decisions, replace(SIGHT, parameters=changed))
    assert [touched["seq"] for touched in verdict.touched] == expected
    assert (verdict.decisions, verdict.equal) == (20, 20 - len(expected))


def test_without_a_change_all_is_equal(recorded: tuple[Log, Log]) -> None:
    """The same constants show the same bytes."""
    log, decisions = recorded
    verdict = checked(log, decisions, SIGHT)
    assert verdict.identical
    assert verdict.decisions == 20


def analyst_of(decisions: Log, parameters: Parameters, language: Any = "en") -> RecordedAnalyst:
    """The recorded analyst of a decision log."""
    rules = RulesAnalyst(parameters)
    return RecordedAnalyst(
        cassette_of(decisions), lambda: load("default", language), ASKING, rules, parameters, "deepseek"
    )


def test_a_record_fails_closed(recorded: tuple[Log, Log]) -> None:
    """Another tool result, other prompts or another minute is another question, and nothing is guessed."""
    log, decisions = recorded
    before = views(log, SIGHT.parameters)
    seq, view = next(iter(before.items()))
    assert analyst_of(decisions, SIGHT.parameters).decide(view).fallback is None
    with pytest.raises(MissingCall, match="what would be asked is not what was asked then"):
        analyst_of(decisions, SIGHT.parameters).decide(replace(view, depth={"id": "D", "mid": "1"}))
    with pytest.raises(MissingCall, match="the prompts are not those of the record"):
        analyst_of(decisions, SIGHT.parameters, "zh").decide(view)
    with pytest.raises(MissingCall, match="no model was asked"):
        analyst_of(decisions, SIGHT.parameters).decide(replace(view, as_of_seq=seq + 1))


def test_kinds_of_a_model_travel_through_parquet(recorded: tuple[Log, Log]) -> None:
    """Every field of a call and of how a minute ended comes back as it was logged."""
    _, decisions = recorded
    kinds = dict.fromkeys((MODEL_CALL, MODEL_DECISION), 0)
    for batch in decisions.read(kinds=list(kinds)):
        for kind, rows in batch.rows.items():
            kinds[kind] += len(rows)
    assert kinds == {MODEL_CALL: 40, MODEL_DECISION: 20}


def a_session(settings: Settings, parameters: Parameters = SIGHT.parameters) -> Fact:
    """An analyzer's start."""
    said = session_settings(settings, parameters)
    return AnalyzerSession("started", "code", "lock", parameters.digest(), said).fact(ANALYZER_SESSION, T0)


def test_every_decision_is_checked_under_its_own_settings(recorded: tuple[Log, Log], tmp_path: Path) -> None:
    """A later session with other thresholds touches nothing; a call about no tick is named, not passed over."""
    log, decisions = recorded
    facts = facts_of(decisions)
    analysed = [
        Analysis(seq, view.as_of_ns, render_view(view).decode()).fact(ANALYSIS, T0)
        for seq, view in views(log, SIGHT.parameters).items()
    ]
    other = Settings.model_validate({"analyzer": {"analysis": {"min_order_volume_threshold": 5.0}}})
    both = [
        a_session(Settings()),
        *facts,
        *analysed,
        a_session(other, replace(SIGHT.parameters, min_wall_e8=5 * 10**8)),
    ]
    verdict = check_tools(log, decision_log(tmp_path / "one", both), MARKET.symbol, lambda done, total: None)
    assert (verdict.decisions, verdict.touched) == (20, [])
    call = next(f for f in facts if f.kind == MODEL_CALL)
    stray = Fact(MODEL_CALL, T0, call.data.replace(b'"market_seq":', b'"market_seq":9'))
    lost = decision_log(tmp_path / "two", [*both, stray])
    verdict = check_tools(log, lost, MARKET.symbol, lambda done, total: None)
    assert not verdict.identical
    assert [t["replay"] for t in verdict.touched] == ["no analysis at this seq"]


def facts_of(decisions: Log) -> list[Fact]:
    """The facts of a decision log again."""
    rows = []
    for batch in decisions.read(kinds=[MODEL_CALL, MODEL_DECISION]):
        for kind, found in batch.rows.items():
            rows += [(row.pop("seq"), kind, row) for row in found.columns.table.to_pylist()]
    return [
        Fact(kind, row.pop("recv_ns"), msgspec.json.encode(row)) for _, kind, row in sorted(rows, key=lambda r: r[0])
    ]
