"""
Check of the tool results in the decision log: each is computed again and compared with what the model was shown.
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
        as_of_ns: the tick's boundary.
        results: JSON texts by the name of the tool, and the candidates where the conversation reached them.
    """

    as_of_ns: int
    results: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ToolVerdict:
    """
    The result of a check.

    Attributes:
        decisions: the number of decisions compared. equal: of those that were shown the same as now.
        touched: for each of the others: its boundary, seq, tools, and the first difference.
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
    log: Log,
    decisions: Log,
    symbol: str,
    on_progress: Callable[[int, int], None],
    coefficients_file: Path | None = None,
) -> ToolVerdict:
    """
    Compute every recorded tool result again, with the settings of its session and today's code.

    Args:
        log: the market log.
        decisions: the decision log.
        symbol: the market's symbol.
        on_progress: called with decisions done since the last call, and all decisions.
        coefficients_file: see `verify_log`.

    Raises:
        NothingToReplay: the decision log holds no call of a model.
        OtherFit: see `verify_log`.
    """
    pending = read_shown_results(decisions)
    if not pending:
        raise NothingToReplay(f"{decisions.name} holds no call of a model; there is nothing to check")
    verdict, total = ToolVerdict(), len(pending)
    for session, analyses in sessions_of(decisions):
        results = {a.market_seq: pending.pop(a.market_seq) for a in analyses if a.market_seq in pending}
        if results:
            config = config_of_session(session, symbol, coefficients_file)
            pending |= compare_shown_results(log, results, config, verdict, lambda n: on_progress(n, total))
    for seq, record in pending.items():
        verdict.decisions += 1
        place = {"as_of": iso(record.as_of_ns), "seq": seq, "tools": sorted(record.results), "field": "tick"}
        verdict.touched.append(place | {"live": "a tick", "replay": "no analysis at this seq"})
    return verdict


def compare_shown_results(
    log: Log,
    results: Mapping[int, ShownResults],
    config: AnalysisConfig,
    verdict: ToolVerdict,
    on_progress: Callable[[int], None],
) -> dict[int, ShownResults]:
    """
    Compare what models were shown with what would be shown under a configuration, and count it in a verdict.

    Args:
        log: the market log.
        results: what was shown, by the seq of the tick; not empty.
        config: the symbol, windows and thresholds to analyse with.
        verdict: counts the decisions, in place.
        on_progress: called with 1 for each decision.

    Returns:
        The results whose seq is no tick of the log.
    """
    pending = dict(results)
    state = state_of(log, config.windows)
    observer = Observer(config.symbol, state, config.parameters)

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        live = pending.pop(tick.seq, None)
        if live is not None:
            _compare(tick, live, observer.observe(tick, now), verdict)
            on_progress(1)

    first, last = min(pending), max(pending)
    drive(read_with_warm_up(log, pending[first].as_of_ns, last, config.windows), state, on_tick)
    return pending


def read_shown_results(decisions: Log) -> dict[int, ShownResults]:
    """Read what models were shown, by the seq of the tick, from a decision log."""
    results_by_seq: dict[int, ShownResults] = {}
    for batch in decisions.read(kinds=[MODEL_CALL], columns=_COLUMNS):
        if MODEL_CALL not in batch.rows:
            continue
        rows = batch.rows[MODEL_CALL]
        for row in rows.table().to_pylist():
            record = results_by_seq.setdefault(row["market_seq"], ShownResults(row["as_of_ns"]))
            record.results |= extract_results(_decode(row["request"]))
    return results_by_seq


def extract_results(request: Any) -> dict[str, str]:
    """The tool results and candidates in a request, by name; none where the request has another form."""
    messages = request.get("messages") if isinstance(request, dict) else None
    names: dict[str, str] = {}
    results: dict[str, str] = {}
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
                results[name] = content
        elif message.get("role") == "user":
            results.update((CANDIDATES, line) for line in content.splitlines() if line.startswith(_CANDIDATES_START))
    return results


def _compare(tick: TickEntry, record: ShownResults, view: MarketView, verdict: ToolVerdict) -> None:
    now = {name: candidates_json(view) if name == CANDIDATES else tool_result(name, view) for name in record.results}
    differing = [name for name, text in record.results.items() if text != now[name]]
    verdict.decisions += 1
    verdict.equal += not differing
    if differing:
        name = differing[0]
        difference = first_difference(_decode(record.results[name]), _decode(now[name]), name) or {
            "field": name,
            "live": "other bytes",
            "replay": "other bytes",
        }
        place = {"as_of": iso(tick.boundary_ns), "seq": tick.seq, "tools": differing}
        verdict.touched.append(place | difference)


def _decode(text: str) -> Any:
    """A JSON value; None where the text is not JSON, as in a log from elsewhere."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
