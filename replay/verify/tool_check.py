"""
Whether models were shown what would be shown now: every tool result of the decision log, computed again.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from agents.llm.conversation.tools import TOOLS, candidates_json, parse_calls, tool_result
from analysis.observe import Observer
from analysis.view import MarketView
from eventlog.facts.model import MODEL_CALL
from eventlog.store.log import Log
from market.timestamps import iso
from projections.state import MarketState, TickEntry
from replay.errors import NothingToReplay
from replay.verify.verify import config_of_session, first_difference, sessions_of
from runtime.analysis_config import AnalysisConfig
from runtime.loop import drive
from runtime.warm_up import read_with_warm_up, state_of

CANDIDATES = "candidates"
_CANDIDATES_START = '{"reference":'
_COLUMNS = {MODEL_CALL: ("market_seq", "as_of_ns", "request")}


@dataclass(slots=True)
class ShownResults:
    """
    What a model was shown at one tick.

    Attributes:
        results: JSON texts by the name of the tool, and the candidates where the conversation got so far.
    """

    as_of_ns: int
    results: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ToolVerdict:
    """
    What a check found.

    Attributes:
        touched: for each decision that was shown something else: its boundary, seq, tool, and the first difference.
    """

    decisions: int = 0
    equal: int = 0
    touched: list[dict[str, Any]] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Whether there was something to compare and all of it is equal."""
        return self.decisions > 0 and self.equal == self.decisions

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"identical": self.identical}


def check_tools(
    log: Log, decisions: Log, symbol: str, on_progress: Callable[[int, int], None], fitted: Path | None = None
) -> ToolVerdict:
    """
    Compute every recorded tool result again, with the settings each was made under and today's code.

    Raises:
        NothingToReplay: the decision log holds no call of a model.
        OtherFit: see `verify_log`.
    """
    shown = read_shown_results(decisions)
    if not shown:
        raise NothingToReplay(f"{decisions.name} holds no call of a model; there is nothing to check")
    verdict, total = ToolVerdict(), len(shown)
    for session, logged in sessions_of(decisions):
        mine = {made.market_seq: shown.pop(made.market_seq) for made in logged if made.market_seq in shown}
        if mine:
            config = config_of_session(session, symbol, fitted)
            shown |= compare_shown_results(log, mine, config, verdict, lambda n: on_progress(n, total))
    for seq, there in shown.items():
        verdict.decisions += 1
        where = {"as_of": iso(there.as_of_ns), "seq": seq, "tools": sorted(there.results), "field": "tick"}
        verdict.touched.append(where | {"live": "a tick", "replay": "no analysis at this seq"})
    return verdict


def compare_shown_results(
    log: Log,
    shown: Mapping[int, ShownResults],
    config: AnalysisConfig,
    verdict: ToolVerdict,
    on_progress: Callable[[int], None],
) -> dict[int, ShownResults]:
    """Hold what models were shown against what would be shown under a sight; returns what no tick was found for."""
    left = dict(shown)
    state = state_of(log, config.windows)
    observer = Observer(config.symbol, state, config.parameters)

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        there = left.pop(tick.seq, None)
        if there is not None:
            _compare(tick, there, observer.observe(tick, now), verdict)
            on_progress(1)

    first, last = min(left), max(left)
    drive(warmed_up(log, left[first].as_of_ns, last, config.windows), state, on_tick)
    return left


def read_shown_results(decisions: Log) -> dict[int, ShownResults]:
    """What models were shown, by the seq of the tick."""
    found: dict[int, ShownResults] = {}
    for batch in decisions.read(kinds=[MODEL_CALL], columns=_COLUMNS):
        if MODEL_CALL not in batch.rows:
            continue
        rows = batch.rows[MODEL_CALL]
        for row in rows.table().to_pylist():
            seen = found.setdefault(row["market_seq"], ShownResults(row["as_of_ns"]))
            seen.results |= extract_results(_decoded(row["request"]))
    return found


def extract_results(request: Any) -> dict[str, str]:
    """The tool results and candidates that a request carries; what has not its form carries none."""
    messages = request.get("messages") if isinstance(request, dict) else None
    names: dict[str, str] = {}
    found: dict[str, str] = {}
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            continue
        names |= {call.id: call.name for call in parse_calls(message) or ()}
        content = message.get("content")
        if not isinstance(content, str):
            continue
        if message.get("role") == "tool":
            name = names.get(str(message.get("tool_call_id")), "")
            if name in TOOLS and content.startswith("{"):
                found[name] = content
        elif message.get("role") == "user":
            found.update((CANDIDATES, line) for line in content.splitlines() if line.startswith(_CANDIDATES_START))
    return found


def _compare(tick: TickEntry, there: ShownResults, view: MarketView, verdict: ToolVerdict) -> None:
    now = {name: candidates(view) if name == CANDIDATES else result(name, view) for name in there.results}
    changed = [name for name, text in there.results.items() if text != now[name]]
    verdict.decisions += 1
    verdict.equal += not changed
    if changed:
        name = changed[0]
        difference = first_difference(_decoded(there.results[name]), _decoded(now[name]), name) or {
            "field": name,
            "live": "other bytes",
            "replay": "other bytes",
        }
        where = {"as_of": iso(tick.boundary_ns), "seq": tick.seq, "tools": changed}
        verdict.touched.append(where | difference)


def _decoded(text: str) -> Any:
    """A JSON value; None where a record holds none, as of somebody else."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
