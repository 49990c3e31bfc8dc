"""
Proof that live and replay are the same: every analysis of the decision log, computed again from the market log.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from agents.analyst import Analyst
from agents.llm.recorded import MissingCall, cassette_of
from agents.recommendation import Advice
from analysis.fitted import parse
from eventlog.code_version import code_digest
from eventlog.facts.analysis import ANALYSIS, ANALYZER_SESSION, RECOMMENDATION
from eventlog.store.log import Log
from market.timestamps import iso
from projections.state import MarketState, TickEntry
from replay.errors import NothingToReplay, OtherFit
from runtime.analysis_config import AnalysisConfig, analysis_config
from runtime.analysts import AsLogged
from runtime.decide import Decider
from runtime.loop import drive
from runtime.model_config import questions_of
from runtime.settings.settings import Settings, SettingsError
from runtime.settings.settings import parse as parse_settings
from runtime.warm_up import read_with_warm_up, state_of

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class LoggedAnalysis:
    """What the decision log says about one tick."""

    market_seq: int
    as_of_ns: int
    analysis: str
    recommendation: str | None = None


@dataclass(slots=True)
class Verdict:
    """
    What a verification found.

    Attributes:
        differences: for each tick that differs: its boundary, seq, and the first field that is not the same.
    """

    total: int = 0
    equal: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Whether there was something to compare and all of it is equal."""
        return self.total > 0 and self.equal == self.total

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"identical": self.identical, "differences": self.differences[:_SHOWN]}


def verify_log(
    log: Log, decisions: Log, symbol: str, on_progress: Callable[[int, int], None], fitted: Path | None = None
) -> Verdict:
    """
    Compute every logged analysis and recommendation again, under the settings each was made with.

    Args:
        fitted: the file of fitted coefficients, for sessions that name one and do not hold what was in it.

    Raises:
        NothingToReplay: the decision log holds no analysis.
        OtherFit: a session's coefficients are neither in the log nor in the file.
    """
    verdict = Verdict()
    sessions = sessions_of(decisions)
    total = sum(len(logged) for _, logged in sessions)
    if total == 0:
        raise NothingToReplay(f"{decisions.name} holds no analysis yet; run agent_analyzer.py first")
    if any(session["code"] != code_digest() for session, logged in sessions if logged):
        verdict.notes.append("code differs: the analyses were made by other code than the one that checks them")
    tape = cassette_of(decisions)
    configs = [config_of_session(session, symbol, fitted) if logged else None for session, logged in sessions]
    for (session, logged), config in zip(sessions, configs, strict=True):
        if config is None:
            continue
        there, here = session["parameters_digest"], config.parameters.digest()
        if there != here:
            verdict.notes.append(f"thresholds differ: analysed under digest {there}, checked under {here}")
        questions = questions_of(settings_of(session).analyzer.deepseek)
        _verify_session(
            log, logged, config, verdict, AsLogged(tape, questions, config.parameters), lambda n: on_progress(n, total)
        )
    return verdict


def sessions_of(decisions: Log) -> list[tuple[dict[str, Any], list[LoggedAnalysis]]]:
    """
    Each analyzer session with what was logged in it, in order.

    What stands before the first session (its entry was lost with a server) counts to that session. A recommendation
    belongs to its analysis, wherever that stands.
    """
    sessions: list[tuple[dict[str, Any], dict[int, LoggedAnalysis]]] = []
    early: dict[int, LoggedAnalysis] = {}
    for kind, row in _rows(decisions):
        seq = int(row.get("market_seq", 0))
        if kind == ANALYZER_SESSION:
            sessions.append((row, {} if sessions else early))
        elif kind == ANALYSIS:
            logged = sessions[-1][1] if sessions else early
            logged[seq] = LoggedAnalysis(seq, row["as_of_ns"], row["body"])
        else:
            held = next((made for _, made in reversed(sessions) if seq in made), early)
            if seq in held:
                held[seq] = LoggedAnalysis(seq, held[seq].as_of_ns, held[seq].analysis, row["body"])
    return [(session, list(made.values())) for session, made in sessions]


def _rows(decisions: Log) -> Iterator[tuple[str, dict[str, Any]]]:
    for batch in decisions.read(kinds=[ANALYZER_SESSION, ANALYSIS, RECOMMENDATION]):
        found = []
        for kind, rows in batch.rows.items():
            found += [(r["seq"], kind, r) for r in rows.table().to_pylist()]
        for _, kind, row in sorted(found, key=lambda item: item[0]):
            yield kind, row


def _verify_session(
    log: Log,
    logged: list[LoggedAnalysis],
    config: AnalysisConfig,
    verdict: Verdict,
    analyst: Analyst,
    on_progress: Callable[[int], None],
) -> None:
    expected = {each.market_seq: each for each in logged}
    state = state_of(log, config.windows)
    decider = Decider(config.symbol, state, analyst, config.parameters)

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        there = expected.pop(tick.seq, None)
        if there is None:
            return
        try:
            decided = decider.decide(tick, now)
            difference = _difference(there, decided.view.render(), decided.advice)
        except MissingCall as missing:
            difference = {"field": "model_call", "live": "asked", "replay": str(missing)}
        verdict.total += 1
        verdict.equal += difference is None
        if difference is not None:
            where = {"as_of": iso(tick.boundary_ns), "seq": tick.seq}
            verdict.differences.append(where | difference)
        on_progress(1)

    first, last = min(expected), max(expected)
    drive(warmed_up(log, expected[first].as_of_ns, last, config.windows), state, on_tick)
    for missing in expected.values():
        verdict.total += 1
        where = {"as_of": iso(missing.as_of_ns), "seq": missing.market_seq, "field": "tick"}
        verdict.differences.append(where | {"live": "a tick", "replay": "no tick at this seq"})


def _difference(there: LoggedAnalysis, analysis: bytes, advice: Advice | None) -> dict[str, Any] | None:
    if there.analysis.encode() != analysis:
        return first_difference(msgspec.json.decode(there.analysis), msgspec.json.decode(analysis), "")
    body = advice.render().decode() if advice else None
    if there.recommendation == body:
        return None
    one = msgspec.json.decode(there.recommendation) if there.recommendation else None
    return first_difference(one, msgspec.json.decode(body) if body else None, "recommendation")


def first_difference(live: Any, replay: Any, path: str) -> dict[str, Any] | None:
    """The first field, in order, in which two JSON values differ, by its path."""
    if isinstance(live, dict) and isinstance(replay, dict):
        for key in dict.fromkeys((*live, *replay)):
            found = first_difference(live.get(key), replay.get(key), f"{path}.{key}" if path else key)
            if found:
                return found
        return None
    if isinstance(live, list) and isinstance(replay, list) and len(live) == len(replay):
        for i, (one, two) in enumerate(zip(live, replay, strict=True)):
            found = first_difference(one, two, f"{path}[{i}]")
            if found:
                return found
        return None
    return None if live == replay else {"field": path, "live": live, "replay": replay}


def settings_of(session: dict[str, Any]) -> Settings:
    """The effective settings an analyzer session was run with; where its server was is no longer in them."""
    known = msgspec.json.decode(session["settings"], type=dict[str, Any])
    for name in ("redis", "network", "fitted"):
        known.pop(name, None)
    if isinstance(venue := known.get("binance"), dict):
        known["binance"] = {name: value for name, value in venue.items() if not name.endswith("_url")}
    return parse_settings(known, "the log's settings")


def config_of_session(session: dict[str, Any], symbol: str, file: Path | None) -> AnalysisConfig:
    """
    What a session saw with: its settings, and the coefficients it logged.

    Args:
        file: holds the coefficients where the session, of an older version, logged no more than their file's name.

    Raises:
        OtherFit: these are not the coefficients it saw with, as their digest tells, or they cannot be used.
    """
    settings, digest = settings_of(session), session["parameters_digest"]
    recorded = msgspec.json.decode(session["settings"], type=dict[str, msgspec.Raw]).get("fitted")
    if recorded is not None:
        try:
            return analysis_config(settings, symbol, parse(bytes(recorded)))
        except ValueError as error:
            raise OtherFit(f"the log was analysed with coefficients that this code cannot use: {error}") from error
    if settings.analyzer.analysis.fitted_file is None:
        return analysis_config(settings, symbol)
    try:
        config = analysis_config(replace_fitted_file(settings, file) if file is not None else settings, symbol)
    except SettingsError as error:
        if file is not None:
            raise
        raise OtherFit(_other_fit(digest)) from error
    if config.parameters.digest() != digest:
        raise OtherFit(_other_fit(digest))
    return config


def replace_fitted_file(settings: Settings, file: Path) -> Settings:
    """The same settings with another file of fitted coefficients."""
    known = settings.model_dump(exclude={"redis"})
    known["analyzer"]["analysis"]["fitted_file"] = file
    return parse_settings(known, "the log's settings")


def _other_fit(digest: str) -> str:
    return f"the log was analysed with other fitted coefficients (digest {digest}): name the file with --fitted F"
