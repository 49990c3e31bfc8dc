"""
When advice went out: live, from the decision log, and where it never did, when it would have.
"""

from bisect import bisect
from collections.abc import Container, Mapping
from hashlib import blake2b

from agents.recommendation import Advice
from eventlog.facts.analysis import ANALYZER_SESSION, RECOMMENDATION
from eventlog.store.log import Log
from replay.decisions import Decision, Ticks
from replay.scoring.episodes import Publication
from replay.scoring.rules import ScoringRules

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


def publish_times(ticks: Ticks, rules: ScoringRules, took_ms: Mapping[int, int] | None) -> dict[int, int]:
    """
    When the advice of each tick would have been out, by the tick's seq, in nanoseconds since 1970.

    Args:
        ticks: the ticks, with the time at which each was received.
        rules: its `publish_delay_ms` counts from then on.
        took_ms: by seq, how long a model took, which counts where it is longer; None for rules.
    """
    delay, took_by_seq = rules.publish_delay_ms, took_ms or {}
    return {
        seq: recv + max(delay, took_by_seq.get(seq, 0)) * 1_000_000
        for seq, recv in zip(ticks.seq.tolist(), ticks.recv_ns.tolist(), strict=True)
    }


def publication_of(
    decision: Decision, advice: Advice | None, out_ns: Mapping[int, int], live: PublicationTimes
) -> Publication | None:
    """
    A recommendation with the moment it was or would have been out; None where it never was.

    Args:
        decision: of a tick.
        advice: the same, read; None where none was given.
        out_ns: when the advice of each tick would have been out; see `publish_times`.
        live: when advice went out live.
    """
    time = live.get(decision.seq, (out_ns[decision.seq], decision.seq))
    return None if advice is None or time is None else Publication(advice, *time, decision.levels)
