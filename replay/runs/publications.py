"""
When advice really went out: what the decision log says of each tick.
"""

from bisect import bisect
from collections.abc import Container
from hashlib import blake2b

from eventlog.facts.analysis import ANALYZER_SESSION, RECOMMENDATION
from eventlog.store.log import Log

PublicationTimes = dict[int, tuple[int, int] | None]
"""By a tick's seq: when its advice went out and the last market seq then; None where it was made but did not go out."""

_COLUMNS = {RECOMMENDATION: ("market_seq", "published_ns", "published_seq")}


def publication_times(decisions: Log) -> PublicationTimes:
    """Every recommendation of a decision log; of two for one tick the first counts."""
    found: PublicationTimes = {}
    for batch in decisions.read(kinds=[RECOMMENDATION], columns=_COLUMNS):
        if RECOMMENDATION in batch.rows:
            rows = batch.rows[RECOMMENDATION]
            for row in rows.table().to_pylist():
                out = None if row["published_ns"] is None else (row["published_ns"], row["published_seq"])
                found.setdefault(row["market_seq"], out)
    return found


def parameter_digests(decisions: Log, ticks: Container[int]) -> list[str]:
    """The digests of the parameters under which the advice for some ticks was made, each once."""
    columns = {ANALYZER_SESSION: ("parameters_digest",), RECOMMENDATION: ("market_seq",)}
    rows: dict[str, list[tuple[int, str | int]]] = {kind: [] for kind in columns}
    for batch in decisions.read(kinds=list(columns), columns=columns):
        for kind, part in batch.rows.items():
            rows[kind] += zip(part["seq"].tolist(), part[columns[kind][0]].tolist(), strict=True)
    sessions = rows[ANALYZER_SESSION]
    places = (bisect(sessions, (seq, "")) for seq, tick in rows[RECOMMENDATION] if tick in ticks)
    return sorted({str(sessions[place - 1][1]) for place in places if place})


def digest_of(live: PublicationTimes) -> str:
    """What a run's id needs to know of them; "none" where nothing was live."""
    if not live:
        return "none"
    return blake2b(repr(sorted(live.items())).encode(), digest_size=8).hexdigest()
