"""
Verification that live and replay agree: every analysis of the decision log is computed again from the market log.
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
from analysis.render.view_json import render_view
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

_MAX_DIFFERENCES = 50  # in the JSON of a verdict


@dataclass(frozen=True, slots=True)
class LoggedAnalysis:
    """
    One tick of the decision log.

    Attributes:
        market_seq: of the tick in the market log. as_of_ns: its boundary.
        analysis, recommendation: as they were logged, JSON; recommendation is None where none was.
    """

    market_seq: int
    as_of_ns: int
    analysis: str
    recommendation: str | None = None


@dataclass(slots=True)
class Verdict:
    """
    The result of a verification.

    Attributes:
        total: the number of analyses compared. equal: of those that are identical.
        differences: for each tick that differs: its boundary, seq, and the first field that is not the same.
        notes: sentences about code or thresholds that differ.
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
        return asdict(self) | {"identical": self.identical, "differences": self.differences[:_MAX_DIFFERENCES]}


def verify_log(
    log: Log,
    decisions: Log,
    symbol: str,
    on_progress: Callable[[int, int], None],
    coefficients_file: Path | None = None,
) -> Verdict:
    """
    Compute every logged analysis and recommendation again, under the settings of its session.

    Args:
        log: the market log.
        decisions: the decision log.
        symbol: the market's symbol.
        on_progress: called with analyses done since the last call, and all analyses.
        coefficients_file: fitted coefficients, for sessions that name a file without its content; None where there
            are no such sessions.

    Raises:
        NothingToReplay: the decision log holds no analysis.
        OtherFit: a session's coefficients are neither in the log nor in the file.
    """
    verdict = Verdict()
    sessions = sessions_of(decisions)
    total = sum(len(analyses) for _, analyses in sessions)
    if total == 0:
        raise NothingToReplay(f"{decisions.name} holds no analysis yet; run agent_analyzer.py first")
    if any(session["code"] != code_digest() for session, analyses in sessions if analyses):
        verdict.notes.append("code differs: the analyses were made by other code than the one that checks them")
    cassette = cassette_of(decisions)
    configs = [
        config_of_session(session, symbol, coefficients_file) if analyses else None for session, analyses in sessions
    ]
    for (session, analyses), config in zip(sessions, configs, strict=True):
        if config is None:
            continue
        live_digest, own_digest = session["parameters_digest"], config.parameters.digest()
        if live_digest != own_digest:
            verdict.notes.append(f"thresholds differ: analysed under digest {live_digest}, checked under {own_digest}")
        questions = questions_of(settings_of(session).analyzer.deepseek)
        _verify_session(
            log,
            analyses,
            config,
            verdict,
            AsLogged(cassette, questions, config.parameters),
            lambda n: on_progress(n, total),
        )
    return verdict


def sessions_of(decisions: Log) -> list[tuple[dict[str, Any], list[LoggedAnalysis]]]:
    """
    Each analyzer session with the analyses logged in it, in order.

    Analyses before the first session (whose entry was lost with a server) count to that session. A recommendation
    belongs to the session of its analysis.
    """
    sessions: list[tuple[dict[str, Any], dict[int, LoggedAnalysis]]] = []
    early: dict[int, LoggedAnalysis] = {}
    for kind, row in _rows(decisions):
        seq = int(row.get("market_seq", 0))
        if kind == ANALYZER_SESSION:
            sessions.append((row, {} if sessions else early))
        elif kind == ANALYSIS:
            analyses = sessions[-1][1] if sessions else early
            analyses[seq] = LoggedAnalysis(seq, row["as_of_ns"], row["body"])
        else:
            owner = next((analyses for _, analyses in reversed(sessions) if seq in analyses), early)
            if seq in owner:
                owner[seq] = LoggedAnalysis(seq, owner[seq].as_of_ns, owner[seq].analysis, row["body"])
    return [(session, list(analyses.values())) for session, analyses in sessions]


def _rows(decisions: Log) -> Iterator[tuple[str, dict[str, Any]]]:
    for batch in decisions.read(kinds=[ANALYZER_SESSION, ANALYSIS, RECOMMENDATION]):
        entries = []
        for kind, rows in batch.rows.items():
            entries += [(r["seq"], kind, r) for r in rows.table().to_pylist()]
        for _, kind, row in sorted(entries, key=lambda item: item[0]):
            yield kind, row


def _verify_session(
    log: Log,
    analyses: list[LoggedAnalysis],
    config: AnalysisConfig,
    verdict: Verdict,
    analyst: Analyst,
    on_progress: Callable[[int], None],
) -> None:
    pending = {analysis.market_seq: analysis for analysis in analyses}
    state = state_of(log, config.windows)
    decider = Decider(config.symbol, state, analyst, config.parameters)

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        live = pending.pop(tick.seq, None)
        if live is None:
            return
        try:
            tick_decision = decider.decide(tick, now)
            difference = _difference(live, render_view(tick_decision.view), tick_decision.advice)
        except MissingCall as absent:
            difference = {"field": "model_call", "live": "asked", "replay": str(absent)}
        verdict.total += 1
        verdict.equal += difference is None
        if difference is not None:
            place = {"as_of": iso(tick.boundary_ns), "seq": tick.seq}
            verdict.differences.append(place | difference)
        on_progress(1)

    first, last = min(pending), max(pending)
    drive(read_with_warm_up(log, pending[first].as_of_ns, last, config.windows), state, on_tick)
    for absent in pending.values():
        verdict.total += 1
        place = {"as_of": iso(absent.as_of_ns), "seq": absent.market_seq, "field": "tick"}
        verdict.differences.append(place | {"live": "a tick", "replay": "no tick at this seq"})


def _difference(live: LoggedAnalysis, analysis: bytes, advice: Advice | None) -> dict[str, Any] | None:
    if live.analysis.encode() != analysis:
        return first_difference(msgspec.json.decode(live.analysis), msgspec.json.decode(analysis), "")
    body = advice.render().decode() if advice else None
    if live.recommendation == body:
        return None
    one = msgspec.json.decode(live.recommendation) if live.recommendation else None
    return first_difference(one, msgspec.json.decode(body) if body else None, "recommendation")


def first_difference(live: Any, replay: Any, path: str) -> dict[str, Any] | None:
    """
    The first field, in order, in which two JSON values differ.

    Args:
        live, replay: the values.
        path: of the values themselves, empty for the outermost.

    Returns:
        The path of the field and both its values; None where they are equal.

    >>> first_difference({"a": [1, 2]}, {"a": [1, 3]}, "")
    {'field': 'a[1]', 'live': 2, 'replay': 3}
    """
    if isinstance(live, dict) and isinstance(replay, dict):
        for key in dict.fromkeys((*live, *replay)):
            difference = first_difference(live.get(key), replay.get(key), f"{path}.{key}" if path else key)
            if difference:
                return difference
        return None
    if isinstance(live, list) and isinstance(replay, list) and len(live) == len(replay):
        for i, (one, two) in enumerate(zip(live, replay, strict=True)):
            difference = first_difference(one, two, f"{path}[{i}]")
            if difference:
                return difference
        return None
    return None if live == replay else {"field": path, "live": live, "replay": replay}


def settings_of(session: dict[str, Any]) -> Settings:
    """The effective settings of an analyzer session, without the addresses of servers."""
    values = msgspec.json.decode(session["settings"], type=dict[str, Any])
    for name in ("redis", "network", "fitted"):
        values.pop(name, None)
    if isinstance(venue := values.get("binance"), dict):
        values["binance"] = {name: value for name, value in venue.items() if not name.endswith("_url")}
    return parse_settings(values, "the log's settings")


def config_of_session(session: dict[str, Any], symbol: str, file: Path | None) -> AnalysisConfig:
    """
    The configuration that a session analysed with: its settings, and the coefficients it logged.

    Args:
        session: the row of the session in the decision log.
        symbol: the market's symbol.
        file: fitted coefficients for a session of an older version, which logged only their file's name; None to read
            the file of that name.

    Raises:
        OtherFit: the coefficients are not those of the session, by their digest, or they cannot be used.
    """
    settings, digest = settings_of(session), session["parameters_digest"]
    coefficients = msgspec.json.decode(session["settings"], type=dict[str, msgspec.Raw]).get("fitted")
    if coefficients is not None:
        try:
            return analysis_config(settings, symbol, parse(bytes(coefficients)))
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
    values = settings.model_dump(exclude={"redis"})
    values["analyzer"]["analysis"]["fitted_file"] = file
    return parse_settings(values, "the log's settings")


def _other_fit(digest: str) -> str:
    return f"the log was analysed with other fitted coefficients (digest {digest}): name the file with --fitted F"
