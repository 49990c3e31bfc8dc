"""
What went out about a tick and who decided it, as the decision log says.
"""

from dataclasses import dataclass
from typing import Any

from agents.recommendation import Advice, parse
from eventlog.facts.analysis import ANALYSIS, ANALYZER_SESSION, RECOMMENDATION
from eventlog.store.log import Log
from market.printable import printable

_COLUMNS = {
    ANALYZER_SESSION: ("parameters_digest", "settings"),
    ANALYSIS: ("market_seq",),
    RECOMMENDATION: ("market_seq", "published_ns", "body"),
}
_LONGEST_REASON = 90


@dataclass(frozen=True, slots=True)
class Origin:
    """
    What the decision log says of a tick.

    Attributes:
        advice: what went out, None where nothing did. sentence: who decided it, or that nothing was published and why.
        session: the analyzer session it was analysed in, or the newest before it; None where there is none.
    """

    advice: Advice | None
    sentence: str
    session: dict[str, Any] | None


def find_origin(decisions: Log, market_seq: int) -> Origin:
    """What went out about the tick with a seq of the market log; of two that did, the first counts."""
    session: dict[str, Any] | None = None
    newest: dict[str, Any] | None = None
    analysed, made = False, list[dict[str, Any]]()
    for batch in decisions.read(kinds=list(_COLUMNS), columns=_COLUMNS):
        rows = [(row["seq"], kind, row) for kind, part in batch.rows.items() for row in part.table().to_pylist()]
        for _, kind, row in sorted(rows, key=lambda item: item[0]):
            if kind == ANALYZER_SESSION:
                newest = row
            elif row["market_seq"] <= market_seq:
                session = newest
                if row["market_seq"] == market_seq:
                    analysed = True
                    made += [row] if kind == RECOMMENDATION else []
    out = next((row for row in made if row["published_ns"] is not None), None)
    if out is not None:
        advice = parse(out["body"])
        return Origin(advice, _of(advice), session or newest)
    why = "its advice came too late" if made else "no advice was given" if analysed else "nobody analysed it"
    return Origin(None, f"nothing was published at this tick: {why}", session or newest)


def _of(advice: Advice) -> str:
    who = printable(advice.analyst, _LONGEST_REASON)
    if advice.fallback is not None:
        return f"published: fallback, the rules stood in for {who}: {printable(advice.fallback, _LONGEST_REASON)}"
    model = f" ({printable(advice.model, _LONGEST_REASON)})" if advice.model else ""
    return f"published: decided by {who}{model}"
