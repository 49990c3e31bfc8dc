"""
When advice went out live, from the decision log.
"""

from bisect import bisect
from collections.abc import Container
from hashlib import blake2b

from eventlog.facts.analysis import ANALYZER_SESSION, RECOMMENDATION
from eventlog.store.log import Log

PublicationTimes = dict[int, tuple[int, int] | None]
"""By a tick's seq: when its advice went out and the last market seq then; None where it was given but not published."""

_COLUMNS = {RECOMMENDATION: ("market_seq", "published_ns", "published_seq")}


def publication_times(decisions: Log) -> PublicationTimes:
    """When each recommendation of a decision log was published; of two for one tick the first counts."""
    times: PublicationTimes = {}
    for batch in decisions.read(kinds=[RECOMMENDATION], columns=_COLUMNS):
        if RECOMMENDATION in batch.rows:
            rows = batch.rows[RECOMMENDATION]
            for row in rows.table().to_pylist():
                time = None if row["published_ns"] is None else (row["published_ns"], row["published_seq"])
                times.setdefault(row["market_seq"], time)
    return times


def parameter_digests(decisions: Log, ticks: Container[int]) -> list[str]:
    """The digests of the parameters under which the advice for some ticks was given, sorted, without repetition."""
    columns = {ANALYZER_SESSION: ("parameters_digest",), RECOMMENDATION: ("market_seq",)}
    rows: dict[str, list[tuple[int, str | int]]] = {kind: [] for kind in columns}
    for batch in decisions.read(kinds=list(columns), columns=columns):
        for kind, part in batch.rows.items():
            rows[kind] += zip(part["seq"].tolist(), part[columns[kind][0]].tolist(), strict=True)
    sessions = rows[ANALYZER_SESSION]
    places = (bisect(sessions, (seq, "")) for seq, tick in rows[RECOMMENDATION] if tick in ticks)
    return sorted({str(sessions[place - 1][1]) for place in places if place})


def digest_of(times: PublicationTimes) -> str:
    """A digest of publication times, part of a run's id; "none" where there are none."""
    if not times:
        return "none"
    return blake2b(repr(sorted(times.items())).encode(), digest_size=8).hexdigest()
