"""
The decision log: what was seen and advised, each entry naming the market seq it was computed at.
"""

from eventlog.facts import ANALYSIS, RECOMMENDATION
from eventlog.log import Log

_SEQS = {ANALYSIS: ("market_seq",), RECOMMENDATION: ("market_seq", "published_seq")}


def last_analysed_seq(decisions: Log) -> int:
    """The market seq of the newest analysis, 0 for none."""
    return _largest(decisions, (ANALYSIS,))


def last_named_seq(decisions: Log) -> int:
    """The largest market seq that any decision names: it was used, whatever the market log says. 0 for none."""
    return _largest(decisions, (ANALYSIS, RECOMMENDATION))


def _largest(decisions: Log, kinds: tuple[str, ...]) -> int:
    largest = 0
    segments = decisions.cold.refresh().segments if decisions.cold.exists() else ()
    after = segments[-1].first_seq - 1 if segments else 0
    for batch in decisions.read(after, kinds=list(kinds), columns=_SEQS):
        for kind, rows in batch.rows.items():
            for name in _SEQS[kind]:
                named = rows.columns.table.slice(rows.start, len(rows)).column(name).drop_null().to_pylist()
                largest = max([largest, *named])
    return largest
