"""
What is wrong with a day, and what is lacking: judged from what was read of it; pure.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import structs

from eventlog.facts.capture import CONFLICT
from eventlog.facts.market import AGG_TRADE
from eventlog.proof.chains import broken_at, holes
from eventlog.proof.check import in_words, latest, missing_for_good
from eventlog.proof.coverage import Mask
from eventlog.proof.day_reading import DayReading, day_ids
from market.ranges import Range, minus
from market.timestamps import MINUTE_NS, iso

_SHOWN = 3


class NamedGap(msgspec.Struct, frozen=True):
    """A gap that concerns the day, the newest word on it, and when that was said."""

    what: str
    first: int
    last: int
    cause: str
    state: str
    said: str


class Ticks(msgspec.Struct, frozen=True):
    """Boundaries of the day: how many there are, were on record, and found trades and depth live."""

    expected: int
    present: int
    trades_live: int
    depth_live: int


def named_gaps(reading: DayReading) -> list[NamedGap]:
    """The gaps that the day's entries name, or that lie in or beside the day's trades, as they stand now."""
    said_today = {_key(g) for g in reading.gaps if reading.day_ns <= g["recv_ns"] < reading.end_ns}
    ids = day_ids(reading)
    found = []
    for gap in latest(reading.gaps):
        beside = ids is not None and gap["what"] == "agg_ids" and gap["first"] <= ids[1] and gap["last"] >= ids[0] - 1
        if beside or _key(gap) in said_today:
            found.append(NamedGap(*_key(gap), gap["cause"], gap["state"], iso(gap["recv_ns"])))
    return found


def ticks_of(reading: DayReading) -> Ticks:
    """The day's ticks, by their boundary: the last arrives when the day is over."""
    ticks = {t[0]: t for t in reading.evidence.ticks if reading.day_ns < t[0] <= reading.end_ns}
    live = [sum(t[i] == "live" for t in ticks.values()) for i in (1, 2)]
    return Ticks((reading.end_ns - reading.day_ns) // reading.tally.interval_ns, len(ticks), *live)


def flaws(reading: DayReading) -> list[str]:
    """What is wrong: bytes that differ, numbers that are missing without a word, or there twice."""
    named = latest(reading.gaps)
    seqs = _left(reading.missing_seqs, [g for g in named if g["what"] == "seqs"])
    ids = _missing_ids(reading, [g for g in named if g["what"] == "agg_ids" and g["state"] != "filled"])
    updates = _missing_updates(reading, named)
    low, high = day_ids(reading) or (0, -1)
    broken = [i for i in broken_at(reading.evidence.trades.runs()) if low <= i <= high]
    twice = reading.duplicate_seqs + reading.evidence.trades.duplicates
    return [
        *_listed("damaged", reading.damaged),
        *_listed("missing seqs no gap names", seqs),
        *_listed("missing agg ids no gap names", ids),
        *_listed("trade ids out of chain at agg ids", broken),
        *_listed("missing update ids nothing names", updates),
        *([f"{twice} entries are there twice"] if twice else []),
    ]


def lacks(reading: DayReading, mask: Mask, gaps: Sequence[NamedGap], last_archived_ns: int) -> list[str]:
    """What may still come, or lies outside the log."""
    if not reading.tally.kinds:
        return ["the log holds nothing of the day"]
    rows = [structs.asdict(gap) for gap in gaps]
    found = _listed("open gaps", [in_words(gap) for gap in rows if gap["state"] == "open"])
    found += _listed("missing for good", [in_words(gap) for gap in missing_for_good(rows)])
    found += _listed("trades nobody could read, agg ids", _closed(reading))
    if reading.unread_trades:
        found.append(f"messages that nobody could read and that may have been trades: {reading.unread_trades}")
    conflicts = reading.tally.quarantined[CONFLICT] + len(reading.contradicted_trades)
    if conflicts:
        found.append(f"facts that contradict others of the same id: {conflicts}")
    if reading.tally.kinds[AGG_TRADE] == 0:
        found.append("no trade arrived")
    if last_archived_ns < reading.end_ns:
        found.append(f"the archive ends at {iso(last_archived_ns)}, before the day does")
    for start, end in mask.trades.tolist():
        if start == reading.day_ns and end - start >= MINUTE_NS:
            found.append(f"trades before {iso(end)} are not proven")
        elif end == reading.end_ns and end - start >= MINUTE_NS:
            found.append(f"trades after {iso(start)} are not proven")
    return found


def _missing_ids(reading: DayReading, gaps: list[dict[str, Any]]) -> list[Range]:
    return _left(_holes(reading), [*gaps, *({"first": i, "last": i} for i in _closed(reading))])


def _holes(reading: DayReading) -> list[Range]:
    """Missing agg ids among those of the day."""
    low, high = day_ids(reading) or (0, -1)
    return [h for h in holes(reading.evidence.trades.runs()) if h[1] >= low - 1 and h[0] <= high]


def _closed(reading: DayReading) -> list[int]:
    """Missing agg ids of trades that came and that nobody could read."""
    missing = _holes(reading)
    return [i for i in sorted(reading.closed) if any(first <= i <= last for first, last in missing)]


def _missing_updates(reading: DayReading, gaps: list[dict[str, Any]]) -> list[Range]:
    """Updates that nobody saw, and neither a gap, a reset, nor a recorder that had just come says so."""
    runs = reading.evidence.updates.runs().tolist()
    excused = [g for g in gaps if g["what"] == "update_ids"]
    excused += [{"first": first, "last": last} for first, last in reading.tally.resets]
    left = []
    for before, after in pairwise(runs):
        if reading.day_ns <= after[2] < reading.end_ns and not any(
            before[5] < seq < after[4] for seq in reading.tally.starts
        ):
            left += _left([(before[1] + 1, after[0] - 1)], excused)
    return left


def _left(missing: Sequence[Range], gaps: list[dict[str, Any]]) -> list[Range]:
    return [rest for hole in missing for rest in minus(hole, *((gap["first"], gap["last"]) for gap in gaps))]


def _listed(what: str, found: Sequence[object]) -> list[str]:
    if not found:
        return []
    shown = ", ".join(f"{f[0]}-{f[1]}" if isinstance(f, tuple) else str(f) for f in found[:_SHOWN])
    return [f"{what}: {len(found)}: {shown}{' …' if len(found) > _SHOWN else ''}"]


def _key(gap: dict[str, Any]) -> tuple[str, int, int]:
    return gap["what"], gap["first"], gap["last"]
