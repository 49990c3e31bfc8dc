"""
The advice published at a tick and who decided it, from the decision log.
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
_MAX_REASON = 90  # characters of a name or reason, so that the sentence fits a line


@dataclass(frozen=True, slots=True)
class Origin:
    """
    What the decision log says of a tick.

    Attributes:
        advice: what was published, None where nothing was.
        sentence: who decided it, or that nothing was published and why.
        session: the analyzer session in which the tick was analysed, or the newest one; None where there is none.
    """

    advice: Advice | None
    sentence: str
    session: dict[str, Any] | None


def find_origin(decisions: Log, market_seq: int) -> Origin:
    """Find what was published at the tick with a seq of the market log; of two publications the first counts."""
    session: dict[str, Any] | None = None
    newest: dict[str, Any] | None = None
    is_analysed, recommendations = False, list[dict[str, Any]]()
    for batch in decisions.read(kinds=list(_COLUMNS), columns=_COLUMNS):
        rows = [(row["seq"], kind, row) for kind, part in batch.rows.items() for row in part.table().to_pylist()]
        for _, kind, row in sorted(rows, key=lambda item: item[0]):
            if kind == ANALYZER_SESSION:
                newest = row
            elif row["market_seq"] <= market_seq:
                session = newest
                if row["market_seq"] == market_seq:
                    is_analysed = True
                    recommendations += [row] if kind == RECOMMENDATION else []
    published_row = next((row for row in recommendations if row["published_ns"] is not None), None)
    if published_row is not None:
        advice = parse(published_row["body"])
        return Origin(advice, _describe(advice), session or newest)
    cause = "its advice came too late" if recommendations else "no advice was given"
    why = cause if is_analysed or recommendations else "it was not analysed"
    return Origin(None, f"nothing was published at this tick: {why}", session or newest)


def _describe(advice: Advice) -> str:
    analyst = printable(advice.analyst, _MAX_REASON)
    if advice.fallback is not None:
        return f"published: fallback, the rules stood in for {analyst}: {printable(advice.fallback, _MAX_REASON)}"
    model = f" ({printable(advice.model, _MAX_REASON)})" if advice.model else ""
    return f"published: decided by {analyst}{model}"
