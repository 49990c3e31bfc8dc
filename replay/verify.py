"""
Proof that live and replay are the same: every analysis of the decision log, computed again from the market log.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from agents.decide import Decider
from agents.recommendation import Advice
from agents.rules import RulesAnalyst
from eventlog.code_version import code_digest
from eventlog.facts import ANALYSIS, ANALYZER_SESSION, RECOMMENDATION
from eventlog.log import Log
from market.timestamps import iso
from projections.state import MarketState, TickEntry
from replay.decisions import Sight, warmed_up
from replay.drive import drive
from replay.errors import NothingToReplay
from replay.sight import sight_of
from settings import Settings

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Logged:
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


def verify_log(log: Log, decisions: Log, symbol: str, on_progress: Callable[[int, int], None]) -> Verdict:
    """
    Compute every logged analysis and recommendation again, under the settings each was made with.

    Raises:
        NothingToReplay: the decision log holds no analysis.
    """
    verdict = Verdict()
    sessions = _sessions(decisions)
    total = sum(len(logged) for _, logged in sessions)
    if total == 0:
        raise NothingToReplay(f"{decisions.name} holds no analysis yet; run agent_analyzer.py first")
    if any(session["code"] != code_digest() for session, logged in sessions if logged):
        verdict.notes.append("code differs: the analyses were made by other code than the one that checks them")
    for session, logged in sessions:
        sight = sight_of(settings_of(session), symbol)
        _verify_session(log, logged, sight, verdict, lambda n: on_progress(n, total))
    return verdict


def _sessions(decisions: Log) -> list[tuple[dict[str, Any], list[Logged]]]:
    """
    Each analyzer session with what was logged in it, in order.

    What stands before the first session (its entry was lost with a server) counts to that session. A recommendation
    belongs to its analysis, wherever that stands.
    """
    sessions: list[tuple[dict[str, Any], dict[int, Logged]]] = []
    early: dict[int, Logged] = {}
    for kind, row in _rows(decisions):
        seq = int(row.get("market_seq", 0))
        if kind == ANALYZER_SESSION:
            sessions.append((row, {} if sessions else early))
        elif kind == ANALYSIS:
            logged = sessions[-1][1] if sessions else early
            logged[seq] = Logged(seq, row["as_of_ns"], row["body"])
        else:
            held = next((made for _, made in reversed(sessions) if seq in made), early)
            if seq in held:
                held[seq] = Logged(seq, held[seq].as_of_ns, held[seq].analysis, row["body"])
    return [(session, list(made.values())) for session, made in sessions]


def _rows(decisions: Log) -> Iterator[tuple[str, dict[str, Any]]]:
    for batch in decisions.read(kinds=[ANALYZER_SESSION, ANALYSIS, RECOMMENDATION]):
        found = []
        for kind, rows in batch.rows.items():
            found += [(r["seq"], kind, r) for r in rows.columns.table.slice(rows.start, len(rows)).to_pylist()]
        for _, kind, row in sorted(found, key=lambda item: item[0]):
            yield kind, row


def _verify_session(
    log: Log, logged: list[Logged], sight: Sight, verdict: Verdict, on_progress: Callable[[int], None]
) -> None:
    if not logged:
        return
    expected = {each.market_seq: each for each in logged}
    state = MarketState(sight.windows)
    decider = Decider(sight.symbol, state, RulesAnalyst(sight.parameters), sight.parameters)

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        there = expected.pop(tick.seq, None)
        if there is None:
            return
        decided = decider.decide(tick, now)
        difference = _difference(there, decided.view.render(), decided.advice)
        verdict.total += 1
        verdict.equal += difference is None
        if difference is not None:
            where = {"as_of": iso(tick.boundary_ns), "seq": tick.seq}
            verdict.differences.append(where | difference)
        on_progress(1)

    first, last = min(expected), max(expected)
    drive(warmed_up(log, expected[first].as_of_ns, last, sight.windows), state, on_tick)
    for missing in expected.values():
        verdict.total += 1
        where = {"as_of": iso(missing.as_of_ns), "seq": missing.market_seq, "field": "tick"}
        verdict.differences.append(where | {"live": "a tick", "replay": "no tick at this seq"})


def _difference(there: Logged, analysis: bytes, advice: Advice | None) -> dict[str, Any] | None:
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
    known.pop("redis", None)
    return Settings.model_validate(known)
