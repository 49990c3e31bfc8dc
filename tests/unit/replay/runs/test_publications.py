"""When advice really went out, as the decision log says."""

from pathlib import Path

import numpy as np

from agents.recommendation import parse
from eventlog.facts.analysis import ANALYZER_SESSION, RECOMMENDATION, AnalyzerSession, Recommendation
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from market.instrument import Market
from replay.decisions import Decision, Ticks
from replay.runs.publications import digest_of, parameter_digests, publication_of, publication_times, publish_times
from replay.runs.run import Request, _parameter_notes
from replay.scoring.rules import ScoringRules
from tests.builders import T0, a_cold_log
from tests.market_builders import SIGHT

RULES = ScoringRules(2000, 250, 1.0, 0.0, 5, 1, 2.0, 2.0)
BODY = (
    '{"symbol":"BTCUSDT","as_of":"2024-01-01T00:00:00Z","as_of_seq":1,"mid":null,"reference":"100","sigma":0.001,'
    '"stance":"stand_aside","reason":"a test","zones":[],"valid_for_s":3600,"analyst":"rules","model":null,'
    '"prompt_digest":null,"evidence_digest":"","warnings":[]}'
)


def a_decision_log(folder: Path) -> Log:
    """Advice of three ticks: out at once, not out, and out a second time under the same tick."""
    session = [(10, T0 + 5, 12), (20, None, None), (10, T0 + 9, 13)]
    facts = [
        Recommendation(seq, T0, "rules", out, last, BODY).fact(RECOMMENDATION, T0 + i)
        for i, (seq, out, last) in enumerate(session)
    ]
    name = LogName("decisions", Market.parse("binance:BTCUSDT"))
    cold: ColdLog = a_cold_log(folder, facts, name=name)
    return Log(cold, None, {})


def test_under_which_parameters_advice_was_made(tmp_path: Path) -> None:
    """Those of the session before it; sessions that made none of it are not named, nor one whose entry was lost."""
    sessions = {2: "first", 4: "idle", 5: "second"}
    facts = []
    for seq in range(1, 8):
        if seq in sessions:
            body = AnalyzerSession("started", "", "", sessions[seq], "{}").fact(ANALYZER_SESSION, T0)
        else:
            body = Recommendation(10 * seq, T0, "rules", None, None, BODY).fact(RECOMMENDATION, T0)
        facts.append(body)
    name = LogName("decisions", Market.parse("binance:BTCUSDT"))
    log = Log(a_cold_log(tmp_path, facts, name=name), None, {})
    assert parameter_digests(log, {10, 30, 60, 70}) == ["first", "second"]
    assert parameter_digests(log, {30}) == ["first"]
    assert parameter_digests(log, {10, 99}) == []


def a_decision(seq: int) -> Decision:
    """A tick's decision with advice."""
    assert parse(BODY).stance == "stand_aside"
    return Decision(seq, T0, 100, 0.001, "", "stand_aside", 0, BODY.encode())


def test_live_moments_count_where_they_are_known(tmp_path: Path) -> None:
    """Published live: then. Made but not published: not scored. Never live: tick plus delay."""
    live = publication_times(a_decision_log(tmp_path))
    assert live == {10: (T0 + 5, 12), 20: None}
    ticks = Ticks(np.array([10, 20, 30]), np.full(3, T0), np.full(3, T0 + 1))
    out_ns = publish_times(ticks, RULES, None)
    publications = [publication_of(a_decision(s), parse(BODY), out_ns, live) for s in (10, 20, 30)]
    moments = [p and (p.published_ns, p.published_seq) for p in publications]
    assert moments == [(T0 + 5, 12), None, (T0 + 1 + 2 * 10**9, 30)]
    assert publication_of(a_decision(30), None, out_ns, live) is None
    assert digest_of(live) != digest_of({}) == "none"


def test_a_run_with_other_eyes_says_so() -> None:
    """Both digests and the mend; nothing where the advice was made under the run's own."""
    request = Request("binance:BTCUSDT", 0, 1, SIGHT, RULES)
    own = SIGHT.parameters.digest()
    assert _parameter_notes(request, []) == _parameter_notes(request, [own]) == []
    (note,) = _parameter_notes(request, ["abc", own])
    assert note == (
        f"advice went out live under other thresholds or coefficients (digest abc; this run's: {own});"
        " name its settings with --config"
    )
