"""
The decision log: analyses and recommendations, each with the market seq that it was computed at.
"""

from eventlog.facts.analysis import ANALYSIS, RECOMMENDATION
from eventlog.store.log import Log


def last_analysed(decisions: Log) -> tuple[int, int]:
    """The market seq and the boundary of the newest analysis, (0, 0) for none."""
    return _largest(decisions, ANALYSIS, "market_seq"), _largest(decisions, ANALYSIS, "as_of_ns")


def max_market_seq(decisions: Log) -> int:
    """The largest market seq that any decision names, 0 for none; a writer of the market log must not reuse it."""
    columns = ((ANALYSIS, "market_seq"), (RECOMMENDATION, "market_seq"), (RECOMMENDATION, "published_seq"))
    return max(_largest(decisions, kind, name) for kind, name in columns)


def _largest(decisions: Log, kind: str, name: str) -> int:
    largest = 0
    segments = decisions.cold.refresh().segments if decisions.cold.exists() else ()
    after = segments[-1].first_seq - 1 if segments else 0
    for batch in decisions.read(after, kinds=[kind], columns={kind: (name,)}):
        if kind in batch.rows:
            rows = batch.rows[kind]
            values = rows.table().column(name).drop_null().to_pylist()
            largest = max([largest, *values])
    return largest
